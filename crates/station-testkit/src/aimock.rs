//! aimock, a stand-in for model providers that nobody here wrote: <https://aimock.copilotkit.dev>, MIT, from npm.
//!
//! It speaks the dialects of OpenAI, Anthropic, Google and Ollama on one port, and answers by fixtures. What it is not: a
//! judge. It takes requests that the providers refuse; `openai::judge` knows those rules.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The running stand-in; dropping it ends it.
#[derive(Debug)]
pub struct Aimock {
    node: Child,
    url: String,
}

impl Aimock {
    /// Starts it with `fixtures`, a list of `{match, response}` as its documentation has them.
    #[must_use]
    pub fn start(fixtures: &Value) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/node/aimock");
        assert!(folder.join("node_modules").exists(), "aimock is not installed: run scripts/setup test");
        let mut node = Command::new("node")
            .arg("serve.cjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node is installed");
        writeln!(node.stdin.as_mut().expect("stdin is a pipe"), "{fixtures}").expect("aimock reads");
        let mut url = String::new();
        let stdout = node.stdout.as_mut().expect("stdout is a pipe");
        BufReader::new(stdout).read_line(&mut url).expect("aimock says where it is");
        Self { node, url: url.trim().to_owned() }
    }

    /// E.g. `http://127.0.0.1:35045`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The requests so far, in order: `{method, path, headers, body, …}`, of which it has made the body OpenAI's.
    #[must_use]
    pub fn requests(&self) -> Vec<Value> {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("aimock listens");
        let head = format!("GET /__aimock/journal HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("aimock reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("aimock answers");
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        serde_json::from_str(body).expect("its journal is a list")
    }
}

impl Drop for Aimock {
    fn drop(&mut self) {
        self.node.kill().ok();
        self.node.wait().ok();
    }
}
