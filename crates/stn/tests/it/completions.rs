//! `stn completions`

use crate::home::Home;

#[test]
fn shells_complete() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.stn(&["completions", shell]).done().stdout.clone();
        assert!(script.contains("approvals"), "{shell}");
    }
    assert!(!home.config("").exists());
}
