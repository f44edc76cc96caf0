//! `stn env …`

use crate::home::Home;
use expect_test::expect;

#[test]
fn environments_are_made_and_listed() {
    let home = Home::with_init();
    home.stn(&["env", "create", "prod", "--description", "Production"]).is(&expect![[r#"
        Created environment `prod`: $HOME/.config/station/environments/prod
        --- stderr
        hint: put server files into its `mcp-servers/`, then `stn sync prod`
    "#]]);
    home.stn(&["env", "list"]).is(&expect![[r#"
        ID  NAME  AGENTS  SERVERS  ORIGIN  DESCRIPTION
        1  default  0  0  file
        2  prod  0  0  file  Production
    "#]]);
    home.stn(&["env", "create", "prod"]).is(&expect![[r#"
        --- stderr
        error: environment `prod` exists already
        --- exit 1
    "#]]);
    home.stn(&["env", "create", "../up"]).is(&expect![[r#"
        --- stderr
        error: invalid value '../up' for '<NAME>': `../up` cannot be the name of an environment: use 1 to 64 letters, digits, `-`, `_` or `.`, beginning with a letter or digit

        For more information, try '--help'.
        --- exit 2
    "#]]);
}

#[test]
fn read_only_files_make_an_environment_of_the_store() {
    let home = Home::with_init();
    home.write("config.yaml", "files: readonly\nai_provider: offline\n");
    home.stn(&["env", "create", "prod"]).is(&expect![[r#"
        Created environment `prod` in the store
    "#]]);
    home.stn(&["agent", "create", "helper", "It helps", "--env", "prod"]).is(&expect![[r#"
        Created agent 1 `helper` in environment `prod`.
          file  none: files are read-only, it lives in the store
          tools  none: no tool known here fits its name and description
        --- stderr
        Tools are chosen by ranking: no model is configured that could plan.
        hint: grant tools by name with `--tool`; `stn mcp tools` shows what there is
        hint: run it with `stn agent run 1 "your task"`
    "#]]);
    assert!(!home.config("environments/prod").exists());
}

#[test]
fn an_environment_is_shown_described_and_deleted() {
    let home = Home::with_init();
    home.stn(&["env", "create", "prod", "--description", "Production"]).done();
    home.agent("prod", "helper", "");
    home.write("environments/prod/variables.yml", "TOKEN: s3cret\n");
    home.write(
        "environments/prod/environment.yml",
        "# rules\ndescription: Production # of ours\ntools: {}\n",
    );
    home.stn(&["sync", "prod", "--quiet"]).done();
    home.stn(&["env", "update", "2", "--description", "The real one"]).is(&expect![[r#"
        Environment 2 `prod`
          description  The real one
          origin  file
          folder  $HOME/.config/station/environments/prod
          agents  helper
          variables  TOKEN
          runs  0 runs
    "#]]);
    assert_eq!(
        home.read("environments/prod/environment.yml"),
        "# rules\ndescription: \"The real one\" # of ours\ntools: {}\n"
    );
    home.stn(&["env", "get", "prdo"]).is(&expect![[r#"
        --- stderr
        error: environment `prdo` does not exist
        hint: did you mean `prod`?
        --- exit 1
    "#]]);
    home.stn(&["env", "delete", "prod"]).is(&expect![[r#"
        --- stderr
        Environment `prod` would go with
          1 agent: helper
          1 variable: TOKEN
          the folder $HOME/.config/station/environments/prod with 3 files
            environments/prod/agents/helper.prompt
            environments/prod/environment.yml
            environments/prod/variables.yml
          0 runs would be kept.
        error: nobody can be asked: delete environment `prod`?
        hint: say yes with `--yes`
        --- exit 1
    "#]]);
    assert!(home.config("environments/prod/agents/helper.prompt").exists());
    home.stn(&["env", "delete", "prod", "--yes"]).is(&expect![[r#"
        Deleted environment `prod`.
        --- stderr
        Environment `prod` would go with
          1 agent: helper
          1 variable: TOKEN
          the folder $HOME/.config/station/environments/prod with 3 files
            environments/prod/agents/helper.prompt
            environments/prod/environment.yml
            environments/prod/variables.yml
          0 runs would be kept.
    "#]]);
    assert!(!home.config("environments/prod").exists());
    assert_eq!(home.json(&["env", "list"])["count"], 1);
    home.stn(&["env", "delete", "default", "--yes"]).is(&expect![[r#"
        --- stderr
        error: environment `default` cannot be deleted: it is meant where none is named
        hint: delete what is in it: `stn agent delete`, `stn mcp delete`, `stn variables unset`
        --- exit 1
    "#]]);
    // It comes back empty, with its id.
    home.stn(&["env", "create", "prod"]).done();
    let back = home.json(&["env", "get", "prod"]);
    assert_eq!((&back["environment"]["id"], &back["agents"]), (&2.into(), &serde_json::json!([])));
    assert_eq!(back["variables"], serde_json::json!([]));
}

#[test]
fn an_environment_with_runs_that_have_not_ended_stays() {
    let home = Home::with_init();
    home.stn(&["env", "create", "prod"]).done();
    home.agent("prod", "helper", "model: offline\n");
    home.stn(&["sync", "prod", "--quiet"]).done();
    home.stn(&["agent", "run", "helper", "wait", "--env", "prod", "--detach"]).done();
    home.stn(&["env", "delete", "prod", "--yes"]).is(&expect![[r#"
        --- stderr
        error: environment `prod` has 1 run that has not ended
        hint: `stn runs list --waiting` shows them; `stn runs cancel` ends one
        --- exit 1
    "#]]);
    home.stn(&["agent", "delete", "helper", "--env", "prod", "--yes"]).is(&expect![[r#"
        --- stderr
        error: agent `helper` has 1 run that has not ended
        hint: `stn runs list --waiting` shows them; `stn runs cancel` ends one
        --- exit 1
    "#]]);
    assert!(home.config("environments/prod/agents/helper.prompt").exists());
}

#[test]
fn an_environment_that_is_a_link_is_deleted_as_a_link() {
    let home = Home::with_init();
    home.write("elsewhere/agents/kept.prompt", "---\nmodel: offline\n---\nYou are.\n");
    std::os::unix::fs::symlink(home.config("elsewhere"), home.config("environments/linked")).unwrap();
    home.stn(&["sync", "linked", "--quiet"]).done();
    home.stn(&["env", "delete", "linked"]).is(&expect![[r#"
        --- stderr
        Environment `linked` would go with
          1 agent: kept
          the link $HOME/.config/station/environments/linked; the files in $HOME/.config/station/elsewhere would stay
          0 runs would be kept.
        error: nobody can be asked: delete environment `linked`?
        hint: say yes with `--yes`
        --- exit 1
    "#]]);
    let deleted = home.json(&["env", "delete", "linked", "--yes"]);
    assert_eq!(deleted["deleted"]["files"], serde_json::json!([]));
    assert!(home.config("elsewhere/agents/kept.prompt").exists());
}
