//! `stn variables …`

use crate::home::Home;
use expect_test::expect;
use std::os::unix::fs::PermissionsExt as _;

const FILE: &str = "environments/default/variables.yml";

#[test]
fn values_are_set_and_never_shown() {
    let home = Home::with_init();
    home.write(FILE, "# ours\r\nHOST: example.org # kept\r\nPORT:   \"80\"\r\n");
    home.write(
        "environments/default/mcp-servers/web.json",
        r#"{"mcpServers": {"web": {"command": "x", "args": ["{{ .HOST }}", "{{ .TOKEN }}"]}}}"#,
    );
    home.stn(&["sync", "--quiet", "--no-discover"]).done();
    home.stn(&["variables", "set", "PORT=0123"]).is(&expect![[r#"
        --- stderr
        Set `PORT` in environment `default`.
    "#]]);
    home.stn_reading(&["variables", "set", "TOKEN"], "s3cret: #x\n").is(&expect![[r#"
        --- stderr
        Set `TOKEN` in environment `default`.
    "#]]);
    home.stn(&["variables", "list"]).is(&expect![[r#"
        VARIABLE  FROM  ASKED FOR BY
        HOST  variables.yml  web
        PORT  variables.yml
        TOKEN  variables.yml  web
    "#]]);
    assert_eq!(
        home.read(FILE),
        "# ours\r\nHOST: example.org # kept\r\nPORT:   \"0123\"\r\nTOKEN: \"s3cret: #x\"\r\n"
    );
    home.stn(&["variables", "unset", "PROT"]).is(&expect![[r#"
        --- stderr
        error: variable `PROT` is not set in environment `default`
        hint: did you mean `PORT`?
        --- exit 1
    "#]]);
    home.stn(&["variables", "unset", "PORT"]).is(&expect![[r#"
        --- stderr
        Took `PORT` out of environment `default`.
    "#]]);
    assert_eq!(home.read(FILE), "# ours\r\nHOST: example.org # kept\r\nTOKEN: \"s3cret: #x\"\r\n");
    let listed = home.json(&["variables", "list"]);
    assert_eq!(listed["count"], 2);
    assert!(!listed.to_string().contains("s3cret"));
    home.stn(&["variables", "set", "A-B=1"]).is(&expect![[r#"
        --- stderr
        error: `A-B` cannot be the name of a variable
        hint: use letters, digits and `_`, not beginning with a digit
        --- exit 1
    "#]]);
    home.stn(&["variables", "set", "EMPTY"]).is(&expect![[r#"
        --- stderr
        error: value of EMPTY was not given
        hint: write `EMPTY=VALUE`, or give it on standard input; `EMPTY=` is an empty one
        --- exit 1
    "#]]);
}

#[test]
fn a_broken_file_is_left_as_it_is() {
    let home = Home::with_init();
    home.write(FILE, "A: [\n");
    home.stn(&["variables", "set", "B=1"]).is(&expect![[r#"
        --- stderr
        error: environments/default/variables.yml:1:4: this is not YAML: unclosed bracket '['
          1 | A: *
            |    ^
        --- exit 1
    "#]]);
    assert_eq!(home.read(FILE), "A: [\n");
}

#[test]
fn read_only_files_are_managed_elsewhere() {
    let home = Home::with_init();
    home.write("config.yaml", "files: readonly\nai_provider: offline\n");
    home.stn(&["variables", "set", "B=1"]).is(&expect![[r#"
        --- stderr
        error: environment `default` is managed by files in $HOME/.config/station/environments/default
        hint: config.yaml says `files: readonly`: change the files where they are kept, then `stn sync`
        --- exit 1
    "#]]);
    home.stn(&["env", "create", "stored"]).done();
    home.stn(&["variables", "set", "B=1", "--env", "stored"]).done();
    home.stn(&["variables", "list", "--env", "stored"]).is(&expect![[r#"
        VARIABLE  FROM  ASKED FOR BY
        B  store
    "#]]);
}

#[test]
fn nobody_else_can_read_a_file_of_values_that_station_makes() {
    let mode = |home: &Home, environment: &str| {
        let path = home.config(&format!("environments/{environment}/variables.yml"));
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    let home = Home::with_init();
    assert_eq!(mode(&home, "default"), 0o600);
    home.stn(&["variables", "set", "TOKEN=sk-of-somebody"]).done();
    assert_eq!(mode(&home, "default"), 0o600);
    // One that was deleted is made anew.
    std::fs::remove_file(home.config("environments/default/variables.yml")).unwrap();
    home.stn(&["variables", "set", "TOKEN=sk-of-somebody"]).done();
    assert_eq!(mode(&home, "default"), 0o600);
    // Whoever opened theirs to others meant it.
    home.write("environments/shared/variables.yml", "");
    let path = home.config("environments/shared/variables.yml");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o640)).unwrap();
    home.stn(&["sync", "shared", "--quiet"]).done();
    home.stn(&["variables", "set", "TOKEN=sk-of-somebody", "--env", "shared"]).done();
    assert_eq!(mode(&home, "shared"), 0o640);
}

#[test]
fn variables_of_a_file_that_was_not_applied_are_listed_as_such() {
    let home = Home::with_init();
    home.stn(&["sync", "--quiet"]).done();
    home.write(FILE, "HOST: example.org\n");
    home.stn(&["variables", "list"]).is(&expect![[r#"
        VARIABLE  FROM  ASKED FOR BY
        HOST  variables.yml, not applied yet
        --- stderr
        hint: apply variables.yml with `stn sync default`
    "#]]);
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["variables", "list"]).is(&expect![[r#"
        VARIABLE  FROM  ASKED FOR BY
        HOST  variables.yml
    "#]]);
    // What is changed in the file, too.
    home.write(FILE, "HOST: s3cret.org\n");
    let listed = home.json(&["variables", "list"]).to_string();
    assert!(listed.contains("not applied yet") && !listed.contains("s3cret"), "{listed}");
}

#[test]
fn six_variables_set_at_once_by_six_commands_are_all_set() {
    let home = Home::with_init();
    let names = ["P1", "P2", "P3", "P4", "P5", "P6"];
    let children = names.map(|name| home.start(&["variables", "set", &format!("{name}=x")]));
    for child in children {
        home.said(child).exits(0);
    }
    let listed = home.json(&["variables", "list"]);
    assert_eq!(listed["count"], 6, "{listed}");
    for name in names {
        assert!(home.read(FILE).contains(&format!("{name}: x")), "{}", home.read(FILE));
    }
}

#[test]
fn a_value_given_with_a_run_counts_when_its_server_is_asked_for_its_tools() {
    let home = Home::with_init();
    home.server("default", "fs", &[]);
    let path = "environments/default/mcp-servers/fs.json";
    home.write(
        path,
        &home.read(path).replace("\"args\"", "\"env\": {\"TT\": \"{{ .GITHUB_TOKEN }}\"}, \"args\""),
    );
    home.agent("default", "v", "model: offline\ntools: [fs__echo]\n");
    let without = home.stn(&["agent", "run", "v", "echo \"hi\""]).shown();
    assert!(without.contains("no value for `GITHUB_TOKEN`"), "{without}");
    // The server that failed just now is asked again, because what it lacked is there.
    let with = home.stn(&["agent", "run", "v", "echo \"hi\"", "--var", "GITHUB_TOKEN=given-0001"]);
    assert!(with.done().stdout.contains("hi"), "{}", with.shown());
    assert!(!with.shown().contains("given-0001"), "{}", with.shown());
    let slip = home.stn(&["agent", "run", "v", "echo \"hi\"", "--var", "GITHUB_TKEN=1"]).shown();
    assert!(
        slip.contains("no value for `GITHUB_TOKEN`") && slip.contains("did you mean `GITHUB_TKEN`?"),
        "{slip}"
    );
    let refused = home.stn(&["agent", "run", "v", "echo \"hi\"", "--var", "BAD NAME=1"]);
    assert!(
        refused.exits(2).shown().contains("`BAD NAME` cannot be the name of a variable"),
        "{}",
        refused.shown()
    );
}
