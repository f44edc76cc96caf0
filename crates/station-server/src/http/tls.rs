//! TLS at our ports: the certificate, taken up anew when its files change, and how long a handshake may take.
//!
//! What secures a connection is read from files that others renew (certbot, cert-manager): they are looked at every few
//! seconds, by what the system says of them, and read where that has changed. **Invariant:** what cannot be used changes
//! nothing: the certificate before stays, and the log says why, once for each change. Whoever has come in keeps what it
//! came in by.

use station_core::{Error, Result};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;
use tokio_util::task::AbortOnDropHandle;

/// How often the files are looked at: three questions to the kernel.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long a handshake may take: three ways to the other end of the world and back, on a bad line.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Handshakes at a time: more than one network may have connections, so that whoever begins them and says no more keeps nobody else
/// out.
const HANDSHAKES_MAX: usize = 768;

/// Bytes that are read of a file: far above any chain of certificates.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The first byte of a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;

/// What is told to whoever speaks HTTP where TLS is spoken.
const NOT_PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n\
    content-length: 45\r\n\r\nthis port speaks TLS: ask by https:// instead";

/// The files that TLS is made of.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate and its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Those who sign the certificates of clients, where clients need one.
    pub client_ca: Option<PathBuf>,
}

/// TLS, as the files said last that could be used.
pub struct Tls {
    files: TlsFiles,
    now: Mutex<Now>,
    handshakes: Semaphore,
}

struct Now {
    config: Arc<ServerConfig>,
    /// The files as they were when they were looked at last.
    seen: Vec<Seen>,
}

/// What the system says of a file: where any of it is another, so may be what is in it.
type Seen = Option<(u64, u64, u64, SystemTime, (i64, i64))>;

impl Tls {
    /// Reads `files`.
    ///
    /// # Errors
    /// `Invalid`, with a sentence for each way in which they cannot be used.
    pub fn new(files: TlsFiles) -> Result<Self> {
        let seen = files.seen();
        let config = Arc::new(files.read()?);
        let now = Mutex::new(Now { config, seen });
        Ok(Self { files, now, handshakes: Semaphore::new(HANDSHAKES_MAX) })
    }

    /// Takes up what changes of the files, until what this gives is dropped.
    pub fn follow_files(self: Arc<Self>) -> AbortOnDropHandle<()> {
        // tracked: aborted with what this gives.
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                self.look();
            }
        }))
    }

    /// Takes up the files, where they have changed and can be used.
    fn look(&self) {
        let seen = self.files.seen();
        if self.now().seen == seen {
            return;
        }
        match self.files.read() {
            Ok(config) => {
                *self.now() = Now { config: Arc::new(config), seen };
                tracing::info!("the certificate of HTTP was changed, and is taken up");
            }
            Err(error) => {
                self.now().seen = seen;
                tracing::error!(
                    "the changed certificate of HTTP is not taken up, the one before stays: {error}"
                );
            }
        }
    }

    fn now(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a client in that ends its handshake in time; `None` where it does not, or there are too many.
    pub(super) async fn admit(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let Ok(_turn) = self.handshakes.try_acquire() else {
            tracing::debug!("a handshake was not begun: there are too many");
            return None;
        };
        let config = Arc::clone(&self.now().config);
        match tokio::time::timeout(HANDSHAKE_WITHIN, shake(stream, config)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => tracing::debug!(%error, "a handshake failed"),
            Err(_late) => tracing::debug!("a handshake took too long"),
        }
        None
    }
}

async fn shake(mut stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<TlsStream<TcpStream>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first != [HANDSHAKE] {
        stream.write_all(NOT_PLAIN).await?;
        return Err(io::ErrorKind::InvalidData.into());
    }
    TlsAcceptor::from(config).accept(stream).await
}

impl TlsFiles {
    fn all(&self) -> impl Iterator<Item = &Path> {
        [&self.cert, &self.key].into_iter().chain(&self.client_ca).map(PathBuf::as_path)
    }

    fn seen(&self) -> Vec<Seen> {
        let look = |path: &Path| {
            let it = std::fs::metadata(path).ok()?;
            // Also when its rights were changed: they may be what was wrong.
            let changed = (it.ctime(), it.ctime_nsec());
            Some((it.dev(), it.ino(), it.len(), it.modified().ok()?, changed))
        };
        self.all().map(look).collect()
    }

    fn read(&self) -> Result<ServerConfig> {
        let provider = Arc::new(default_provider());
        let chain = certificates(&self.cert, "tls.cert")?;
        let key = private_key(&self.key)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|cause| Error::internal("setting TLS up", cause))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => builder.with_client_cert_verifier(verifier(path, provider)?),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|cause| {
            let (cert, key) = (self.cert.display(), self.key.display());
            Error::invalid(format!("the certificate in {cert} and the key in {key} cannot be used together"))
                .with_cause(cause)
                .with_hint("`tls.cert` has the certificate first and then its chain, `tls.key` the key of that certificate")
        })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn verifier(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn tokio_rustls::rustls::server::danger::ClientCertVerifier>> {
    let unusable = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::invalid(format!(
            "what is in {}, which `tls.client_ca` names, signs no client's",
            path.display()
        ))
        .with_cause(cause.to_string())
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "tls.client_ca")? {
        roots.add(certificate).map_err(|cause| unusable(cause.into()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|cause| unusable(cause.into())).map(|it| it as _)
}

fn certificates(path: &Path, setting: &str) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = read(path, setting)?;
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(Error::invalid(format!("{}, which `{setting}` names, has no certificate", path.display()))
            .with_hint("it is a PEM file: `-----BEGIN CERTIFICATE-----` and so on")),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    const SETTING: &str = "tls.key";
    // A group is what Kubernetes gives a secret's file to (`fsGroup`), so it may read.
    let mode = std::fs::metadata(path).map_or(0, |it| it.mode());
    if mode & 0o027 != 0 {
        let mode = mode & 0o777;
        return Err(Error::invalid(format!("{} can be read by others (mode {mode:o})", path.display()))
            .with_hint(format!("it is the private key that `{SETTING}` names: `chmod 600` it")));
    }
    let bytes = read(path, SETTING)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        // What the reader says of it may quote it.
        Error::invalid(format!("{}, which `{SETTING}` names, has no private key", path.display()))
            .with_hint("it is a PEM file without a password, as `openssl genpkey` writes it")
    })
}

fn read(path: &Path, setting: &str) -> Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(cause) => {
            let sentence =
                format!("{}, which `{setting}` names, cannot be read: {}", path.display(), cause.kind());
            Err(Error::invalid(sentence)
                .with_cause(cause)
                .with_hint("the user that runs Station must be able to read it; a relative path begins at the configuration folder"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    fn put(folder: &Path) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        std::fs::write(folder.join("cert.pem"), made.cert.pem()).expect("it is written");
        std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("it is written");
        std::fs::set_permissions(folder.join("key.pem"), Permissions::from_mode(0o640)).expect("it is ours");
    }

    fn tls(folder: &Path) -> Tls {
        put(folder);
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        Tls::new(TlsFiles { cert, key, client_ca: None }).expect("they can be used")
    }

    /// Both ends of a connection.
    async fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let theirs =
            TcpStream::connect(listener.local_addr().expect("it has one")).await.expect("it is open");
        (listener.accept().await.expect("somebody came").0, theirs)
    }

    #[tokio::test(start_paused = true)]
    async fn who_begins_no_handshake_is_let_go_of_and_some_hundred_of_them_keep_no_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let tls = tls(folder.path());
        let (ours, _theirs) = connection().await;
        let began = Instant::now();
        assert!(tls.admit(ours).await.is_none());
        assert_eq!(began.elapsed().as_secs(), HANDSHAKE_WITHIN.as_secs());
        let places = u32::try_from(HANDSHAKES_MAX).expect("some hundred");
        let taken = tls.handshakes.try_acquire_many(places).expect("the place was given back");
        let (ours, _theirs) = connection().await;
        let began = Instant::now();
        assert!(tls.admit(ours).await.is_none());
        assert_eq!(began.elapsed().as_secs(), 0, "one more is let go of at once");
        drop(taken);
    }

    #[test]
    fn changed_files_are_taken_up_once_both_fit() {
        let folder = tempfile::tempdir().expect("a folder");
        let tls = tls(folder.path());
        let shown = || Arc::as_ptr(&tls.now().config) as usize;
        let first = shown();
        tls.look();
        assert_eq!(shown(), first, "nothing has changed");
        let cert = std::fs::read(folder.path().join("cert.pem")).expect("it is there");
        put(folder.path());
        let next = std::fs::read(folder.path().join("cert.pem")).expect("it is there");
        std::fs::write(folder.path().join("cert.pem"), cert).expect("it is written");
        tls.look();
        assert_eq!(shown(), first, "a key of another certificate");
        std::fs::write(folder.path().join("cert.pem"), [&next[..], b"\n"].concat()).expect("it is written");
        tls.look();
        assert_ne!(shown(), first);
    }

    #[test]
    fn who_speaks_http_is_told_as_many_bytes_as_announced() {
        let told = std::str::from_utf8(NOT_PLAIN).expect("it is text");
        let (head, body) = told.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
