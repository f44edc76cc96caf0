//! `stn man`

use crate::home::Home;
use expect_test::expect;
use std::collections::BTreeSet;
use std::fs;

#[test]
fn each_command_has_a_page() {
    let home = Home::new();
    let folder = home.path().join("share/man/man1");
    let said = home.stn(&["man", folder.to_str().unwrap()]);
    said.done();
    let found: BTreeSet<String> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    // As many as the reference has commands, groups and `stn` itself.
    let reference = home.stn(&["__reference", "cli"]).done().stdout.clone();
    let headings = reference.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(" stn "));
    let expected: BTreeSet<String> = headings
        .map(|name| format!("stn-{}.1", name.replace(' ', "-")))
        .chain(["stn.1".to_owned()])
        .collect();
    assert_eq!(found, expected);
    assert_eq!(said.stderr, format!("Wrote {} pages into {}.\n", found.len(), folder.display()));
    let page = fs::read_to_string(folder.join("stn-user-key-revoke.1")).unwrap();
    let head: String = page.lines().take(6).map(|line| format!("{line}\n")).collect();
    expect![[r#"
        .ie \n(.g .ds Aq \(aq
        .el .ds Aq '
        .TH stn-user-key-revoke 1  "Station 0.1.0" Station
        .SH NAME
        stn\-user\-key\-revoke \- Revoke an API key: it is good for nothing from then on
        .SH SYNOPSIS
    "#]]
    .assert_eq(&head);
    assert!(page.contains("Its id, as `stn user key list` shows it"), "{page}");
    assert!(!home.config("").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let home = Home::new();
    home.stn(&["man", "/dev/null/man1"]).is(&expect![[r#"
        --- stderr
        error: /dev/null/man1 cannot be written: not a directory
        --- exit 1
    "#]]);
}
