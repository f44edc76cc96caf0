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
        hint: grant tools by name with `--tool`; `stn mcp tools` shows what there is
        hint: run it with `stn agent run 1 "your task"`
    "#]]);
    assert!(!home.config("environments/prod").exists());
}
