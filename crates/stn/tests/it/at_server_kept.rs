//! What a Station keeps, changed from another machine: environments, variables, servers, budgets, users and keys.

use crate::at_server::World;
use expect_test::expect;
use serde_json::{Value, json};

#[test]
fn environments_variables_and_servers_are_kept_at_a_server() {
    let world = World::new();
    let admin = |args: &[&str]| world.ask("admin", args);
    admin(&["env", "create", "staging", "--description", "Before it is seen"]).is(&expect![[r#"
        Created environment `staging`: $HOME/.config/station/environments/staging
        --- stderr
        hint: put server files into its `mcp-servers/`, then `stn sync staging`
    "#]]);
    admin(&["env", "update", "staging", "--description", "Rehearsals"]).is(&expect![[r#"
        Environment 3 `staging`
          description  Rehearsals
          origin  file
          folder  $HOME/.config/station/environments/staging
          runs  0 runs
    "#]]);
    admin(&["variables", "set", "TOKEN=canary", "--env", "staging"]).is(&expect![[r#"
        --- stderr
        Set `TOKEN` in environment `staging`.
    "#]]);
    admin(&["variables", "list", "--env", "staging", "--json"]).is(&expect![[r#"
        {
          "variables": [
            {
              "name": "TOKEN",
              "from": "variables.yml",
              "stored": true,
              "asked_by": []
            }
          ],
          "count": 1
        }
    "#]]);
    admin(&["variables", "unset", "TOKEN", "--env", "staging"]).is(&expect![[r#"
        --- stderr
        Took `TOKEN` out of environment `staging`.
    "#]]);
    let fake = station_testkit::fake_server::binary().display().to_string();
    let add = ["mcp", "add", "two", "--env", "staging", "--env-var", "KEY=hunter2-hunter2", &fake];
    admin(&[&add[..], &["--", "--log", "/dev/null"]].concat()).is(&expect![[r#"
        Added server 3 `two` to environment `staging`.
          file  environments/staging/mcp-servers/two.json
        two: 15 tools
        --- stderr
        warning: the value of `KEY` stands in environments/staging/mcp-servers/two.json, for everybody who can read that file
        hint: if it is a secret, write `{{ .KEY }}` there and set it with `stn variables set KEY --env staging`
    "#]]);
    admin(&["mcp", "sync", "--env", "staging"]).is(&expect![[r#"
        two: 15 tools in [span]
    "#]]);
    admin(&["mcp", "call", "two", "read", "--env", "staging", "--arg", "path=notes.txt"]).is(&expect![[r#"
        contents of notes.txt
    "#]]);
    admin(&["mcp", "call", "fake", "read", "--env", "guarded"]).is(&expect![[r#"
        --- stderr
        error: `read` in `tools.approve` of the environment asks for a person's yes before `read` is called
        hint: it waits as approval 2: decide it, then call again with the same arguments
        --- exit 1
    "#]]);
    admin(&["mcp", "call", "fake", "fly"]).is(&expect![[r#"
        --- stderr
        error: server `fake` offers no tool `fly`
        hint: `stn mcp tools fake` shows its 15 tools
        --- exit 1
    "#]]);
    admin(&["mcp", "call", "fake", "read", "--yes"]).is(&expect![[r#"
        --- stderr
        error: `--yes` is for the Station of this machine: a call that a rule asks about waits for `stn approvals approve`
        hint: leave `--yes` out with `--server`
        --- exit 1
    "#]]);
    admin(&["mcp", "delete", "two", "--env", "staging", "--yes"]).is(&expect![[r#"
        Deleted server `two`.
        --- stderr
        Server 3 `two` of environment `staging` would go with 15 tools.
          it would be taken out of environments/staging/mcp-servers/two.json
    "#]]);
    world.home.write("environments/staging/agents/new.prompt", "---\nmodel: offline\n---\nYou are new.\n");
    world.home.write("environments/staging/agents/bad.prompt", "---\nmodel: [\n---\nYou are bad.\n");
    admin(&["sync", "staging"]).is(&expect![[r#"
        Environment `staging`: 1 change applied, 1 unchanged.
          + agent new
        --- stderr
        environments/staging/agents/bad.prompt:2:8: this is not YAML: unclosed bracket '['
        --- exit 4
    "#]]);
    admin(&["env", "delete", "staging", "--yes"]).is(&expect![[r#"
        Deleted environment `staging`.
        --- stderr
        Environment `staging` would go with
          1 agent: new
          the folder $HOME/.config/station/environments/staging with 4 files
            environments/staging/agents/bad.prompt
            environments/staging/agents/new.prompt
            environments/staging/environment.yml
            environments/staging/variables.yml
          0 runs would be kept.
    "#]]);
    world.ask("user", &["variables", "set", "TOKEN=x"]).is(&expect![[r#"
        --- stderr
        error: `user` may not set variables: its role is `user`
        hint: ask somebody whose role is at least `admin`
        --- exit 1
    "#]]);
    world.ask("viewer", &["variables", "list"]).is(&expect![[r#"
        --- stderr
        error: `viewer` may not see variables: its role is `viewer`
        hint: ask somebody whose role is at least `user`
        --- exit 1
    "#]]);
    admin(&["mcp", "lock"]).is(&expect![[r#"
        --- stderr
          + fake: 15 tools
        error: nobody can be asked: pin 15 tools in environments/default/mcp.lock?
        hint: say yes with `--yes`
        --- exit 1
    "#]]);
}

#[test]
fn budgets_users_and_keys_are_kept_at_a_server() {
    let world = World::new();
    let admin = |args: &[&str]| world.ask("admin", args);
    admin(&["budget", "set", "all", "usd=1.50", "time=10m", "--per", "day"]).is(&expect![[r#"
        --- stderr
        Limited all runs to 1.50 USD, [span] per day.
    "#]]);
    admin(&["budget", "set", "agent:keeper", "tokens=5000", "--env", "guarded"]).is(&expect![[r#"
        --- stderr
        Limited agent `keeper` to 5000 tokens per run.
    "#]]);
    admin(&["budget", "list"]).is(&expect![[r#"
        SCOPE  PER  LIMIT  SPENT  RESERVED  WRITTEN
        all  day  1.50 USD  0.00 USD  by hand, [person], [time] UTC
        all  day [span] [span]  by hand, [person], [time] UTC
        agent:keeper (2)  run  5000 tokens  by hand, [person], [time] UTC
    "#]]);
    assert_eq!(admin(&["budget", "list"]).stdout, world.home.stn(&["budget", "list"]).stdout);
    admin(&["budget", "unset", "all"]).is(&expect![[r#"
        --- stderr
        Took away what was set by hand for all runs.
    "#]]);
    let made = admin(&["user", "create", "eve", "--role", "viewer"]).done().stdout.trim().to_owned();
    assert!(made.starts_with("stn_"), "{made}");
    admin(&["user", "update", "eve", "--env", "guarded"]).is(&expect![[r#"
        --- stderr
        User `eve` is viewer now, for environments: guarded.
    "#]]);
    let key = admin(&["user", "key", "create", "eve", "--scope", "read", "--days", "1", "--json"]);
    let key: Value = serde_json::from_str(&key.stdout).unwrap();
    assert_eq!(key["api_key"]["scopes"], json!(["read"]), "{key}");
    let keys = admin(&["user", "key", "list"]);
    assert_eq!(keys.shown(), world.home.stn(&["user", "key", "list"]).shown());
    admin(&["user", "key", "revoke", &key["api_key"]["id"].to_string()]).is(&expect![[r#"
        --- stderr
        Revoked API key 5.
    "#]]);
    admin(&["user", "delete", "eve", "--yes"]).is(&expect![[r#"
        --- stderr
        User `eve` (viewer) is removed; what it did stays told.
        API keys that are revoked with it: 1.
        Removed user `eve`.
    "#]]);
    world.ask("user", &["user", "list"]).is(&expect![[r#"
        --- stderr
        error: `user` may not see or change users: its role is `user`
        hint: ask somebody whose role is at least `admin`
        --- exit 1
    "#]]);
    world.ask("user", &["audit", "verify"]).is(&expect![[r#"
        --- stderr
        error: `user` may not see the audit: its role is `user`
        hint: ask somebody whose role is at least `admin`
        --- exit 1
    "#]]);
}
