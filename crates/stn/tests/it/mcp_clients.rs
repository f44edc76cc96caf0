//! `stn mcp config` and `stn mcp import`: Station in clients' files, and their servers here.

use crate::home::Home;
use expect_test::expect;
use serde_json::{Value, json};

/// What was said, with this program named instead of shown.
fn shown(said: &crate::home::Said) -> String {
    said.shown().replace(env!("CARGO_BIN_EXE_stn"), "$STN")
}

#[test]
fn what_a_client_needs_is_printed_or_merged_and_the_rest_stays() {
    let home = Home::with_init();
    expect![[r#"
        {
          "mcpServers": {
            "station": {
              "type": "stdio",
              "command": "$STN",
              "args": [
                "stdio"
              ]
            }
          }
        }
        --- stderr
        hint: it belongs into $HOME/.claude.json; `--write` merges it
    "#]]
    .assert_eq(&shown(&home.stn(&["mcp", "config", "claude-code"])));
    expect![[r#"
        {
          "servers": {
            "station": {
              "type": "stdio",
              "command": "$STN",
              "args": [
                "stdio"
              ]
            }
          }
        }
        --- stderr
        hint: it belongs into $HOME/.config/Code/User/mcp.json; `--write` merges it
    "#]]
    .assert_eq(&shown(&home.stn(&["mcp", "config", "vscode"])));
    expect![[r#"
        [mcp_servers.station]
        command = "$STN"
        args = ["stdio"]
        --- stderr
        hint: it belongs into $HOME/.codex/config.toml; `--write` merges it
    "#]]
    .assert_eq(&shown(&home.stn(&["mcp", "config", "codex"])));
    let path = home.path().join(".claude.json");
    let before =
        "{\n  \"theme\":   \"dark\",\n  \"mcpServers\": {\n    \"x\": {\"command\": \"y\"}\n  }\n}\n";
    std::fs::write(&path, before).unwrap();
    expect![[r#"
        Added `station` to $HOME/.claude.json.
        --- stderr
        hint: start the client anew: it reads its file when it starts
    "#]]
    .assert_eq(&shown(&home.stn(&["mcp", "config", "claude-code", "--write"])));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.starts_with(
            "{\n  \"theme\":   \"dark\",\n  \"mcpServers\": {\n    \"x\": {\"command\": \"y\"},"
        ),
        "{text}"
    );
    let file: Value = serde_json::from_str(&text).unwrap();
    let entry = &file["mcpServers"]["station"];
    assert_eq!(*entry, json!({ "type": "stdio", "command": env!("CARGO_BIN_EXE_stn"), "args": ["stdio"] }));
    expect![[r#"
        --- stderr
        $HOME/.claude.json has it already.
    "#]]
    .assert_eq(&shown(&home.stn(&["mcp", "config", "claude-code", "--write"])));
    // A home that only this command's environment names is said to the client.
    let folder = home.config("");
    let elsewhere = home.set("STATION_CONFIG_DIR", folder.to_str().unwrap());
    let told = elsewhere.stn(&["mcp", "config", "cursor", "--name", "here"]).stdout;
    assert!(told.contains("\"--config\"") && told.contains("\"here\""), "{told}");
    // A file that cannot be understood is left alone.
    std::fs::write(&path, "{ // mine\n}").unwrap();
    elsewhere.stn(&["mcp", "config", "claude-code", "--write"]).exits(1);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{ // mine\n}");
}

#[test]
fn the_servers_of_a_client_are_taken_over_without_their_secrets() {
    let home = Home::with_init();
    home.stn(&["variables", "set", "OLD_TOKEN=kept"]).done();
    let file = home.path().join("client.json");
    let servers = json!({ "mcpServers": {
        "github": { "command": "npx", "args": ["-y", "gh"], "env": { "GITHUB_TOKEN": "ghp_secret", "OLD_TOKEN": "other" } },
        "remote": { "url": "https://example.com/mcp", "headers": { "Authorization": "Bearer abc" } },
        "off": { "command": "x", "disabled": true },
        "station": { "command": "stn", "args": ["stdio"] },
    } });
    std::fs::write(&file, servers.to_string()).unwrap();
    home.stn(&["mcp", "import", file.to_str().unwrap()]).is(&expect![[r#"
        github: added (variables: GITHUB_OLD_TOKEN, GITHUB_TOKEN)
        remote: added (variables: REMOTE_AUTHORIZATION)
        off: passed over: it is switched off there
        station: passed over: it is Station itself
        --- stderr
        hint: ask them for their tools with `stn sync default`
    "#]]);
    let github = home.read("environments/default/mcp-servers/github.json");
    assert!(github.contains("{{ .GITHUB_TOKEN }}") && !github.contains("ghp_secret"), "{github}");
    let variables = home.read("environments/default/variables.yml");
    assert!(
        variables.contains("ghp_secret")
            && variables.contains("OLD_TOKEN: kept")
            && variables.contains("GITHUB_OLD_TOKEN: other"),
        "{variables}"
    );
    // Once more: they are there.
    home.stn(&["mcp", "import", file.to_str().unwrap()]).is(&expect![[r#"
        github: failed: server `github` exists already in environment `default`
        remote: failed: server `remote` exists already in environment `default`
        off: passed over: it is switched off there
        station: passed over: it is Station itself
        --- exit 4
    "#]]);
    let toml = home.path().join("config.toml");
    std::fs::write(&toml, "[mcp_servers.codexed]\ncommand = \"y\"\nargs = [\"z\"]\n").unwrap();
    home.stn(&["mcp", "import", toml.to_str().unwrap()]).done();
    std::fs::write(&file, "{}").unwrap();
    home.stn(&["mcp", "import", file.to_str().unwrap()]).is(&expect![[r#"
        --- stderr
        error: $HOME/client.json defines no MCP servers
        hint: it has neither `mcpServers`, nor `servers`, nor `[mcp_servers.…]`
        --- exit 1
    "#]]);
}

#[test]
fn what_is_broken_in_a_clients_file_is_shown() {
    let home = Home::with_init();
    let import = |name: &str, text: &str| {
        let file = home.path().join(name);
        std::fs::write(&file, text).unwrap();
        home.stn(&["mcp", "import", file.to_str().unwrap()])
    };
    let said = import(
        "client.json",
        "{\"mcpServers\": {\n  \"git\": {\"command\": \"x\", \"env\": {\"TOKEN\": \"s3cret-value\",}}\n}}\n",
    );
    said.is(&expect![[r#"
        --- stderr
        error: $HOME/client.json:2:59: this is not JSON: trailing comma
          2 |  "git": {"command": "*", "env": {"TOKEN": "************",}}
            |                                                           ^
        hint: comments are no JSON: take them out of a copy, and import that
        --- exit 1
    "#]]);
    assert!(!said.shown().contains("s3cret"), "{}", said.shown());
    let said =
        import("config.toml", "[mcp_servers.git]\ncommand = \"x\"\nenv = { TOKEN = \"s3cret-value }\n");
    said.is(&expect![[r#"
        --- stderr
        error: $HOME/config.toml:3:32: this is not TOML: unclosed inline table, expected `}`
          3 | env = * ***** * ************* *
            |                                ^
        --- exit 1
    "#]]);
    assert!(!said.shown().contains("s3cret"), "{}", said.shown());
}

/// The second server was given the first one's credential, and its own was dropped.
#[test]
fn two_servers_with_another_value_under_one_name_each_keep_their_own() {
    let home = Home::with_init();
    let file = home.path().join("client.json");
    let server = |key: &str| json!({ "command": "x", "env": { "API_KEY": key } });
    let servers = json!({ "mcpServers": { "alpha": server("of-alpha"), "beta": server("of-beta"), "gamma": server("of-alpha") } });
    std::fs::write(&file, servers.to_string()).unwrap();
    home.stn(&["mcp", "import", file.to_str().unwrap()]).is(&expect![[r#"
        alpha: added (variables: API_KEY)
        beta: added (variables: BETA_API_KEY)
        gamma: added
        --- stderr
        hint: ask them for their tools with `stn sync default`
    "#]]);
    assert!(home.read("environments/default/mcp-servers/beta.json").contains("{{ .BETA_API_KEY }}"));
    assert!(home.read("environments/default/mcp-servers/gamma.json").contains("{{ .API_KEY }}"));
    let variables = home.read("environments/default/variables.yml");
    assert!(
        variables.contains("\nAPI_KEY: of-alpha\n") && variables.contains("BETA_API_KEY: of-beta"),
        "{variables}"
    );
    home.stn(&["mcp", "delete", "beta", "--yes"]).done();
    home.stn(&["variables", "set", "BETA_API_KEY=another"]).done();
    home.stn(&["mcp", "import", file.to_str().unwrap()]).exits(4).is(&expect![[r#"
        alpha: failed: server `alpha` exists already in environment `default`
        beta: failed: the variables `API_KEY` and `BETA_API_KEY` have other values already
        gamma: failed: server `gamma` exists already in environment `default`
        --- exit 4
    "#]]);
}

#[test]
fn secrets_in_arguments_and_addresses_do_not_stay_in_the_server_file() {
    let home = Home::with_init();
    let file = home.path().join("client.json");
    let servers = json!({ "mcpServers": {
        "gh": { "command": "x", "args": ["--token", "ghp_secret", "--api-key=k-secret", "-y"] },
        "far": { "url": "https://example.com/mcp?api_key=u-secret" },
    } });
    std::fs::write(&file, servers.to_string()).unwrap();
    home.stn(&["mcp", "import", file.to_str().unwrap()]).is(&expect![[r#"
        gh: added (variables: GH_API_KEY, GH_TOKEN)
        far: added (variables: FAR_API_KEY)
        --- stderr
        hint: ask them for their tools with `stn sync default`
    "#]]);
    for name in ["gh", "far"] {
        let text = home.read(&format!("environments/default/mcp-servers/{name}.json"));
        assert!(!text.contains("secret") && text.contains("{{ ."), "{text}");
    }
}
