//! `stn demo`, with the real filesystem server and without a registry.

use crate::home::Home;
use expect_test::expect;

#[test]
fn the_demo_works_twice() {
    let home = Home::with_npx("");
    home.stn(&["demo"]).is_side_by_side(&expect![[r#"
        `file_lister` answers:
        `$HOME/.config/station/environments/demo/samples/`:
        [FILE] app.log
        [FILE] deploy.log
        [FILE] notes.md

        `log_reader` answers:
        `$HOME/.config/station/environments/demo/samples/app.log` says errors in 4 of 9 lines:
        - 3 lines like line 2: [time]Z ERROR checkout timeout after 30s upstream=payments
        - line 7: [time]Z ERROR database connection refused host=db-2

        Looked in: `$HOME/.config/station/environments/demo/samples/`.

        — answered by Station's offline model: rules, not a language model
        --- stderr
        Made a new encryption key: $HOME/.config/station/station.key
        hint: back it up: without it nobody can open the database, and it is kept nowhere else
        The demo's environment is `demo`: $HOME/.config/station/environments/demo
        Its server may read $HOME/.config/station/environments/demo/samples
        filesystem: 14 tools

        Now `coordinator` is asked: Let file_lister list the files, and log_reader find the errors in app.log
        Driving run 1 here.
        run 1 of `coordinator` in `demo`: model offline, at most 8 steps (max_steps of the agent)
          turn 1: 2 calls (offline, [span], 38 tokens in, 13 out)
          -> agent file_lister: Let file_lister list the files
          -> agent log_reader: log_reader find the errors in app.log
            [file_lister] run 2 of `file_lister` in `demo`: model offline, at most 6 steps (max_steps of the agent)
            [file_lister] turn 1: 1 call (offline, [span], 21 tokens in, 2 out)
            [file_lister] -> filesystem/list_allowed_directories
            [file_lister] <- list_allowed_directories: [size] in [span]
            [file_lister] turn 2: 1 call (offline, [span], 52 tokens in, 2 out)
            [file_lister] -> filesystem/list_directory {"path":"$HOME/.config/station/environments/demo/samples/"}
            [file_lister] <- list_directory: [size] in [span]
            [file_lister] turn 3: answer (offline, [span], 85 tokens in, 18 out)
            [file_lister] run 2 completed
            [log_reader] run 3 of `log_reader` in `demo`: model offline, at most 6 steps (max_steps of the agent)
            [log_reader] turn 1: 1 call (offline, [span], 32 tokens in, 2 out)
            [log_reader] -> filesystem/list_allowed_directories
            [log_reader] <- list_allowed_directories: [size] in [span]
            [log_reader] turn 2: 1 call (offline, [span], 63 tokens in, 2 out)
            [log_reader] -> filesystem/list_directory {"path":"$HOME/.config/station/environments/demo/samples/"}
            [log_reader] <- list_directory: [size] in [span]
            [log_reader] turn 3: 1 call (offline, [span], 96 tokens in, 2 out)
            [log_reader] -> filesystem/read_text_file {"path":"$HOME/.config/station/environments/demo/samples/app.log"}
            [log_reader] <- read_text_file: [size] in [span]
            [log_reader] turn 4: answer (offline, [span], 174 tokens in, 44 out)
            [log_reader] run 3 completed
          <- agent file_lister (run 2) completed in [span]
          <- agent log_reader (run 3) completed in [span]
          turn 2: answer (offline, [span], 151 tokens in, 55 out)
        run 1 completed in [span] (2 steps, 2 tool calls, 189 tokens in, 68 out)

        What to type next:
          stn runs inspect 1
          stn agent list --env demo
          stn agent run log_reader "Which errors are in deploy.log?" --env demo
          stn mcp tools --env demo
          stn init --provider openai --model gpt-4o-mini
    "#]]);
    let files = home.read("environments/demo/agents/coordinator.prompt");
    home.write("environments/demo/agents/coordinator.prompt", &format!("{files}Be brief.\n"));
    home.stn(&["demo", "--quiet"]).done();
    assert!(
        home.read("environments/demo/agents/coordinator.prompt").ends_with("Be brief.\n"),
        "what was edited stays"
    );
    assert_eq!(home.json(&["runs", "list", "--status", "completed", "--agent", "coordinator"])["count"], 2);
}

#[test]
fn a_demo_without_node_says_what_it_needs() {
    let home = Home::new().set("PATH", "/nowhere");
    home.stn(&["demo"]).is(&expect![[r#"
        --- stderr
        Made a new encryption key: $HOME/.config/station/station.key
        hint: back it up: without it nobody can open the database, and it is kept nowhere else
        The demo's environment is `demo`: $HOME/.config/station/environments/demo
        Its server may read $HOME/.config/station/environments/demo/samples
        filesystem: failed: server `filesystem` could not be started: the command `npx` was not found in PATH; it said: station: the command `npx` was not found in PATH
        error: the demo's server cannot be used: server `filesystem` could not be started: the command `npx` was not found in PATH; it said: station: the command `npx` was not found in PATH
        hint: it needs Node (`npx`) and, the first time, a way to the npm registry
        hint: run `stn demo` again then; what was made stays
        --- exit 1
    "#]]);
}

#[test]
fn the_demo_works_in_an_environment_that_was_there_before() {
    let home = Home::with_npx("");
    home.stn(&["init", "--yes"]).done();
    home.stn(&["variables", "set", "TOKEN=sk-of-somebody"]).done();
    let said = home.stn(&["demo", "--env", "default"]);
    assert!(said.done().stdout.contains("[FILE] notes.md"), "{}", said.shown());
    let variables = home.read("environments/default/variables.yml");
    assert!(variables.starts_with("# Variables of `default`"), "{variables}");
    assert!(
        variables.contains("TOKEN: sk-of-somebody\n") && variables.contains("\nSAMPLES: "),
        "{variables}"
    );
    home.stn(&["demo", "--env", "1", "--quiet"]).done();
    assert_eq!(home.read("environments/default/variables.yml"), variables);
}
