//! Questions at a real terminal: a pseudo-terminal that `stn` has as its controlling one, so that Ctrl-C is a signal.

use crate::home::Home;
use expect_test::expect;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use regex::Regex;
use serde_json::json;
use station_testkit::openai::{self, OpenAi};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

/// How long a question may take to come on a machine that is busy with a build.
const WAIT_MAX_MS: u16 = 60_000;

/// Keys as a terminal sends them.
const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";

/// What a person sees who runs `stn` with `args` and types `answer` when it asks with `question`; and its exit code.
pub(crate) fn typed(home: &Home, args: &[&str], question: &str, answer: &str) -> (String, Option<i32>) {
    let pty = openpty(None, None).unwrap();
    let stn = home.command(args);
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait"]).arg(stn.get_program()).args(stn.get_args());
    command.env_clear().envs(stn.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("NO_COLOR", "1").current_dir(home.path());
    let slave = || Stdio::from(pty.slave.try_clone().unwrap());
    command.stdin(slave()).stdout(slave()).stderr(slave());
    let mut child = command.spawn().unwrap();
    // Ours are closed, so that the end of the child is the end of what it says.
    drop(command);
    drop(pty.slave);
    let mut terminal = File::from(pty.master);
    let mut seen = Vec::new();
    let mut answered = false;
    while let Some(piece) = read(&mut terminal) {
        seen.extend(piece);
        if !answered && String::from_utf8_lossy(&seen).contains(question) {
            terminal.write_all(answer.as_bytes()).unwrap();
            answered = true;
        }
    }
    let code = child.wait().unwrap().code();
    let seen = String::from_utf8(seen).unwrap().replace("\r\n", "\n");
    (Regex::new(r"\x1b\[[0-9;?]*[A-Za-z]|\r").unwrap().replace_all(&seen, "").into_owned(), code)
}

/// What was written next; `None` when nobody has the other end open any more.
fn read(terminal: &mut File) -> Option<Vec<u8>> {
    let mut fds = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
    assert_ne!(poll(&mut fds, PollTimeout::from(WAIT_MAX_MS)).unwrap(), 0, "nothing was said for a minute");
    let mut piece = vec![0; 4096];
    // Linux answers EIO when the other end is closed.
    let n = terminal.read(&mut piece).ok().filter(|n| *n > 0)?;
    piece.truncate(n);
    Some(piece)
}

#[test]
fn deleting_asks_and_only_yes_deletes() {
    let home = Home::with_init();
    home.agent("default", "one", "model: offline\n");
    home.stn(&["sync", "--quiet"]).done();
    let delete = |answer: &str| typed(&home, &["agent", "delete", "one"], "[y/N]", answer);
    let (seen, code) = delete("n\n");
    expect![[r#"
        Agent 1 `one` of environment `default` would go.
          its file environments/default/agents/one.prompt would go too
          0 runs would be kept.
        delete agent `one`? [y/N] n
        error: you said no: nothing was changed
    "#]]
    .assert_eq(&seen);
    assert_eq!(code, Some(1));
    for answer in ["\n", "no\n", "yesterday\n"] {
        let (seen, code) = delete(answer);
        assert!(seen.ends_with("error: you said no: nothing was changed\n"), "{answer:?}: {seen}");
        assert_eq!(code, Some(1), "{answer:?}");
    }
    let (seen, code) = delete(CTRL_D);
    expect![[r#"
        Agent 1 `one` of environment `default` would go.
          its file environments/default/agents/one.prompt would go too
          0 runs would be kept.
        delete agent `one`? [y/N] 
        error: you said no: nothing was changed
    "#]]
    .assert_eq(&seen);
    assert_eq!(code, Some(1));
    let (seen, code) = delete(CTRL_C);
    expect![[r#"
        Agent 1 `one` of environment `default` would go.
          its file environments/default/agents/one.prompt would go too
          0 runs would be kept.
        delete agent `one`? [y/N] ^C
    "#]]
    .assert_eq(&seen);
    assert_eq!(code, Some(130));
    assert!(home.config("environments/default/agents/one.prompt").exists());
    assert_eq!(home.json(&["agent", "list"])["count"], 1);
    let (seen, code) = delete("Y\n");
    expect![[r#"
        Agent 1 `one` of environment `default` would go.
          its file environments/default/agents/one.prompt would go too
          0 runs would be kept.
        delete agent `one`? [y/N] Y
        Deleted agent `one`.
    "#]]
    .assert_eq(&seen);
    assert_eq!(code, Some(0));
    assert_eq!(home.json(&["agent", "list"])["count"], 0);
}

#[test]
fn every_deletion_asks_at_a_terminal() {
    let home = Home::with_fake();
    home.stn(&["env", "create", "staging", "--quiet"]).done();
    for (args, files) in [
        (["mcp", "delete", "fake"], "environments/default/mcp-servers/fake.json"),
        (["env", "delete", "staging"], "environments/staging"),
    ] {
        let (seen, code) = typed(&home, &args, "[y/N]", "n\n");
        assert!(seen.contains("you said no: nothing was changed"), "{seen}");
        assert_eq!((code, home.config(files).exists()), (Some(1), true), "{args:?}");
        let (seen, code) = typed(&home, &args, "[y/N]", "y\n");
        assert_eq!((code, home.config(files).exists()), (Some(0), false), "{args:?}: {seen}");
    }
}

#[test]
fn ctrl_c_is_an_answer_also_after_a_run_that_was_followed() {
    let model = OpenAi::from_fn(|_| {
        let new = json!({ "name": "parrot", "description": "d", "environment_id": 1, "prompt": "p", "tool_names": ["fake__echo"] });
        openai::calls([("create_agent", &new.to_string())])
    });
    let home = Home::with_fake().asking(&model).set("STN_AI_API_KEY", "a-key");
    let (seen, code) =
        typed(&home, &["agent", "create", "parrot", "Repeats"], "Make the agent so? [y/N]", CTRL_C);
    assert_eq!(code, Some(130), "{seen}");
    // Nobody waits for a yes to a plan that was dropped.
    assert_eq!(home.json(&["approvals", "list"])["count"], 0);
    assert_eq!(home.json(&["agent", "list"])["count"], 0);
}

#[test]
fn a_secret_that_is_typed_is_not_seen() {
    let home = Home::with_init();
    let set = |typing: &str| typed(&home, &["variables", "set", "TOKEN"], "not shown", typing);
    let (seen, code) = set("s3cret\n");
    expect![[r#"
        Value of TOKEN (it is not shown): 
        Set `TOKEN` in environment `default`.
    "#]]
    .assert_eq(&seen);
    assert_eq!(code, Some(0));
    assert!(home.read("environments/default/variables.yml").contains("s3cret"));
    let (seen, code) = set(&format!("other{CTRL_C}"));
    expect![[r#"
        Value of TOKEN (it is not shown): 
    "#]]
    .assert_eq(&seen);
    assert_eq!(code, Some(130));
    assert!(home.read("environments/default/variables.yml").contains("s3cret"));
}
