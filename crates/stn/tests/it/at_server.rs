//! The command line against a server: the same verbs, the same output, whoever asks.

use crate::home::{Home, Said, reading};
use crate::http::Served;
use expect_test::expect;
use serde_json::{Value, json};
use station_testkit::openai::OpenAi;
use std::collections::BTreeMap;
use std::process::Stdio;

/// A Station with a run that ended and one that waits for a person, served, and a key of each role.
pub(crate) struct World {
    pub(crate) home: Home,
    served: Served,
    keys: BTreeMap<&'static str, String>,
    _model: OpenAi,
}

impl World {
    pub(crate) fn new() -> Self {
        let model = reading();
        let home = Home::with_fake().asking(&model);
        home.agent("default", "reader", "tools: [read]\n");
        home.stn(&["sync", "--quiet"]).done();
        home.stn(&["agent", "run", "reader", "read the notes", "--limit", "tokens=50000"]).done();
        home.server("guarded", "fake", &["--log", "/dev/null"]);
        home.write("environments/guarded/environment.yml", "tools: {approve: [read]}\n");
        home.agent("guarded", "keeper", "tools: [read]\n");
        home.stn(&["sync", "guarded", "--quiet"]).done();
        home.stn(&["agent", "run", "keeper", "read them too", "--env", "guarded"]).exits(5);
        let keys = ["admin", "user", "viewer"].map(|role| {
            let made = home.json(&["user", "create", role, "--role", role, "--env", "default"]);
            (role, made["secret"].as_str().unwrap().to_owned())
        });
        let served = Served::start(&home);
        Self { home, served, keys: keys.into(), _model: model }
    }

    /// What `stn` says to `role` where the server is named.
    pub(crate) fn ask(&self, role: &str, args: &[&str]) -> Said {
        let said = ask(&self.home, &url(&self.served), &self.keys[role], args);
        for key in self.keys.values() {
            assert!(!said.stdout.contains(key) && !said.stderr.contains(key), "{}", said.shown());
        }
        said
    }
}

pub(crate) fn url(served: &Served) -> String {
    format!("http://127.0.0.1:{}", served.port)
}

/// What `stn` says at a server, asked with `key`.
pub(crate) fn ask(home: &Home, url: &str, key: &str, args: &[&str]) -> Said {
    let mut command = home.command(args);
    command.env("STN_SERVER", url).env("STN_SERVER_KEY", key);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut said = home.said(command.spawn().unwrap());
    (said.stdout, said.stderr) = (said.stdout.replace(url, "URL"), said.stderr.replace(url, "URL"));
    said
}

/// What only looks: asked here and there, it says the same, to the letter, for people and as JSON.
const LOOKS: &[&[&str]] = &[
    &["agent", "list"],
    &["agent", "list", "--env", "guarded"],
    &["agent", "list", "--env", "nowhere"],
    &["agent", "show", "reader"],
    &["agent", "show", "keeper", "--env", "guarded"],
    &["agent", "show", "2"],
    &["agent", "show", "nobody"],
    &["runs", "list"],
    &["runs", "list", "--limit", "1"],
    &["runs", "list", "--before", "2"],
    &["runs", "list", "--agent", "reader", "--status", "completed"],
    &["runs", "list", "--agent", "nobody"],
    &["runs", "list", "--waiting"],
    &["runs", "list", "--env", "guarded", "--since", "2h"],
    &["runs", "list", "--until", "2020-01-01"],
    &["runs", "list", "--status", "interrupted"],
    &["runs", "inspect", "1"],
    &["runs", "inspect", "1", "--full"],
    &["runs", "inspect", "2"],
    &["runs", "inspect", "99"],
    &["runs", "follow", "1"],
    &["runs", "export"],
    &["runs", "export", "2"],
    &["runs", "export", "--env", "guarded", "--limit", "1"],
    &["approvals", "list"],
    &["approvals", "list", "--all"],
    &["approvals", "list", "--always"],
    &["approvals", "list", "--status", "denied"],
    &["approvals", "list", "--status", "open"],
    &["approvals", "list", "--all", "--agent", "keeper", "--env", "guarded"],
    &["approvals", "list", "--agent", "reader"],
    &["approvals", "list", "--env", "nowhere"],
    &["approvals", "list", "--run", "2"],
    &["approvals", "show", "1"],
    &["approvals", "show", "99"],
    &["env", "list"],
    &["env", "get", "guarded"],
    &["env", "get", "nowhere"],
    &["variables", "list"],
    &["variables", "list", "--env", "guarded"],
    &["mcp", "list"],
    &["mcp", "list", "--env", "guarded"],
    &["mcp", "show", "fake"],
    &["mcp", "show", "lack"],
    &["mcp", "tools"],
    &["mcp", "tools", "fake", "--env", "guarded"],
    &["mcp", "tools", "--search", "write a file"],
    &["mcp", "status"],
    &["mcp", "lock", "--check"],
    &["model", "list"],
    &["agent", "export", "reader", "--to", "-"],
    &["agent", "export", "reader"],
    &["agent", "export", "nobody"],
    &["runs", "prune", "--dry-run"],
    &["runs", "prune", "--dry-run", "--keep-days", "0"],
    &["runs", "settle", "1", "0a0b", "done"],
    &["budget", "list"],
    &["budget", "prices"],
    &["user", "list"],
    &["user", "list", "--role", "viewer"],
    &["user", "list", "--env", "default"],
    &["user", "list", "--env", "nowhere"],
    &["audit", "list"],
    &["audit", "list", "--before", "3", "--limit", "1"],
    &["audit", "list", "--action", "create_user", "--since", "2h"],
    &["audit", "list", "--subject", "agent 1", "--actor", "nobody"],
    &["audit", "list", "--until", "2020-01-01"],
    &["audit", "verify"],
    &["sync", "--dry-run"],
    &["sync", "guarded", "--dry-run"],
];

#[test]
fn what_looks_says_the_same_here_and_at_a_server() {
    let world = World::new();
    let mut different = Vec::new();
    for args in LOOKS {
        for form in [None, Some("--json")] {
            let args: Vec<&str> = args.iter().copied().chain(form).collect();
            let (here, there) = (world.home.stn(&args), world.ask("admin", &args));
            if (&there.stdout, &there.stderr, there.code) != (&here.stdout, &here.stderr, here.code) {
                different.push(format!("{args:?}\n{}\n=== there\n{}", here.shown(), there.shown()));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn a_run_at_a_server_is_recorded_as_here() {
    let world = World::new();
    let read = |said: &Said| -> Value { serde_json::from_str(&said.stdout).unwrap() };
    let (mut here, mut there) =
        (read(&world.home.stn(&["runs", "record", "1"])), read(&world.ask("user", &["runs", "record", "1"])));
    here["recorded_at"].take();
    there["recorded_at"].take();
    assert_eq!(there, here);
    let said = world.ask("user", &["runs", "record", "1", "--output", "it.case.json"]);
    assert_eq!(said.stderr, "Recorded run 1 in it.case.json.\n");
    world.home.stn(&["test", "it.case.json"]).done();
}

#[test]
fn an_export_of_the_audit_at_a_server_is_whole_and_leaves_a_row() {
    let world = World::new();
    let rows = |text: &str| -> Vec<Value> { text.lines().map(|line| line.parse().unwrap()).collect() };
    let there = rows(&world.ask("admin", &["audit", "export"]).done().stdout);
    let here = rows(&world.home.stn(&["audit", "export"]).done().stdout);
    assert_eq!(there[..], here[..there.len()]);
    let last = there.last().unwrap()["seq"].to_string();
    let after = rows(&world.ask("admin", &["audit", "export", "--after", &last]).done().stdout);
    let exported: Vec<&Value> =
        after.iter().filter(|row| row["action"] == "export_audit").map(|row| &row["actor"]).collect();
    assert_eq!(exported[0], "admin", "{after:?}");
    world.ask("viewer", &["audit", "export"]).exits(1);
}

#[test]
fn a_role_holds_at_a_server_and_is_told_in_the_same_words() {
    let world = World::new();
    world.ask("viewer", &["agent", "list"]).is(&expect![[r#"
        ID  ENVIRONMENT  NAME  MODEL  DESCRIPTION
        1  default  reader  It is reader
    "#]]);
    world.ask("viewer", &["runs", "inspect", "2"]).is(&expect![[r#"
        --- stderr
        error: run 2 does not exist
        hint: `stn runs list` shows them
        --- exit 1
    "#]]);
    world.ask("viewer", &["agent", "run", "reader", "read it"]).is(&expect![[r#"
        --- stderr
        error: `viewer` may not run agents: its role is `viewer`
        hint: ask somebody whose role is at least `user`
        --- exit 1
    "#]]);
    world.ask("user", &["agent", "create", "two", "It reads", "--tool", "read"]).is(&expect![[r#"
        Created agent 3 `two` in environment `default`.
          file  $HOME/.config/station/environments/default/agents/two.prompt
          tools  read (named)
        --- stderr
        hint: run it with `stn agent run 3 "your task"`
    "#]]);
    world.ask("user", &["approvals", "approve", "1"]).is(&expect![[r#"
        --- stderr
        error: approval 1 does not exist
        hint: `stn approvals list` shows those that wait
        --- exit 1
    "#]]);
    world.ask("admin", &["approvals", "approve", "1", "--always"]).is(&expect![[r#"
        --- stderr
        The call of `read` of `fake` by run 2 was approved, for always.
    "#]]);
    world.ask("admin", &["approvals", "list", "--always"]).is(&expect![[r#"
        ID  AGENT  ENVIRONMENT  TOOL  BY  SINCE (UTC)  USED
        1  keeper  guarded  fake/read  admin  [time]  0
    "#]]);
    world.ask("admin", &["approvals", "revoke", "1"]).is(&expect![[r#"
        --- stderr
        Standing approval 1 was revoked.
    "#]]);
    world.ask("admin", &["runs", "follow", "2"]).is(&expect![[r#"
        done
        --- stderr
        run 2 of `keeper` in `guarded`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 3 words)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          ? fake/read waits for an approval (`read` in `tools.approve` of the environment) {"path": "notes.txt"}
          read was approved by admin
          -> fake/read {"path": "notes.txt"}
          <- read: 21 bytes in [span]
          turn 2: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 2 completed in [span] (2 steps, 1 tool call, 200 tokens in (128 cached), 40 out)
    "#]]);
}

#[test]
fn agents_are_made_changed_and_deleted_at_a_server() {
    let world = World::new();
    let create =
        |name: &'static str| ["agent", "create", name, "It reads files", "--tool", "read", "--tool", "lack"];
    let here = world.home.stn(&create("aaa"));
    let there = world.ask("user", &create("bbb"));
    assert_eq!(
        there
            .shown()
            .replace("bbb", "aaa")
            .replace("agent 4", "agent 3")
            .replace("update 4", "update 3")
            .replace("run 4", "run 3"),
        here.shown()
    );
    world.ask("user", &["agent", "create", "ccc", "It reads files"]).is(&expect![[r#"
        Created agent 6 `ccc` in environment `default`.
          file  $HOME/.config/station/environments/default/agents/ccc.prompt
          tools  __read (of server `fake`: matches reads)
        --- stderr
        Tools are chosen by ranking: done.
        hint: run it with `stn agent run 6 "your task"`
    "#]]);
    world
        .ask(
            "user",
            &[
                "agent",
                "update",
                "bbb",
                "--remove-tool",
                "lack",
                "--add-tool",
                "echo",
                "--tag",
                "x",
                "--name",
                "ddd",
            ],
        )
        .is(&expect![[r#"
            Changed agent 4 `ddd` of environment `default`.
        "#]]);
    world.ask("user", &["agent", "update", "ddd", "--unset", "tags", "--json"]).done();
    world.ask("user", &["agent", "show", "ddd"]).is(&expect![[r#"
        Agent 4 `ddd` in environment `default`
          description  It reads files
          model  the configured one
          steps  computed for each run
          file  $HOME/.config/station/environments/default/agents/ddd.prompt
          updated  [time]
          tools
            read = fake/read
            echo = fake/echo
          prompt
            {{role "system"}}
            You are bbb. It reads files.

            Use your tools to find out what you need to know, and do not guess. Answer in a few sentences, and say what you looked at.

            {{role "user"}}
            {{userInput}}
    "#]]);
    world.ask("user", &["agent", "update", "ddd", "make it shorter"]).is(&expect![[r#"
        --- stderr
        error: there is no plan: done
        hint: nothing was changed; options change it without a model: `stn agent update --help`
        --- exit 1
    "#]]);
    world.ask("user", &["agent", "delete", "ddd"]).is(&expect![[r#"
        --- stderr
        Agent 4 `ddd` of environment `default` would go.
          its file $HOME/.config/station/environments/default/agents/ddd.prompt would go too
          Its runs would be kept.
        error: nobody can be asked: delete agent `ddd`?
        hint: say yes with `--yes`
        --- exit 1
    "#]]);
    world.ask("user", &["agent", "delete", "ddd", "--yes"]).is(&expect![[r#"
        Deleted agent `ddd`.
        --- stderr
        Agent 4 `ddd` of environment `default` would go.
          its file $HOME/.config/station/environments/default/agents/ddd.prompt would go too
          Its runs would be kept.
    "#]]);
}

#[test]
fn a_run_at_a_server_is_told_as_one_that_is_driven_here() {
    let world = World::new();
    let here = world.home.stn(&["agent", "run", "reader", "read it", "--local"]);
    let there = world
        .ask("user", &["agent", "run", "reader", "read it", "--limit", "tokens=50000", "--timeout", "10m"]);
    assert_eq!((&there.stdout, there.code), (&here.stdout, here.code), "{}", there.shown());
    let without = |said: &Said, word: &str| -> String {
        let lines = said.shown().replace("run 3", "run N").replace("run 4", "run N");
        lines.split_inclusive('\n').filter(|line| !line.starts_with(word)).collect()
    };
    assert_eq!(without(&there, "Handed"), without(&here, "Driving"));
    world.ask("user", &["agent", "run", "reader", "read it", "--detach"]).is(&expect![[r#"
        5
        --- stderr
        hint: follow it with `stn runs follow 5 --server URL`
    "#]]);
    world.ask("user", &["runs", "follow", "5"]).is(&expect![[r#"
        done
        --- stderr
        run 5 of `reader` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 2 words)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/read {"path": "notes.txt"}
          <- read: 21 bytes in [span]
          turn 2: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 5 completed in [span] (2 steps, 1 tool call, 200 tokens in (128 cached), 40 out)
    "#]]);
    let told: Value =
        serde_json::from_str(&world.ask("user", &["agent", "run", "reader", "x", "--json"]).stdout).unwrap();
    assert_eq!((&told["run"]["status"], &told["run"]["answer"]), (&json!("completed"), &json!("done")));
    world.ask("user", &["runs", "retry", "1"]).is(&expect![[r#"
        done
        --- stderr
        Run 7 tries run 1 again.
        Handed run 7 to URL.
        run 7 of `reader` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 3 words)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/read {"path": "notes.txt"}
          <- read: 21 bytes in [span]
          turn 2: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 7 completed in [span] (2 steps, 1 tool call, 200 tokens in (128 cached), 40 out)
    "#]]);
    world.ask("user", &["runs", "fork", "1@1", "--task", "another"]).is(&expect![[r#"
        done
        --- stderr
        Handed run 8 to URL.
        run 8 of `reader` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 3 words)
          a fork of run 1 after step 1: what stands before is history
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/read {"path": "notes.txt"}
          <- read: 21 bytes in [span]
          taken up by [worker]
          turn 2: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 8 completed in [span] (2 steps, 0 tool calls, 100 tokens in (64 cached), 20 out)
    "#]]);
    world.ask("user", &["runs", "cancel", "1"]).is(&expect![[r#"
        --- stderr
        error: run 1 has ended as completed already
        --- exit 1
    "#]]);
    world.ask("admin", &["runs", "cancel", "2"]).is(&expect![[r#"
        --- stderr
        run 2 was cancelled in [span] (1 step, 0 tool calls, 100 tokens in (64 cached), 20 out)
    "#]]);
    world.ask("user", &["agent", "run", "reader", "x", "--local"]).is(&expect![[r#"
        --- stderr
        error: `--local` is for the Station of this machine: a server drives its runs itself
        hint: leave `--local` out with `--server`
        --- exit 1
    "#]]);
    world.ask("user", &["agent", "run", "reader", "x", "--priority", "1"]).is(&expect![[r#"
        --- stderr
        error: `--priority` is for the Station of this machine: at a server, runs take their turn
        hint: leave `--priority` out with `--server`
        --- exit 1
    "#]]);
    world.ask("user", &["agent", "run", "reader", "x", "--limit", "tokens=1"]).is(&expect![[r#"
        --- stderr
        Handed run 9 to URL.
        run 9 of `reader` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 1 word)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/read {"path": "notes.txt"}
          <- read: 21 bytes in [span]
          waits for budget: run 9 has spent 120 tokens of 1 token (asked for with the run)
        run 9 waits for budget: run 9 has spent 120 tokens of 1 token (asked for with the run) since [time]
        hint: give it more with `stn runs resume 9 --add tokens=…`
        --- exit 5
    "#]]);
    world.ask("user", &["agent", "run", "nobody", "x"]).is(&expect![[r#"
        --- stderr
        error: agent `nobody` does not exist in environment `default`
        hint: `stn agent list` shows them
        --- exit 1
    "#]]);
}
