//! A real PostgreSQL for tests: one cluster per test binary, a database per test, over a Unix socket.
//!
//! The binaries are Debian's, in `/usr/lib/postgresql/*/bin`; where there are none the test fails and says what to
//! install, because a store that was only tested on one engine was not tested. `initdb` and `postgres` refuse to run
//! as root, so as root they are started as the user `postgres`, or `nobody`. A small shell watches a pipe that this
//! process holds: when the process ends, however it ends, the shell stops the server and removes its folder.

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// The superuser of the cluster.
const USER: &str = "station";

/// A role that has a password and must give it.
const LOCKED_USER: &str = "locked";

/// How long `initdb` and the start may take on a machine that is busy with a build.
const START_MAX: Duration = Duration::from_secs(120);

/// What is waited between two looks at the socket.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Stops the server and removes the folder when its input ends. `fsync=off`: nothing here outlives the test.
const SCRIPT: &str = r#"
set -e
"$BIN/initdb" -D "$DIR/data" -U station --auth=trust --no-sync -E UTF8 --locale=C.UTF-8 >"$DIR/log" 2>&1 </dev/null
{ echo "local all locked scram-sha-256"; echo "local all all trust"; } >"$DIR/data/pg_hba.conf"
"$BIN/postgres" -D "$DIR/data" -k "$DIR" -c listen_addresses= -c fsync=off -c full_page_writes=off \
    -c max_connections=200 -c shared_buffers=32MB >>"$DIR/log" 2>&1 </dev/null &
server=$!
cat >/dev/null || true
# Whoever runs by now: a test may have stopped and started it.
"$BIN/pg_ctl" -D "$DIR/data" -m immediate stop >>"$DIR/log" 2>&1 || true
wait $server || true
rm -rf "$DIR"
"#;

/// The cluster of this test binary, started by whoever asks first.
///
/// # Panics
/// Where PostgreSQL is missing or does not start: a test must not be skipped.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::start)
}

/// A running PostgreSQL.
pub struct Cluster {
    bin: PathBuf,
    folder: PathBuf,
    databases: AtomicU32,
    /// Holds the pipe whose end stops the server.
    shell: Mutex<Child>,
}

impl Cluster {
    /// A cluster of one test's own, which it may stop.
    ///
    /// # Panics
    /// As [`cluster`].
    #[must_use]
    pub fn own() -> Self {
        Self::start()
    }

    /// Ends the server at once, as a crash would, and every connection with it.
    ///
    /// # Panics
    /// Where it does not end.
    pub fn crash(&self) {
        self.control(&["-m", "immediate", "stop"]);
    }

    /// Starts it again after [`Cluster::crash`].
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_again(&self) {
        let options = format!("-k {} -c listen_addresses= -c fsync=off", self.folder.display());
        self.control(&["-o", &options, "-w", "start"]);
    }

    fn control(&self, args: &[&str]) {
        let mut command = as_unprivileged(&self.folder);
        command.arg(self.bin.join("pg_ctl")).arg("-D").arg(self.folder.join("data"));
        command.arg("-l").arg(self.folder.join("log")).args(args).current_dir("/");
        // Not a pipe: the server would inherit it and keep its reader waiting.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let done = command.status().expect("pg_ctl can be run");
        assert!(done.success(), "pg_ctl {args:?} failed; see {}/log", self.folder.display());
    }

    fn start() -> Self {
        let bin = binaries();
        let folder = folder();
        let mut command = as_unprivileged(&folder);
        let shell = command
            .args(["sh", "-c", SCRIPT])
            .env("BIN", &bin)
            .env("DIR", &folder)
            .current_dir("/")
            // Its own group: Ctrl-C ends the tests, and the end of the tests ends the server.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell can be started");
        let cluster = Self { bin, folder, databases: AtomicU32::new(0), shell: Mutex::new(shell) };
        cluster.wait_until_ready();
        cluster.run("postgres", "create role locked login superuser password 'right'");
        cluster
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "there is nothing to wait for but the socket, and the caller is not async"
    )]
    fn wait_until_ready(&self) {
        let deadline = Instant::now() + START_MAX;
        while !self.psql("select 1").status().is_ok_and(|status| status.success()) {
            let mut shell = self.shell.lock().expect("nobody panics with the shell");
            let ended = shell.try_wait().expect("the shell is our child").is_some();
            if ended || Instant::now() > deadline {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                let mut said = String::new();
                if let Some(stderr) = shell.stderr.as_mut().filter(|_| ended) {
                    stderr.read_to_string(&mut said).expect("a pipe can be read");
                }
                panic!("PostgreSQL did not start in {}:\n{log}\n{said}", self.folder.display());
            }
            drop(shell);
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The URL of a new, empty database.
    ///
    /// # Panics
    /// Where it cannot be made.
    #[must_use]
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.run("postgres", &format!("create database {name}"));
        self.url(USER, &name)
    }

    /// The URL of a database, whether it exists or not.
    #[must_use]
    pub fn url(&self, user: &str, database: &str) -> String {
        format!("postgres:///{database}?host={}&user={user}", self.folder.display())
    }

    /// The URL of a role that needs the password `right`, with `password`.
    #[must_use]
    pub fn url_with_password(&self, password: &str) -> String {
        format!("{}&password={password}", self.url(LOCKED_USER, "postgres"))
    }

    /// Runs SQL in the database of `url` and returns what `psql` prints, one line per row.
    ///
    /// # Panics
    /// Where it fails.
    pub fn query(&self, url: &str, sql: &str) -> String {
        self.run(database_of(url), sql)
    }

    /// Makes `body` the whole journal of a run that was not driven yet, or takes it away again.
    ///
    /// # Panics
    /// Where it fails.
    pub fn set_journal(&self, url: &str, run: i64, body: Option<&str>) {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/set_journal.sql");
        let mut command = self.psql("");
        command.env("PGDATABASE", database_of(url)).args(["-v", &format!("run={run}")]);
        command.args(["-v", &format!("body={}", body.unwrap_or_default()), "-f", file]);
        assert!(command.status().expect("psql can be run").success(), "the journal could not be set");
    }

    /// Makes the store in the database of `url` say that its schema is this `version`.
    ///
    /// # Panics
    /// Where it fails.
    pub fn set_version(&self, url: &str, version: i64) {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/set_version.sql");
        let mut command = self.psql("");
        command.env("PGDATABASE", database_of(url)).args(["-v", &format!("version={version}"), "-f", file]);
        assert!(command.status().expect("psql can be run").success(), "the version could not be set");
    }

    /// Makes the store in the database of `url` say that it is sealed with the key of this id.
    ///
    /// # Panics
    /// Where it fails.
    pub fn set_key(&self, url: &str, key: &str) {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/set_key.sql");
        let mut command = self.psql("");
        command.env("PGDATABASE", database_of(url)).args(["-v", &format!("key={key}"), "-f", file]);
        assert!(command.status().expect("psql can be run").success(), "the key could not be set");
    }

    /// A dump of the database of `url`, schema and rows: what whoever can read it sees.
    ///
    /// # Panics
    /// Where it cannot be made.
    #[must_use]
    pub fn dump(&self, url: &str) -> String {
        let mut command = Command::new(self.bin.join("pg_dump"));
        command.args(["-U", USER, "-h"]).arg(&self.folder).arg(database_of(url)).stdin(Stdio::null());
        let done = command.output().expect("pg_dump can be run");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    fn run(&self, database: &str, sql: &str) -> String {
        let mut command = self.psql(sql);
        command.env("PGDATABASE", database).stdout(Stdio::piped()).stderr(Stdio::piped());
        let done = command.output().expect("psql can be run");
        assert!(done.status.success(), "{sql} failed: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    fn psql(&self, sql: &str) -> Command {
        let mut command = Command::new(self.bin.join("psql"));
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", USER, "-c", sql])
            .arg("-h")
            .arg(&self.folder)
            .env("PGDATABASE", "postgres")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// The name in a URL as [`Cluster::url`] makes it.
fn database_of(url: &str) -> &str {
    url.trim_start_matches("postgres:///").split('?').next().unwrap_or_default()
}

/// The newest PostgreSQL that Debian installed.
fn binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .map(|version| version.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
        .max_by_key(|bin| version_of(bin));
    newest.expect("PostgreSQL is needed by this test: apt-get install postgresql")
}

fn version_of(bin: &Path) -> u32 {
    let version = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    version.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// A new folder that the server's user owns. In `/tmp`, because a socket's path has at most 107 bytes.
fn folder() -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix("station-pg-")
        .tempdir_in("/tmp")
        .expect("a folder can be made in /tmp")
        .keep();
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("our folder");
    folder
}

/// A command that runs what follows as somebody who is not root, who then owns `folder`.
fn as_unprivileged(folder: &Path) -> Command {
    if !nix::unistd::Uid::effective().is_root() {
        return Command::new("env");
    }
    let user = ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| nix::unistd::User::from_name(name).ok().flatten())
        .expect("a system has the user `nobody`");
    chown(folder, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root may give a folder away");
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={}", user.uid)).arg(format!("--regid={}", user.gid)).arg("--clear-groups");
    command
}
