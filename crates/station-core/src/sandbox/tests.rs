//! Rows of folders, and of what is within reach of them.

use super::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A file system: folders with their entries, a link with `@`.
const TREE: &[(&str, &str)] = &[
    ("/", "bin@ etc home proc tmp usr"),
    ("/home", "ann bob"),
    ("/home/ann", ".aws .bashrc .config .npm st@ work"),
    ("/home/ann/.config", "gh station"),
    ("/home/ann/.config/station", "config.yaml data environments station.db tools"),
    ("/home/ann/work", "agents code"),
    ("/home/ann/work/agents", "README.md environments lib"),
];

fn list(at: &Path) -> Option<Vec<Entry>> {
    let tree: BTreeMap<&str, &str> = TREE.iter().copied().collect();
    let entries = tree.get(at.to_str().unwrap())?.split(' ').map(|name| Entry {
        name: name.trim_end_matches('@').into(),
        kind: if name.ends_with('@') { EntryKind::Link } else { EntryKind::Real },
    });
    Some(entries.collect())
}

fn paths(paths: &[&str]) -> Vec<PathBuf> {
    paths.iter().map(PathBuf::from).collect()
}

fn private(closed: &[&str], sealed: &[&str]) -> Private {
    Private { closed: paths(closed), sealed: paths(sealed), environments: None }
}

const CONFIG: &str = "/home/ann/.config/station";

fn usual() -> Private {
    let sealed = ["config.yaml", "station.db"].map(|name| format!("{CONFIG}/{name}"));
    let environments = Some(PathBuf::from(format!("{CONFIG}/environments")));
    Private { environments, ..private(&[CONFIG], &sealed.each_ref().map(String::as_str)) }
}

#[track_caller]
fn check(sandbox: &Sandbox, private: &Private, named: &[&str], expected: &[&str]) {
    let surroundings = Surroundings {
        private,
        home: Some(Path::new("/home/ann")),
        folder: Path::new("/home/ann/work/code"),
        named: &paths(named),
        programs: &[],
    };
    let told: Vec<String> = rules(sandbox, &surroundings, &mut list)
        .into_iter()
        .filter(|rule| sandbox.paths.is_none() || !is_of_the_system(&rule.path))
        .map(|rule| {
            let mut told = rule.path.display().to_string();
            if rule.access == Access::Read {
                write!(told, " (read)").unwrap();
            }
            told
        })
        .collect();
    assert_eq!(told, expected);
}

fn is_of_the_system(path: &Path) -> bool {
    !["/home", "/tmp"].iter().any(|folder| path.starts_with(folder))
}

const ALL_BUT_STATION: [&str; 9] = [
    "/etc",
    "/home/ann/.aws",
    "/home/ann/.bashrc",
    "/home/ann/.config/gh",
    "/home/ann/.npm",
    "/home/ann/work",
    "/home/bob",
    "/proc",
    "/tmp",
];

#[test]
fn where_nothing_is_said_all_but_station_s_own_is_in_reach() {
    let usual_reach: Vec<&str> = ALL_BUT_STATION.into_iter().chain(["/usr"]).collect();
    check(&Sandbox::default(), &usual(), &[], &usual_reach);
    check(&Sandbox::default(), &Private::default(), &[], &["/"]);
    // What is reached by a link is judged where it lies: `st` may lead into the folder.
    // A workspace elsewhere: its environments are closed, and what stands beside them is not.
    check(
        &Sandbox::default(),
        &Private { environments: Some("/home/ann/work/agents/environments".into()), ..Private::default() },
        &[],
        &[
            "/etc",
            "/home/ann/.aws",
            "/home/ann/.bashrc",
            "/home/ann/.config",
            "/home/ann/.npm",
            "/home/ann/work/agents/README.md",
            "/home/ann/work/agents/lib",
            "/home/ann/work/code",
            "/home/bob",
            "/proc",
            "/tmp",
            "/usr",
        ],
    );
    // A folder that cannot be listed hides its own entries, and not those on the way.
    check(&Sandbox::default(), &private(&["/tmp/x/station"], &[]), &[], &["/etc", "/home", "/proc", "/usr"]);
}

#[test]
fn what_an_entry_names_within_the_folder_is_in_reach_but_no_secret() {
    let with = |more: &[&'static str]| -> Vec<&'static str> {
        ALL_BUT_STATION.into_iter().chain(["/usr"]).chain(more.iter().copied()).collect()
    };
    let named = |names: &[&str], more: &[&'static str]| {
        let names: Vec<String> = names.iter().map(|name| format!("{CONFIG}/{name}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        check(&Sandbox::default(), &usual(), &names, &with(more));
    };
    named(&["tools/server.py"], &["/home/ann/.config/station/tools/server.py"]);
    named(&["data"], &["/home/ann/.config/station/data"]);
    named(&["config.yaml", "station.db"], &[]);
    named(&["environments/prod/samples"], &["/home/ann/.config/station/environments/prod/samples"]);
    named(&["environments/prod/lib/x.json"], &["/home/ann/.config/station/environments/prod/lib/x.json"]);
    named(&["environments", "environments/prod", "environments/prod/variables.yml"], &[]);
    named(
        &["environments/prod/agents", "environments/prod/mcp-servers/x.py", "environments/prod/mcp.lock"],
        &[],
    );
    // The folder itself, and what lies elsewhere anyway.
    check(&Sandbox::default(), &usual(), &[CONFIG, "/home/ann/work"], &with(&[]));
}

#[test]
fn named_paths_are_all_there_is() {
    let strict = |read: &[&str], write: &[&str]| Sandbox {
        paths: Some(Paths {
            read: read.iter().map(ToString::to_string).collect(),
            write: write.iter().map(ToString::to_string).collect(),
        }),
        ..Sandbox::default()
    };
    check(&strict(&[], &[]), &usual(), &[], &[]);
    check(
        &strict(&["~/.aws", "/tmp"], &["."]),
        &usual(),
        &[],
        &["/home/ann/.aws (read)", "/tmp (read)", "/home/ann/work/code/."],
    );
    check(&strict(&[], &[]), &usual(), &["/home/ann/work/code/s.py"], &["/home/ann/work/code/s.py (read)"]);
    // A home that is named whole does not open what is Station's own.
    check(
        &strict(&["~/.config"], &["~/.config/station/data", "~/.config/station/environments/prod/agents"]),
        &usual(),
        &[],
        &["/home/ann/.config/gh (read)", "/home/ann/.config/station/data"],
    );
}

#[test]
fn caches_are_made_where_they_could_not_be_made_later() {
    let made = |sandbox: &Sandbox, private: &Private| {
        let surroundings = Surroundings {
            private,
            home: Some(Path::new("/home/ann")),
            folder: Path::new("/"),
            named: &[],
            programs: &[],
        };
        made_beforehand(sandbox, &surroundings).len()
    };
    assert_eq!(made(&Sandbox::default(), &usual()), 6);
    assert_eq!(made(&Sandbox::default(), &private(&["/etc/station"], &[])), 0);
    assert_eq!(made(&Sandbox { paths: Some(Paths::default()), ..Sandbox::default() }, &usual()), 0);
}

#[test]
fn what_a_kernel_cannot_keep_is_said_or_refused() {
    let all = Kernel { files: true, ports: true, calls: true };
    let old = Kernel { files: false, ports: false, calls: true };
    let none = Kernel { calls: false, ..old };
    let no_ports = Kernel { ports: false, ..all };
    let with = |network: Network| Sandbox { network, ..Sandbox::default() };
    let off = Sandbox { confine: Confine::Off, ..Sandbox::default() };
    let required = Sandbox { confine: Confine::Required, ..Sandbox::default() };
    let check = |sandbox: &Sandbox, kernel: Kernel, expected: &str| match confinement(sandbox, kernel) {
        Ok(kept) => assert!(kept.words(sandbox).starts_with(expected), "{}", kept.words(sandbox)),
        Err(why) => assert!(why.starts_with(expected), "{why}"),
    };
    check(&Sandbox::default(), all, "confined");
    check(&Sandbox::default(), old, "unconfined (this kernel has no Landlock");
    check(&off, all, "unconfined (`sandbox` of its file is off)");
    check(&required, all, "confined");
    check(&required, old, "was not started: its file requires a sandbox, and this kernel has no Landlock");
    check(&with(Network::Closed), all, "confined, no network");
    check(&with(Network::Closed), old, "unconfined, no network (this kernel has no Landlock");
    check(&with(Network::Closed), none, "unconfined (this kernel has no Landlock");
    check(&with(Network::Ports(vec![443, 5432])), all, "confined, TCP ports 443 5432");
    check(
        &with(Network::Ports(vec![443])),
        no_ports,
        "partly confined (this kernel's Landlock knows no ports",
    );
    check(
        &Sandbox { paths: Some(Paths::default()), ..Sandbox::default() },
        all,
        "confined, only named paths",
    );
}

#[test]
fn who_was_not_let_is_told_where_to_look() {
    let off = Sandbox { confine: Confine::Off, ..Sandbox::default() };
    for (sandbox, words, is_told) in [
        (Sandbox::default(), "Error: EACCES: permission denied, open '/home/ann/new'", true),
        (Sandbox::default(), "PermissionError: [Errno 1] Operation not permitted", true),
        (Sandbox::default(), "no such package", false),
        (off, "Permission denied", false),
    ] {
        assert_eq!(sandbox.hint(words).is_some(), is_told, "{words}");
    }
}

#[test]
fn what_is_kept_differently_is_told_apart() {
    let sandboxes = [
        Sandbox::default(),
        Sandbox { confine: Confine::Off, ..Sandbox::default() },
        Sandbox { network: Network::Closed, ..Sandbox::default() },
        Sandbox { paths: Some(Paths::default()), ..Sandbox::default() },
    ];
    for (at, one) in sandboxes.iter().enumerate() {
        for (other_at, other) in sandboxes.iter().enumerate() {
            assert_eq!(one.fingerprint() == other.fingerprint(), at == other_at);
        }
    }
}
