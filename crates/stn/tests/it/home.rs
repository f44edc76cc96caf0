//! A user's home in a temporary folder, and what `stn` says there.

use expect_test::Expect;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regex::Regex;
use serde_json::{Value, json};
use station_testkit::fake_server;
use station_testkit::openai::{self, OpenAi};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use tempfile::TempDir;

/// A home with nothing in it.
pub(crate) struct Home {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// What one command said.
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
    home: PathBuf,
}

impl Home {
    pub(crate) fn new() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "tool servers of tests are found as the test's own programs are"
        )]
        let path = std::env::var("PATH").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let of_session = folder.path().join("run");
        std::fs::create_dir(&of_session).unwrap();
        // What servers of tests write: right in the home they can make nothing, since Station's folder is below it.
        std::fs::create_dir(folder.path().join("work")).unwrap();
        let temporary = folder.path().join("tmp");
        std::fs::create_dir(&temporary).unwrap();
        Self { folder, variables: Vec::new() }
            .set("PATH", &path)
            .set("TMPDIR", temporary.to_str().unwrap())
            .set("XDG_RUNTIME_DIR", of_session.to_str().unwrap())
            // Homes of tests work side by side: each worker's door is where the system puts it.
            .set("STN_API_PORT", "0")
    }

    /// A home after `stn init`.
    pub(crate) fn with_init() -> Self {
        let home = Self::new();
        home.stn(&["init", "--yes"]).done();
        home
    }

    /// A home with the fake server `fake` in `default`, discovered.
    pub(crate) fn with_fake() -> Self {
        let home = Self::with_init();
        home.server("default", "fake", &["--log", "/dev/null"]);
        home.stn(&["sync", "--quiet"]).done();
        home
    }

    /// A home with an `npx` that starts the servers installed in `tests/node/<folder>`, without a registry and whatever
    /// version is asked for: `npx -y <package>@<version> <arguments>`.
    pub(crate) fn with_npx(folder: &str) -> Self {
        let home = Self::new();
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/node").join(folder);
        let modules = tests.join("node_modules").canonicalize().expect("scripts/setup test was run");
        let script = format!(
            "#!/bin/sh\npackage=\"${{2%@*}}\"\nshift 2\nexec node \"{}/$package/dist/index.js\" \"$@\"\n",
            modules.display()
        );
        let npx = home.path().join("npx");
        std::fs::write(&npx, script).unwrap();
        std::fs::set_permissions(&npx, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", home.path().display(), home.variables[0].1);
        home.set("PATH", &path)
    }

    /// Sets a variable for every command from now on.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The configured model is a stand-in's, at `model`.
    pub(crate) fn asking(self, model: &OpenAi) -> Self {
        self.set("STN_AI_PROVIDER", "openai")
            .set("STN_AI_MODEL", "stand-in-1")
            .set("STN_AI_BASE_URL", &model.base_url())
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path where servers of tests may write.
    pub(crate) fn work(&self, name: &str) -> PathBuf {
        self.path().join("work").join(name)
    }

    /// A path in the configuration folder.
    pub(crate) fn config(&self, relative: &str) -> PathBuf {
        self.path().join(".config/station").join(relative)
    }

    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.config(relative);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        std::fs::read_to_string(self.config(relative)).unwrap()
    }

    /// Writes a server file with one fake server.
    pub(crate) fn server(&self, environment: &str, name: &str, options: &[&str]) {
        let entry = json!({ "command": fake_server::binary(), "args": options });
        let file = json!({ "mcpServers": { name: entry } });
        self.write(&format!("environments/{environment}/mcp-servers/{name}.json"), &file.to_string());
    }

    /// Writes an agent's file.
    pub(crate) fn agent(&self, environment: &str, name: &str, front: &str) {
        let text = format!("---\nmetadata:\n  description: \"It is {name}\"\n{front}---\nYou are {name}.\n");
        self.write(&format!("environments/{environment}/agents/{name}.prompt"), &text);
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stn"));
        command.args(args).env_clear().env("HOME", self.path()).current_dir(self.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `stn` with nothing on standard input.
    pub(crate) fn stn(&self, args: &[&str]) -> Said {
        self.stn_reading(args, "")
    }

    /// Runs `stn` with `input` on standard input.
    pub(crate) fn stn_reading(&self, args: &[&str], input: &str) -> Said {
        let mut child = self.start(args);
        // A command that does not read closes its end first: that is its right.
        child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
        self.said(child)
    }

    /// Starts `stn` and leaves it running.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let pipes = || Stdio::piped();
        self.command(args).stdin(pipes()).stdout(pipes()).stderr(pipes()).spawn().unwrap()
    }

    /// Waits for what was started.
    pub(crate) fn said(&self, child: Child) -> Said {
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said {
            stdout: text(output.stdout),
            stderr: text(output.stderr),
            code: output.status.code(),
            home: self.path().to_owned(),
        }
    }

    /// A key of a new user, who is made with these options.
    pub(crate) fn key_of(&self, name: &str, options: &[&str]) -> String {
        let made = self.json(&[&["user", "create", name], options].concat());
        made["secret"].as_str().unwrap().to_owned()
    }

    /// Runs `stn` with `--json` and reads what it printed.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = ["--json"].into_iter().chain(args.iter().copied()).collect();
        let said = self.stn(&args);
        serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {}", said.shown()))
    }
}

/// A model that has the fake server's `read` called, and is done then.
pub(crate) fn reading() -> OpenAi {
    OpenAi::from_fn(|seen| match seen.results().len() {
        0 => openai::calls([("read", r#"{"path": "notes.txt"}"#)]),
        _ => openai::reply("done"),
    })
}

/// A process that does not outlive a test that fails.
pub(crate) struct Process(pub(crate) Option<Child>);

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.id()).unwrap()), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self, home: &Home) -> Said {
        home.said(self.0.take().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().ok();
        }
    }
}

impl Said {
    /// Everything a person sees, with what differs from run to run named.
    pub(crate) fn shown(&self) -> String {
        let mut text = self.stdout.clone();
        if !self.stderr.is_empty() {
            write!(text, "--- stderr\n{}", self.stderr).unwrap();
        }
        match self.code {
            Some(0) => {}
            Some(code) => writeln!(text, "--- exit {code}").unwrap(),
            None => text.push_str("--- ended by a signal\n"),
        }
        stable(&text, &self.home)
    }

    #[track_caller]
    pub(crate) fn is(&self, expected: &Expect) -> &Self {
        expected.assert_eq(&self.shown());
        self
    }

    /// As `is`, where sub-agents worked side by side: their lines arrive in any order and are told one agent after the
    /// other. Sizes are left out, because some are those of this machine's paths.
    #[track_caller]
    pub(crate) fn is_side_by_side(&self, expected: &Expect) -> &Self {
        let of = |line: &str| {
            line.trim_start().strip_prefix('[').and_then(|it| it.split(']').next()).map(str::to_owned)
        };
        let shown = self.shown();
        let mut lines: Vec<&str> = shown.lines().collect();
        for block in lines.chunk_by_mut(|one, other| of(one).is_some() == of(other).is_some()) {
            // A stable sort: the order within one agent is what happened.
            block.sort_by_key(|line| of(line));
        }
        let text =
            Regex::new(r": \d+ bytes").unwrap().replace_all(&lines.join("\n"), ": [size]").into_owned();
        expected.assert_eq(&(text + "\n"));
        self
    }

    #[track_caller]
    pub(crate) fn done(&self) -> &Self {
        self.exits(0)
    }

    #[track_caller]
    pub(crate) fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.shown());
        self
    }
}

/// What differs from run to run, and what stands for it.
static UNSTABLE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+Z)?", "[time]"),
        (r"since \d\d:\d\d UTC", "since [time]"),
        (r"Listening on http://127\.0\.0\.1:\d+", "Listening on http://127.0.0.1:[port]"),
        (r" +\d+(\.\d)? (ms|s)\b", " [span]"),
        (r"(?m)^ +\[span\]", "[span]"),
        (r"\b([Kk]ey|id) [0-9a-f]{8}\b", "$1 [id]"),
        (r"(taken up|taken up again|stop) by \S+", "$1 by [worker]"),
        (r"\b([Ww]orker) [^\s:]+:\d+", "$1 [worker]"),
        (r"added by \S+ \(\S+\)", "added by [person]"),
        (r"by hand, \S+,", "by hand, [person],"),
        (r"a client of \S+", "a client of [person]"),
        (r"\b[0-9a-f]{16}\b", "[workspace]"),
        (r"`test_\d+ at /tmp/station-pg-\w+`", "`[postgres]`"),
    ]
    .into_iter()
    .map(|(pattern, name)| (Regex::new(pattern).unwrap(), name))
    .collect()
});

/// A sign of life: where something takes longer than a second, which depends on the machine.
static ALIVE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^(asking|bringing|calling|run \d+ is|starting|syncing) .* …\n").unwrap()
});

fn stable(text: &str, home: &Path) -> String {
    let text = ALIVE.replace_all(text, "");
    let text = text.replace(&home.display().to_string(), "$HOME");
    let text = text.replace(&fake_server::binary().display().to_string(), "$FAKE");
    let text =
        UNSTABLE.iter().fold(text, |text, (pattern, name)| pattern.replace_all(&text, *name).into_owned());
    // Columns are as wide as what stands in them; a caret stays where it is.
    let narrow = |line: &str| {
        if line.ends_with('^') { line.to_owned() } else { COLUMNS.replace_all(line, "$1  ").into_owned() }
    };
    text.lines().map(|line| narrow(line) + "\n").collect()
}

static COLUMNS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\S) {2,}").unwrap());
