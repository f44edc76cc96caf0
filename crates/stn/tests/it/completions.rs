//! `stn completions`

use crate::home::Home;
use std::process::{Command, Output};

/// What every shell's script must know.
const COMMANDS: [&str; 4] = ["approvals", "agent", "completions", "runs"];

#[test]
fn shells_complete() {
    let home = Home::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = home.stn(&["completions", shell]).done().stdout.clone();
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    home.stn(&["completions", "csh"]).exits(2);
    assert!(!home.config("").exists());
}

fn bash(args: &[&str], script: &str) -> Output {
    Command::new("bash").args(["--noprofile", "--norc"]).args(args).arg(script).output().unwrap()
}

#[test]
fn bash_completes_what_was_begun() {
    let home = Home::new();
    let file = home.path().join("stn.bash");
    std::fs::write(&file, &home.stn(&["completions", "bash"]).done().stdout).unwrap();
    let file = file.to_str().unwrap();
    let read = bash(&["-n"], file);
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    // As bash calls the function that the script has registered for the command.
    let complete = |words: &str| {
        let call = format!(
            "source '{file}'; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             spec=$(complete -p stn); [[ $spec =~ -F\\ ([^\\ ]+) ]]; \
             \"${{BASH_REMATCH[1]}}\" stn \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
             echo \"${{COMPREPLY[*]}}\""
        );
        let said = bash(&["-c"], &call);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("stn appr"), "approvals");
    assert_eq!(complete("stn runs li"), "list");
    assert_eq!(complete("stn agent run --no-s"), "--no-sync");
    assert_eq!(complete("stn nosuchthing"), "");
}
