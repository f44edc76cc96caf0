//! TLS of `stn serve`: real certificates, made here, and a client that checks them; and pages of other sites.

use crate::home::Home;
use crate::http::{Answer, Served};
use crate::watch::until;
use expect_test::{Expect, expect};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::json;
use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

/// Who signs, and what it signed: as PEM.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for `name`, and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A client that believes this one, and shows a certificate where it has one.
    fn client(&self, shows: Option<&(String, String)>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match shows {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        })
    }
}

/// A home that serves over TLS.
struct Scene {
    home: Home,
    authority: Authority,
}

impl Scene {
    fn new(more: &str) -> Self {
        let home = Home::with_init();
        let authority = Authority::new("an authority");
        let scene = Self { home, authority };
        scene.put(&scene.authority.sign("localhost"));
        scene.home.write("ca.pem", &scene.authority.pem);
        let config = scene.home.read("config.yaml");
        scene.home.write("config.yaml", &format!("{config}\ntls: {{cert: cert.pem, key: key.pem{more}}}\n"));
        scene
    }

    /// Puts a certificate and its key in place, as a renewal does: each by a rename.
    fn put(&self, (cert, key): &(String, String)) {
        for (name, text) in [("key.pem", key), ("cert.pem", cert)] {
            self.home.write("new.pem", text);
            std::fs::set_permissions(self.home.config("new.pem"), Permissions::from_mode(0o600)).unwrap();
            std::fs::rename(self.home.config("new.pem"), self.home.config(name)).unwrap();
        }
    }
}

/// Asks over TLS; `Err` where the handshake, or what follows, is refused.
fn ask(served: &Served, client: &Arc<ClientConfig>, request: &str) -> Result<Answer, String> {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(client), name).unwrap();
    let mut stream = StreamOwned::new(connection, served.connect());
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // The connection was closed without a word of TLS, behind a whole answer.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && !answer.is_empty() => {}
        Err(error) => return Err(error.to_string()),
    }
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

const HEALTH: &str = "GET /health HTTP/1.0\r\nhost: localhost\r\n\r\n";

#[test]
fn the_command_line_checks_whose_certificate_it_is() {
    let scene = Scene::new("");
    let served = Served::start(&scene.home);
    let address = format!("https://localhost:{}", served.port);
    let list = |authority: &str| {
        let mut command = scene.home.command(&["agent", "list", "--json", "--server", &address]);
        let child = command.env("SSL_CERT_FILE", scene.home.config(authority));
        let child = child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
        let said = scene.home.said(child.unwrap());
        (said.code, said.stdout.replace(&address, "URL"))
    };
    let (code, told) = list("ca.pem");
    assert!(code == Some(0) && told.contains("agents"), "{told}");
    scene.home.write("other.pem", &Authority::new("another").pem);
    let (code, told) = list("other.pem");
    assert!(code == Some(1) && told.contains("certificate") && told.contains("SSL_CERT_FILE"), "{told}");
    served.stop();
}

#[test]
fn it_serves_over_tls_and_tells_browsers_to_stay_with_it() {
    let scene = Scene::new("");
    let served = Served::start(&scene.home);
    let client = scene.authority.client(None);
    let health = ask(&served, &client, HEALTH).unwrap();
    assert_eq!(health.status, 200, "{}", health.head);
    assert!(health.head.contains("strict-transport-security: max-age=31536000"), "{}", health.head);
    let port = served.port;
    let list = |origin: &str| {
        let request =
            format!("GET /api/v1/agents HTTP/1.0\r\nhost: localhost:{port}\r\norigin: {origin}\r\n\r\n");
        ask(&served, &client, &request).unwrap().status
    };
    assert_eq!(list(&format!("https://localhost:{port}")), 200, "a page of ours came by TLS as well");
    assert_eq!(list(&format!("http://localhost:{port}")), 403);
    // Who does not know the authority is not spoken to; who speaks no TLS is told.
    let stranger = Authority::new("another").client(None);
    assert!(ask(&served, &stranger, HEALTH).err().is_some_and(|it| it.contains("UnknownIssuer")));
    let plain = served.raw(HEALTH.as_bytes());
    assert_eq!((plain.status, plain.body.as_str()), (400, "this port speaks TLS: ask by https:// instead"));
    // Somebody who signs in gets a cookie that a browser keeps for TLS alone.
    scene
        .home
        .stn_reading(&["user", "create", "ada", "--admin", "--password"], "correct horse battery")
        .done();
    let body = json!({ "name": "ada", "password": "correct horse battery" }).to_string();
    let sign_in = format!(
        "POST /api/v1/sessions HTTP/1.0\r\nhost: localhost:{port}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let signed_in = ask(&served, &client, &sign_in).unwrap();
    assert!(signed_in.head.contains("set-cookie: __host-station="), "{} {}", signed_in.head, signed_in.body);
    assert!(signed_in.head.contains("; secure; httponly; samesite=strict"), "{}", signed_in.head);
}

#[test]
fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
    let scene = Scene::new("");
    let served = Served::start(&scene.home);
    let (old, new) = (scene.authority.client(None), Authority::new("the next authority"));
    assert!(ask(&served, &old, HEALTH).is_ok());
    // A certificate without its key: the one before stays, whoever asks meanwhile.
    scene.home.write("cert.pem", &new.sign("localhost").0);
    for _ in 0..5 {
        assert!(ask(&served, &old, HEALTH).is_ok());
    }
    scene.put(&new.sign("localhost"));
    let next = new.client(None);
    until("the new certificate is shown", || ask(&served, &next, HEALTH).is_ok());
    assert!(ask(&served, &old, HEALTH).is_err());
    // Broken now, and looked at: still the last one that could be used.
    scene.home.write("key.pem", "nothing");
    scene.home.write("cert.pem", "nothing");
    for _ in 0..5 {
        assert!(ask(&served, &next, HEALTH).is_ok());
    }
}

#[test]
fn clients_show_a_certificate_where_that_is_asked_for() {
    let scene = Scene::new(", client_ca: ca.pem");
    let served = Served::start(&scene.home);
    let authority = &scene.authority;
    let refused = ask(&served, &authority.client(None), HEALTH).err().expect("it has no certificate");
    assert!(refused.to_lowercase().contains("certificate"), "{refused}");
    let foreign = Authority::new("another").sign("client");
    let refused = ask(&served, &authority.client(Some(&foreign)), HEALTH).err();
    assert!(refused.is_some(), "another authority signed that");
    let known = ask(&served, &authority.client(Some(&authority.sign("client"))), HEALTH).unwrap();
    assert_eq!(known.status, 200);
}

#[test]
fn a_port_without_tls_leads_to_the_one_with_it() {
    let scene = Scene::new(", redirect_port: 0");
    let served = Served::start(&scene.home);
    let to = served.port;
    let plain = served.at_last_port();
    let answer = plain
        .raw(b"POST /api/v1/agents?a=b HTTP/1.0\r\nhost: station.example:80\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(answer.status, 308, "{}", answer.head);
    let expected = format!("location: https://station.example:{to}/api/v1/agents?a=b");
    assert!(answer.head.contains(&expected), "{}", answer.head);
    assert!(!answer.head.contains("strict-transport-security"), "{}", answer.head);
    assert_eq!(plain.raw(b"GET /a HTTP/1.0\r\nhost: a@b/\r\n\r\n").status, 400);
    assert_eq!(plain.raw(HEALTH.as_bytes()).status, 200);
    // It listens before its worker has looked for the first time.
    until("it is ready", || plain.raw(b"GET /ready HTTP/1.0\r\nhost: a\r\n\r\n").status == 200);
}

#[test]
fn files_that_cannot_be_used_are_sentences_before_anybody_is_listened_to() {
    let scene = Scene::new(", client_ca: ca.pem");
    let home = &scene.home;
    let good = (home.read("cert.pem"), home.read("key.pem"));
    let other = scene.authority.sign("localhost");
    let check = |expected: &Expect| {
        home.stn(&["serve"]).is(expected);
    };
    std::fs::set_permissions(home.config("key.pem"), Permissions::from_mode(0o644)).unwrap();
    check(&expect![[r#"
        --- stderr
        error: $HOME/.config/station/key.pem can be read by others (mode 644)
        hint: it is the private key that `tls.key` names: `chmod 600` it
        --- exit 1
    "#]]);
    scene.put(&(good.0.clone(), "nothing".to_owned()));
    check(&expect![[r#"
        --- stderr
        error: $HOME/.config/station/key.pem, which `tls.key` names, has no private key
        hint: it is a PEM file without a password, as `openssl genpkey` writes it
        --- exit 1
    "#]]);
    scene.put(&("nothing".to_owned(), good.1.clone()));
    check(&expect![[r#"
        --- stderr
        error: $HOME/.config/station/cert.pem, which `tls.cert` names, has no certificate
        hint: it is a PEM file: `-----BEGIN CERTIFICATE-----` and so on
        --- exit 1
    "#]]);
    scene.put(&(good.0.clone(), other.1));
    check(&expect![[r#"
        --- stderr
        error: the certificate in $HOME/.config/station/cert.pem and the key in $HOME/.config/station/key.pem cannot be used together
        hint: `tls.cert` has the certificate first and then its chain, `tls.key` the key of that certificate
        --- exit 1
    "#]]);
    scene.put(&good);
    home.write("ca.pem", "nothing");
    check(&expect![[r#"
        --- stderr
        error: $HOME/.config/station/ca.pem, which `tls.client_ca` names, has no certificate
        hint: it is a PEM file: `-----BEGIN CERTIFICATE-----` and so on
        --- exit 1
    "#]]);
    std::fs::remove_file(home.config("ca.pem")).unwrap();
    check(&expect![[r#"
        --- stderr
        error: $HOME/.config/station/ca.pem, which `tls.client_ca` names, cannot be read: entity not found
        hint: the user that runs Station must be able to read it; a relative path begins at the configuration folder
        --- exit 1
    "#]]);
    let config = home.read("config.yaml");
    home.write("config.yaml", &config.replace("cert: cert.pem, ", ""));
    check(&expect![[r#"
        --- stderr
        error: config.yaml names `tls.key`, and no `tls.cert`
        hint: `tls: {cert: FILE, key: FILE}` serves HTTP over TLS
        --- exit 1
    "#]]);
    home.write(
        "config.yaml",
        &format!("{}cors: {{origins: [\"*\"]}}\n", config.split("tls:").next().unwrap()),
    );
    check(&expect![[r#"
        --- stderr
        error: $HOME/.config/station/config.yaml:5:17: `cors.origins` has `*`, and takes origins alone, like `https://app.example.com`
          5 | cors: {origins: ["*"]}
            |                 ^
        --- exit 1
    "#]]);
}

#[test]
fn pages_of_other_sites_ask_where_they_are_named_and_bring_a_key() {
    let home = Home::with_init();
    let config = home.read("config.yaml");
    home.write("config.yaml", &format!("{config}\ncors: {{origins: [\"https://app.example.com\"]}}\n"));
    let token = || home.read("api-token");
    let served = Served::start(&home);
    let bearer = format!("Bearer {}", token().trim());
    let preflight = |origin: &str, path: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST"), ("content-type", "")];
        served.send_to(path, "OPTIONS", &headers, "")
    };
    for path in ["/api/v1/agents", "/mcp"] {
        let allowed = preflight("https://app.example.com", path);
        assert_eq!(allowed.status, 204, "{}", allowed.head);
        assert!(
            allowed.head.contains("access-control-allow-origin: https://app.example.com"),
            "{}",
            allowed.head
        );
        assert!(allowed.head.contains("access-control-allow-headers: authorization,"), "{}", allowed.head);
        assert!(!allowed.head.contains("access-control-allow-credentials"), "{}", allowed.head);
        let refused = preflight("https://evil.example.com", path);
        assert!(!refused.head.contains("access-control-allow"), "{}", refused.head);
        assert_ne!(refused.status, 204);
    }
    let list = |origin: &str, key: &str| {
        served.send_to("/api/v1/agents", "GET", &[("origin", origin), ("authorization", key)], "")
    };
    let heard = list("https://app.example.com", &bearer);
    assert_eq!(heard.status, 200, "{}", heard.body);
    assert!(heard.head.contains("access-control-allow-origin: https://app.example.com"), "{}", heard.head);
    assert!(heard.head.contains("vary: origin"), "{}", heard.head);
    // Its socket, or a cookie, is not the page's own.
    let unknown = list("https://app.example.com", "");
    assert_eq!(unknown.status, 401);
    assert!(unknown.head.contains("access-control-allow-origin: https://app.example.com"), "it may read why");
    let foreign = list("https://evil.example.com", &bearer);
    assert_eq!(foreign.status, 403);
    assert!(!foreign.head.contains("access-control-allow-origin"), "{}", foreign.head);
    let body = r#"{"jsonrpc": "2.0", "id": 1, "method": "ping"}"#;
    let mcp = |origin: &str| {
        let headers =
            [("origin", origin), ("authorization", &*bearer), ("mcp-protocol-version", "2025-11-25")];
        served.send_to("/mcp", "POST", &headers, body).status
    };
    assert_eq!((mcp("https://app.example.com"), mcp("https://evil.example.com")), (200, 403));
}
