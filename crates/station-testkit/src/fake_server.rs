//! Where the fake MCP server is, and the shim to run it under.
//!
//! `CARGO_BIN_EXE_…` is known only inside a package's own tests, so the programs are looked for beside the running test
//! executable, and built when they are missing or older than their sources. What the server can do stands at the top
//! of `src/bin/fake-mcp-server/main.rs`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// How long the fake server may take to listen, on a loaded machine.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// A file of its own for each server's port.
static PORT_FILES: AtomicUsize = AtomicUsize::new(0);

/// The fake MCP server's program.
///
/// # Panics
///
/// When it cannot be built: a test must not pass without it.
#[must_use]
pub fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| built("fake-mcp-server")).clone()
}

/// The program of the server that the official conformance suite describes.
///
/// # Panics
///
/// When it cannot be built.
#[must_use]
pub fn conformance() -> PathBuf {
    static CONFORMANCE: OnceLock<PathBuf> = OnceLock::new();
    CONFORMANCE.get_or_init(|| built("conformance-server")).clone()
}

/// The shim's program; its first argument is `__shim`.
///
/// # Panics
///
/// When it cannot be built.
#[must_use]
pub fn shim() -> PathBuf {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| built("station-shim")).clone()
}

/// A browser without a window, for `$BROWSER`.
///
/// # Panics
///
/// When it cannot be built.
#[must_use]
pub fn browser() -> PathBuf {
    static BROWSER: OnceLock<PathBuf> = OnceLock::new();
    BROWSER.get_or_init(|| built("fake-browser")).clone()
}

/// A program of this package, up to date.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    // <target>/<profile>/deps/<test>
    let profile = test.ancestors().nth(2).expect("a test executable lies two folders below its profile's");
    let target = profile.parent().expect("a profile's folder lies in the target folder");
    let program = profile.join(name);
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mcp = package.join("../station-mcp/src");
    let shim = ["shim.rs", "census.rs", "process.rs", "sandbox"].map(|part| mcp.join(part));
    let sources = [package.join("src/bin")].into_iter().chain(shim);
    let newest = sources.filter_map(|source| newest(&source)).max();
    if modified(&program) < newest {
        // The folder of the profile `dev` is called `debug`.
        let profile = match profile.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "station-testkit", "--bin", name])
            .args(["--profile", profile, "--manifest-path"])
            .arg(package.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(target)
            .status()
            .expect("cargo, which built this test, can be run");
        assert!(status.success(), "`{name}` could not be built");
    }
    program
}

/// When the newest file of a folder, or the file, was written.
fn newest(path: &Path) -> Option<SystemTime> {
    let inside = std::fs::read_dir(path).into_iter().flatten().flatten();
    inside.filter_map(|entry| newest(&entry.path())).chain(modified(path)).max()
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|found| found.modified()).ok()
}

/// The fake MCP server over HTTP, ended when this is dropped.
#[derive(Debug)]
pub struct Remote {
    child: Child,
    port: u16,
}

impl Remote {
    /// Starts it with `options`; its files are in `folder`.
    ///
    /// # Panics
    ///
    /// When it cannot be started, or does not listen in good time.
    #[must_use]
    pub fn start(folder: &Path, options: &[String]) -> Self {
        Self::of(&binary(), folder, options)
    }

    /// The same of the fake server at `program`, for whoever is no test.
    ///
    /// # Panics
    ///
    /// As [`Remote::start`].
    #[must_use]
    pub fn of(program: &Path, folder: &Path, options: &[String]) -> Self {
        let file = folder.join(format!("port-{}", PORT_FILES.fetch_add(1, Ordering::Relaxed)));
        let child = Command::new(program)
            .arg("--http")
            .arg(&file)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the fake server can be started");
        let mut remote = Self { child, port: 0 };
        let deadline = Instant::now() + START_TIMEOUT;
        while remote.port == 0 {
            assert!(Instant::now() < deadline, "the fake server does not listen");
            match std::fs::read_to_string(&file).ok().and_then(|port| port.parse().ok()) {
                Some(port) => remote.port = port,
                None => std::thread::park_timeout(LOOK),
            }
        }
        remote
    }

    /// Where it is, with `path`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once, as a machine that loses its power.
    ///
    /// # Panics
    ///
    /// When it cannot be ended.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // It may be dead already; either way nothing is left.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
