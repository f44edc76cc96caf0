//! A configuration folder that cannot be written, as a container has it whose files are mounted: agents run, what is made
//! lives in the store, and what files define is refused with the place where they are.

use crate::home::{Home, Said};
use crate::watch::under;
use expect_test::expect;
use station_testkit::fake_server;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What may be written in the folder goes with this, and comes back on drop, so that the home can be removed.
struct Sealed(PathBuf);

impl Sealed {
    fn new(folder: PathBuf) -> Self {
        set_writable(&folder, false);
        Self(folder)
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        set_writable(&self.0, true);
    }
}

fn set_writable(path: &Path, writable: bool) {
    let found = fs::symlink_metadata(path).unwrap();
    let mode = found.permissions().mode();
    let mode = if writable { mode | 0o200 } else { mode & !0o222 };
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    if found.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| set_writable(&entry.unwrap().path(), writable));
    }
}

/// Runs `stn` as somebody to whom permissions mean something: root without its right to pass them over.
fn plainly(home: &Home, args: &[&str]) -> Said {
    if nix::unistd::Uid::effective().is_root() {
        under(home, &["setpriv", "--bounding-set=-dac_override,-dac_read_search"], args)
    } else {
        home.stn(args)
    }
}

/// A home whose store is elsewhere, with an agent, a server and an environment of files.
fn home() -> Home {
    let home = Home::new();
    let data = home.path().join("data");
    fs::create_dir(&data).unwrap();
    let home = home.set("STATION_DATABASE", data.join("station.db").to_str().unwrap());
    home.stn(&["init", "--yes"]).done();
    home.server("default", "fake", &["--log", "/dev/null"]);
    home.agent("default", "reader", "model: offline\ntools: [__echo]\n");
    home
}

#[test]
fn agents_run_where_their_files_cannot_be_written() {
    let home = home();
    let _sealed = Sealed::new(home.config(""));
    plainly(&home, &["sync"]).is(&expect![[r#"
        Environment `default`: 2 changes applied, 0 unchanged.
          + server file fake (fake)
          + agent reader
          server fake: 15 tools in [span]
    "#]]);
    plainly(&home, &["agent", "run", "reader", "echo \"hello\"", "--quiet"]).is(&expect![[r#"
        `echo`:
        hello

        — answered by Station's offline model: rules, not a language model
    "#]]);
}

#[test]
fn what_is_made_where_files_cannot_be_written_lives_in_the_store() {
    let home = home();
    home.stn(&["sync", "--quiet"]).done();
    let _sealed = Sealed::new(home.config(""));
    let fake = fake_server::binary().display().to_string();
    plainly(&home, &["agent", "create", "writer", "It writes", "--ranked"]).is(&expect![[r#"
        Created agent 2 `writer` in environment `default`.
          file  none: files are read-only, it lives in the store
          tools  __write (of server `fake`: matches writes)
        --- stderr
        hint: run it with `stn agent run 2 "your task"`
    "#]]);
    plainly(&home, &["agent", "update", "writer", "--description", "It writes more"]).is(&expect![[r#"
        Changed agent 2 `writer` of environment `default`.
    "#]]);
    plainly(&home, &["mcp", "add", "more", &fake, "--", "--log", "/dev/null"]).is(&expect![[r#"
        Added server 2 `more` to environment `default`.
          file  none: it lives in the store, because files are read-only
        more: 15 tools in [span]
        --- stderr
        warning: agent `reader`: `__echo` is also offered by `more`; write `server__tool` to choose
        warning: agent `writer`: `__write` is also offered by `more`; write `server__tool` to choose
    "#]]);
    plainly(&home, &["env", "create", "staging"]).is(&expect![[r#"
        Created environment `staging` in the store
    "#]]);
    // No sync takes them out.
    plainly(&home, &["sync"]).is(&expect![[r#"
        Environment `default`: nothing to change, 2 definitions up to date.
        --- stderr
        warning: environments/default/agents/reader.prompt: tool `__echo` means the one of server `fake`; `more` offers one of this name too
        hint: write `fake__echo` to be exact
    "#]]);
    plainly(&home, &["mcp", "delete", "more", "--yes"]).is(&expect![[r#"
        Deleted server `more`.
        --- stderr
        Server 2 `more` of environment `default` would go with 15 tools.
          it lives in the store alone, no file would change
    "#]]);
    plainly(&home, &["agent", "delete", "writer", "--yes"]).is(&expect![[r#"
        Deleted agent `writer`.
        --- stderr
        Agent 2 `writer` of environment `default` would go.
          0 runs would be kept.
    "#]]);
    plainly(&home, &["env", "delete", "staging", "--yes"]).is(&expect![[r#"
        Deleted environment `staging`.
        --- stderr
        Environment `staging` would go with
          0 runs would be kept.
    "#]]);
}

#[test]
fn what_files_define_is_not_changed_where_they_cannot_be_written() {
    let home = home();
    home.stn(&["sync", "--quiet"]).done();
    let _sealed = Sealed::new(home.config(""));
    plainly(&home, &["agent", "update", "reader", "--description", "other"]).is(&expect![[r#"
        --- stderr
        error: environment `default` is managed by files in $HOME/.config/station/environments/default
        hint: that folder cannot be written here: change the files where they are kept, then `stn sync`
        --- exit 1
    "#]]);
    let other = home.path().join("reader.prompt");
    fs::write(&other, "---\nmodel: offline\n---\nAnother one.\n").unwrap();
    for args in [
        &["agent", "delete", "reader", "--yes"][..],
        &["agent", "import", other.to_str().unwrap(), "--env", "default", "--yes"],
        &["mcp", "delete", "fake", "--yes"],
        &["variables", "set", "A=b"],
        &["env", "update", "default", "--description", "other"],
        &["demo"],
    ] {
        let said = plainly(&home, args);
        let told = "is managed by files in $HOME/.config/station/environments/";
        assert!(said.shown().contains(told), "{args:?}: {}", said.shown());
        assert!(said.stderr.contains("that folder cannot be written here"), "{args:?}: {}", said.shown());
        said.exits(1);
    }
    assert_eq!(home.json(&["agent", "show", "reader"])["agent"]["origin"], "file");
    plainly(&home, &["settings", "set", "debug", "true"]).is(&expect![[r#"
        --- stderr
        error: $HOME/.config/station/config.yaml cannot be written: permission denied
        --- exit 1
    "#]]);
}

#[test]
fn a_database_in_a_folder_that_cannot_be_written_is_said_to_be_there() {
    let home = Home::with_init();
    home.agent("default", "one", "model: offline\n");
    home.stn(&["agent", "list"]).done();
    let sealed = Sealed::new(home.config(""));
    plainly(&home, &["agent", "list"]).is(&expect![[r#"
        --- stderr
        error: the database `$HOME/.config/station/station.db` cannot be written
        hint: its folder and its files must be writable for the user that runs Station
        --- exit 1
    "#]]);
    drop(sealed);
    fs::remove_file(home.config("station.db")).unwrap();
    let _sealed = Sealed::new(home.config(""));
    plainly(&home, &["agent", "list"]).is(&expect![[r#"
        --- stderr
        error: the folder `$HOME/.config/station` cannot be written
        hint: the database would be made there; the user that runs Station must own it
        --- exit 1
    "#]]);
}
