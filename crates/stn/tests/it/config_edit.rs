//! `stn config edit`, at a real terminal and with editors that are scripts.

use crate::home::Home;
use crate::terminal::typed;
use expect_test::{Expect, expect};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

const BEFORE: &str = "# ours\nai_model: old # a comment\nai_api_key: s3cret-key\nexecution: {workers: 4}\n";

/// A home with that config.yaml, readable by its group, and an editor that does `script` with the file `$1`, where `$0` is
/// config.yaml itself.
fn home(script: &str) -> Home {
    let home = Home::new();
    home.write("config.yaml", BEFORE);
    let file = home.config("config.yaml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let path = home.work("editor.sh");
    fs::write(&path, format!("real='{}'\n{script}\n", file.display())).unwrap();
    // A command with an argument, as people have them.
    home.set("EDITOR", &format!("sh '{}'", path.display()))
}

/// What is seen where `answer` is typed at the question, with the copy's name told apart from everything else.
#[track_caller]
fn check(home: &Home, answer: &str, code: i32, expected: &Expect) {
    let (seen, ended) = typed(home, &["config", "edit"], "Edit it again?", answer);
    let seen = seen.replace(&home.path().display().to_string(), "$HOME");
    let number = regex::Regex::new(r"\.edited-\d+").unwrap();
    expected.assert_eq(&number.replace_all(&seen, ".edited-[n]"));
    assert_eq!(ended, Some(code), "{seen}");
}

/// Copies that are left.
fn left(home: &Home) -> Vec<String> {
    let names = fs::read_dir(home.config("")).unwrap().map(|file| file.unwrap().file_name());
    names.map(|name| name.into_string().unwrap()).filter(|name| name.starts_with(".edited-")).collect()
}

#[test]
fn what_is_edited_is_taken_over_and_told() {
    let home = home(
        "test \"$(stat -c %a \"$1\")\" = 600 && \
         sed -i 's/workers: 4/workers: 8, queue: 9/; s/old/new/; s/s3cret-key/another-s3cret/; s/^# ours/debug: true/' \"$1\"",
    );
    check(
        &home,
        "",
        0,
        &expect![[r#"
        Changed $HOME/.config/station/config.yaml.
          ai_model: old → new
          ai_api_key: set to another value
          debug: not set → true
          execution.workers: 4 → 8
          execution.queue: not set → 9
        hint: a worker (`stn serve`) that runs takes up `ai_model`, `ai_api_key`, `execution.workers`, `execution.queue` when it is started again
        hint: a worker (`stn serve`) that runs takes up `debug` at SIGHUP
    "#]],
    );
    assert_eq!(
        home.read("config.yaml"),
        "debug: true\nai_model: new # a comment\nai_api_key: another-s3cret\nexecution: {workers: 8, queue: 9}\n"
    );
    let mode = fs::metadata(home.config("config.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(left(&home), Vec::<String>::new());
}

#[test]
fn a_fault_is_shown_and_edited_again_or_left() {
    // Wrong in the first round, right in the second.
    let script =
        "grep -q many \"$1\" && sed -i 's/many/2/' \"$1\" || sed -i 's/workers: 4/workers: many/' \"$1\"";
    let again = home(script);
    check(
        &again,
        "\n",
        0,
        &expect![[r#"
        $HOME/.config/station/config.yaml:4:22: `execution.workers` must be a whole number of 1 or more
          4 | execution: {workers: many}
            |                      ^
        Edit it again? [Y/n] 
        Changed $HOME/.config/station/config.yaml.
          execution.workers: 4 → 2
        hint: a worker (`stn serve`) that runs takes up `execution.workers` when it is started again
    "#]],
    );
    assert!(again.read("config.yaml").contains("workers: 2"));
    assert_eq!(left(&again), Vec::<String>::new());

    // What every command reads, and none can use.
    let level = home("echo 'log_level: loud' > \"$1\"");
    check(
        &level,
        "n\n",
        1,
        &expect![[r#"
            $HOME/.config/station/config.yaml:1:12: `loud` says no levels of the log
              1 | log_level: loud
                |            ^
            hint: write error, warn, info, debug or trace, or levels by module: `info,station_mcp=debug`
            Edit it again? [Y/n] n
            What you wrote is in $HOME/.config/station/.edited-[n].yaml.
            error: $HOME/.config/station/config.yaml stays as it was
        "#]],
    );

    let no = home(script);
    check(
        &no,
        "n\n",
        1,
        &expect![[r#"
        $HOME/.config/station/config.yaml:4:22: `execution.workers` must be a whole number of 1 or more
          4 | execution: {workers: many}
            |                      ^
        Edit it again? [Y/n] n
        What you wrote is in $HOME/.config/station/.edited-[n].yaml.
        error: $HOME/.config/station/config.yaml stays as it was
    "#]],
    );
    assert_eq!(no.read("config.yaml"), BEFORE);
    // Nobody types twice what is there.
    let kept = left(&no);
    assert_eq!(kept.len(), 1);
    assert!(no.read(&kept[0]).contains("workers: many"));

    let ctrl_c = home(script);
    let (_, code) = typed(&ctrl_c, &["config", "edit"], "Edit it again?", "\u{3}");
    assert_eq!((code, ctrl_c.read("config.yaml").as_str()), (Some(130), BEFORE));
}

#[test]
fn a_file_that_no_command_reads_is_mended() {
    let home = home("sed -i 's/\\[$/x/' \"$1\"");
    home.write("config.yaml", "ai_model: [\n");
    home.stn(&["config", "show"]).exits(1);
    check(
        &home,
        "",
        0,
        &expect![[r#"
        Changed $HOME/.config/station/config.yaml.
          ai_model: not set → x
        hint: a worker (`stn serve`) that runs takes up `ai_model` when it is started again
    "#]],
    );
    home.stn(&["config", "show"]).done();
}

#[test]
fn a_file_that_is_not_there_yet_is_made_for_its_owner() {
    let home = home("echo 'log_level: info' > \"$1\"");
    fs::remove_dir_all(home.config("")).unwrap();
    check(
        &home,
        "",
        0,
        &expect![[r#"
        Changed $HOME/.config/station/config.yaml.
          log_level: not set → info
        hint: a worker (`stn serve`) that runs takes up `log_level` at SIGHUP
    "#]],
    );
    let mode = fs::metadata(home.config("config.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_was_not_edited_or_not_to_its_end_changes_nothing() {
    let untouched = home("true");
    check(
        &untouched,
        "",
        0,
        &expect![[r#"
        $HOME/.config/station/config.yaml stays as it was: nothing was changed.
    "#]],
    );
    let fails = home("exit 3");
    check(
        &fails,
        "",
        1,
        &expect![[r#"
        error: the editor `sh '$HOME/work/editor.sh'` failed (exit status: 3), so nothing was changed
        hint: VISUAL or EDITOR says what to edit with
    "#]],
    );
    let missing = home("").set("VISUAL", "no-such-editor --wait");
    // How its shell says so is the shell's.
    let (seen, code) = typed(&missing, &["config", "edit"], "Edit it again?", "");
    let failed = "the editor `no-such-editor --wait` failed (exit status: 127), so nothing was changed";
    assert!(seen.contains(failed) && code == Some(1), "{seen}");
    for home in [&untouched, &fails, &missing] {
        assert_eq!((home.read("config.yaml").as_str(), left(home).len()), (BEFORE, 0));
    }
    // Another process was quicker: neither is lost.
    let late = home("sed -i s/old/mine/ \"$1\"; sed -i s/old/theirs/ \"$real\"");
    check(
        &late,
        "",
        1,
        &expect![[r#"
        What you wrote is in $HOME/.config/station/.edited-[n].yaml.
        error: $HOME/.config/station/config.yaml was changed while it was edited
        hint: edit it again, as it is now
    "#]],
    );
    assert!(late.read("config.yaml").contains("theirs"));
    assert!(late.read(&left(&late)[0]).contains("mine"));
}

#[test]
fn without_a_terminal_or_an_editor_it_says_what_to_do() {
    let home = Home::with_init();
    home.stn(&["config", "edit"]).is(&expect![[r#"
        --- stderr
        error: there is no terminal to edit in
        hint: `stn settings set NAME VALUE` changes one key, without an editor
        --- exit 1
    "#]]);
    check(
        &home,
        "",
        1,
        &expect![[r#"
        error: neither VISUAL nor EDITOR says what to edit with
        hint: e.g. `EDITOR=nano stn config edit`
        hint: `stn settings set NAME VALUE` changes one key, without an editor
    "#]],
    );
}
