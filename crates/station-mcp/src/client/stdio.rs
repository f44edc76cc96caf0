//! A tool server as a child process, under the shim.
//!
//! What is here is about the process: its environment, its streams, its last words and its end. What is said over
//! the streams is [`super::wire`]'s business. **Invariant:** Station's end of the shim's socket is in [`Child`] and
//! nowhere else, so dropping it is the end of the whole tree of processes.

use super::stderr::Stderr;
use super::{ConnectError, Launch};
use crate::{Process, sandbox, shim};
use station_core::{Definition, Secret};
use std::collections::BTreeMap;
use std::io::{PipeWriter, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// What every server gets of Station's environment, beside variables that begin with `LC_`.
const BASE_NAMES: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM"];

/// How long a server may take to end after its stdin closed, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// How long the shim may take to kill everything. It takes milliseconds; a process that cannot be killed now (waiting
/// for a dead disk) must not hold Station.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// How long to wait, after a connection broke, for the process to end and for its last words.
const LAST_WORDS_WAIT: Duration = Duration::from_secs(1);

/// The exit code of a shim that ended its program, as shells have it for SIGKILL.
const KILLED: i32 = 137;

/// A running server.
#[derive(Debug)]
pub(super) struct Child {
    process: Option<Process>,
    control: Mutex<Option<UnixStream>>,
    stderr: Arc<Stderr>,
    /// How the shim ended; filled when stderr has been read to its end, too.
    ended: watch::Receiver<Option<ExitStatus>>,
    /// Reads stderr and waits for the shim; it ends with the shim, or with this.
    _attendant: AbortOnDropHandle<()>,
}

/// The two streams a protocol is spoken over.
pub(super) struct Streams {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
}

/// Starts the server of `launch` under the shim.
pub(super) fn spawn(launch: &Launch) -> Result<(Child, Streams), ConnectError> {
    let Definition::Stdio { command, args, env, cwd, .. } = &launch.definition else {
        return Err(ConnectError::plain(format!(
            "server `{}` is no program that could be started",
            launch.server
        )));
    };
    let folder = folder(&launch.folder, cwd.as_deref());
    if !folder.is_dir() {
        return Err(ConnectError::plain(format!(
            "server `{}`: its folder `{}` does not exist",
            launch.server,
            folder.display()
        )));
    }
    let refused = |what: &str, error: &std::io::Error| {
        ConnectError::plain(format!("server `{}`: {what}: {error}", launch.server))
    };
    let Some(ours) = Process::own() else {
        return Err(ConnectError::plain(format!(
            "server `{}` was not started: /proc does not show our own process",
            launch.server
        )));
    };
    let order = sandbox::order(launch, &folder)
        .map_err(|why| ConnectError::plain(format!("server `{}` {why}", launch.server)))?;
    let Given { control, theirs, stdin } =
        Given::of(launch).map_err(|error| refused("its pipes could not be made", &error))?;
    let mut shim = std::process::Command::new(&launch.shim.program);
    shim.args(&launch.shim.args)
        .arg(ours.to_string())
        .arg(order)
        .arg("--")
        .arg(command)
        .args(args)
        .env_clear()
        .envs(environment(&launch.inherited, &launch.child_env, env))
        .current_dir(&folder)
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = tokio::process::Command::from(shim)
        .spawn()
        .map_err(|error| refused("Station's own program could not be started for it", &error))?;
    let streams = Streams { stdin, stdout: child.stdout.take().expect("stdout is piped") };
    let stderr = Arc::new(Stderr::new(launch.definition.redaction()));
    let (tell, ended) = watch::channel(None);
    let process = child.id().and_then(Process::of);
    // tracked: ends with the shim, and is aborted when the connection is dropped.
    let attendant = tokio::spawn(attend(child, Arc::clone(&stderr), tell));
    let control = Mutex::new(Some(control));
    let child = Child { process, control, stderr, ended, _attendant: AbortOnDropHandle::new(attendant) };
    Ok((child, streams))
}

/// What a shim is given, before it is started.
struct Given {
    /// Station's end of the socket, for as long as the server may live.
    control: UnixStream,
    /// The shim's end of it, with what is in it for the program.
    theirs: UnixStream,
    /// The program's stdin.
    stdin: ChildStdin,
}

impl Given {
    fn of(launch: &Launch) -> std::io::Result<Self> {
        let (control, theirs) = UnixStream::pair()?;
        let (read, stdin) = std::io::pipe()?;
        let handed = match &launch.handed {
            Some(text) => {
                let (read, write) = std::io::pipe()?;
                hand(write, text.clone());
                Some(read)
            }
            None => None,
        };
        shim::give(&control, &read, handed.as_ref())?;
        let stdin = ChildStdin::from_std(OwnedFd::from(stdin).into())?;
        Ok(Self { control, theirs, stdin })
    }
}

/// Writes `text` beside whatever else happens: it may be longer than the pipe holds, and the child may end unread.
fn hand(mut pipe: PipeWriter, text: Secret) {
    // tracked: ends when the text is written, or when nobody is left to read it.
    drop(tokio::task::spawn_blocking(move || {
        if let Err(error) = pipe.write_all(text.expose().as_bytes()) {
            tracing::warn!(%error, "a server of ours did not read what it was handed");
        }
    }));
}

/// Reads stderr to its end and reaps the shim.
async fn attend(
    mut child: tokio::process::Child,
    stderr: Arc<Stderr>,
    tell: watch::Sender<Option<ExitStatus>>,
) {
    let pipe = child.stderr.take().expect("stderr is piped");
    let mut listening = std::pin::pin!(listen(pipe, &stderr));
    let status = tokio::select! {
        () = &mut listening => child.wait().await,
        status = child.wait() => {
            // The last words may still be in the pipe; but a descendant of a shim that was killed could hold it open.
            let _heard = tokio::time::timeout(LAST_WORDS_WAIT, listening).await;
            status
        }
    };
    match status {
        Ok(status) => {
            tell.send_replace(Some(status));
        }
        Err(error) => tracing::warn!(%error, "cannot learn how a server ended"),
    }
}

async fn listen(mut pipe: ChildStderr, stderr: &Stderr) {
    let mut piece = vec![0; 4096];
    // An error means what an end means: nothing more will come.
    while let Ok(length @ 1..) = pipe.read(&mut piece).await {
        stderr.hear(&piece[..length]);
    }
    stderr.end();
}

impl Child {
    pub(super) fn process(&self) -> Option<Process> {
        self.process
    }

    pub(super) fn stderr(&self) -> Vec<String> {
        self.stderr.lines()
    }

    /// Waits a little for the process to end, and says how it did: `None` if it goes on.
    pub(super) async fn ending(&self) -> Option<Ending> {
        if !self.ended_within(LAST_WORDS_WAIT).await {
            return None;
        }
        let status = (*self.ended.borrow())?;
        Some(Ending::of(status, &self.stderr.lines()))
    }

    /// Waits for the server, whose stdin has been closed, to end; kills it and all it started when it does not.
    pub(super) async fn end(&self) {
        if !self.ended_within(GRACE).await {
            self.kill_now().await;
        }
    }

    /// Closes the socket, so that the shim kills everything, and waits for that.
    pub(super) async fn kill_now(&self) {
        drop(self.control.lock().expect("nobody panics while holding the socket").take());
        if !self.ended_within(KILL_WAIT).await {
            tracing::warn!(pid = self.process.map(|process| process.pid), "a server could not be killed");
        }
    }

    async fn ended_within(&self, limit: Duration) -> bool {
        let mut ended = self.ended.clone();
        // The outer error is the limit, the inner one a status that will never be known; both mean "not seen to end".
        matches!(tokio::time::timeout(limit, ended.wait_for(Option::is_some)).await, Ok(Ok(_)))
    }
}

/// How a server ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ending {
    /// The rest of a sentence that begins with its name.
    pub(super) words: String,
    /// Whether it ran at all.
    pub(super) started: bool,
}

impl Ending {
    fn of(status: ExitStatus, stderr: &[String]) -> Self {
        let code = status.code();
        let failed = [shim::NOT_FOUND, shim::NOT_STARTED].map(i32::from).contains(&code.unwrap_or_default());
        // A shell in between ends with the same codes; only the shim speaks with this voice.
        let said = stderr.iter().find_map(|line| line.strip_prefix(shim::VOICE));
        if failed && let Some(said) = said {
            return Self { words: format!("could not be started: {said}"), started: false };
        }
        if let (Some(said), Some(KILLED)) = (said, code) {
            return Self { words: format!("was ended: {said}"), started: true };
        }
        let words = match code {
            Some(code @ 129..160) => format!("ended with exit code {code} (signal {})", code - 128),
            Some(code) => format!("ended with exit code {code}"),
            None => "was killed".to_owned(),
        };
        Self { words, started: true }
    }
}

fn folder(workspace: &Path, cwd: Option<&str>) -> PathBuf {
    // Joining an absolute path gives that path.
    cwd.map_or_else(|| workspace.to_owned(), |cwd| workspace.join(cwd))
}

/// What a server may see: the base list, what is declared for all, and what is declared for it. Nothing else.
fn environment(
    inherited: &BTreeMap<String, String>,
    child_env: &[String],
    declared: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let passed = |name: &str| {
        BASE_NAMES.contains(&name) || name.starts_with("LC_") || child_env.iter().any(|wanted| wanted == name)
    };
    inherited
        .iter()
        .filter(|(name, _)| passed(name))
        .chain(declared)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_server_sees_the_base_list_and_what_is_declared() {
        let inherited = map(&[
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("OPENAI_API_KEY", "canary"),
            ("HTTPS_PROXY", "proxy"),
            ("KUBECONFIG", "kube"),
        ]);
        let check = |child_env: &[&str], declared: &[(&str, &str)], expected: &[(&str, &str)]| {
            let child_env: Vec<String> = child_env.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(environment(&inherited, &child_env, &map(declared)), map(expected));
        };
        check(&[], &[], &[("PATH", "/bin"), ("LC_ALL", "C")]);
        check(&["KUBECONFIG"], &[], &[("PATH", "/bin"), ("LC_ALL", "C"), ("KUBECONFIG", "kube")]);
        check(&[], &[("PATH", "/opt"), ("A", "b")], &[("PATH", "/opt"), ("LC_ALL", "C"), ("A", "b")]);
    }

    #[test]
    fn an_end_is_told_in_words() {
        let check = |raw: i32, stderr: &[&str], words: &str| {
            let stderr: Vec<String> = stderr.iter().map(|line| (*line).to_owned()).collect();
            let started = !words.starts_with("could not");
            let expected = Ending { words: words.to_owned(), started };
            assert_eq!(Ending::of(ExitStatus::from_raw(raw), &stderr), expected);
        };
        check(3 << 8, &[], "ended with exit code 3");
        check(137 << 8, &[], "ended with exit code 137 (signal 9)");
        check(127 << 8, &["sh: nothing"], "ended with exit code 127");
        check(
            127 << 8,
            &["station: the command `x` was not found in PATH"],
            "could not be started: the command `x` was not found in PATH",
        );
        check(
            137 << 8,
            &["station: it had more than 8 processes"],
            "was ended: it had more than 8 processes",
        );
        check(9, &[], "was killed");
    }

    #[test]
    fn a_relative_folder_is_in_the_workspace() {
        for (cwd, expected) in [(None, "/w"), (Some("tools"), "/w/tools"), (Some("/srv"), "/srv")] {
            assert_eq!(folder(Path::new("/w"), cwd), Path::new(expected));
        }
    }
}
