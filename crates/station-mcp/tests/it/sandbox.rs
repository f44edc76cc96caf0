//! What a server that tries reaches, and what it does not.

use super::{Scene, call, lives, text, until};
use serde_json::json;
use station_core::Definition;
use station_core::sandbox::{Confine as Whether, Network, Paths, Private, ProcessLimits, Sandbox};
use station_mcp::sandbox::Confine;
use station_mcp::{CallEnd, Connection};
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

/// A home with Station's folder in it, and a server that is kept from that.
struct House {
    scene: Scene,
}

impl House {
    fn new(sandbox: Sandbox) -> Self {
        let mut scene = Scene::new(&["--reach"]);
        for (file, holds) in [
            ("home/.config/station/config.yaml", "key"),
            ("home/.config/station/environments/default/variables.yml", "secret"),
            ("home/.config/station/tools/helper.py", "help"),
            ("home/.config/gh/hosts.yml", "gh"),
            ("home/work/code.rs", "code"),
            ("home/.bashrc", "rc"),
        ] {
            let path = scene.folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, holds).unwrap();
        }
        let station = scene.folder.path().join("home/.config/station");
        std::os::unix::fs::symlink(&station, scene.folder.path().join("home/link")).unwrap();
        let home = scene.folder.path().join("home").display().to_string();
        scene.launch.inherited.insert("HOME".to_owned(), home);
        scene.launch.folder.clone_from(&station);
        let private = Box::new(Private {
            sealed: vec![station.join("config.yaml")],
            environments: Some(station.join("environments")),
            closed: vec![station],
        });
        scene.launch.confine = Confine::Kept { sandbox, private };
        // What is made where Station's folder lies below cannot be made later.
        for log in ["log", "trace", "pids"] {
            std::fs::write(scene.file(log), "").unwrap();
        }
        Self { scene }
    }

    fn home(&self, path: &str) -> String {
        self.scene.folder.path().join("home").join(path).display().to_string()
    }

    async fn connect(&self) -> Connection {
        self.scene.connect().await
    }
}

/// Tries each row on one connection.
async fn check(connection: &Connection, rows: &[(&str, &str, &str)]) {
    for (what, target, expected) in rows {
        let found = text(connection, "reach", json!({ "what": what, "target": target })).await;
        assert_eq!(found, *expected, "{what} {target}");
    }
}

const DENIED: &str = "permission denied";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_reach_station_s_own_files_and_reaches_the_rest() {
    let house = House::new(Sandbox::default());
    let server = house.connect().await;
    check(
        &server,
        &[
            ("read", &house.home(".config/station/config.yaml"), DENIED),
            ("read", &house.home(".config/station/environments/default/variables.yml"), DENIED),
            ("read", &house.home(".config/station/tools/helper.py"), DENIED),
            ("read", &house.home("link/config.yaml"), DENIED),
            ("read", &format!("/proc/self/root{}", house.home(".config/station/config.yaml")), DENIED),
            ("list", &house.home(".config/station"), DENIED),
            ("make", &house.home(".config/station/mcp.json"), DENIED),
            ("read", &house.home(".bashrc"), "ok rc"),
            ("read", &house.home(".config/gh/hosts.yml"), "ok gh"),
            ("make", &house.home("work/new.rs"), "ok"),
            ("make", &house.home(".npm/made"), "ok"),
            ("make", &house.home(".cache/made"), "ok"),
            ("make", &house.home(".aws/made"), "ok"),
            ("make", &house.home(".kube/made"), "ok"),
            ("list", "/usr", &format!("ok {}", std::fs::read_dir("/usr").unwrap().count())),
            // The price: what lies right above Station's folder can neither be listed nor be added to.
            ("list", &house.home(""), DENIED),
            ("make", &house.home("new"), DENIED),
            // Station and the shim are not its to end, nor to look into.
            ("signal", &std::process::id().to_string(), DENIED),
            ("list", &format!("/proc/{}/root/usr", std::process::id()), DENIED),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_s_own_entry_names_in_the_folder_is_in_its_reach() {
    let mut house = House::new(Sandbox::default());
    let helper = house.home(".config/station/tools/helper.py");
    let secret = house.home(".config/station/environments/default/variables.yml");
    if let Definition::Stdio { args, .. } = &mut house.scene.launch.definition {
        args.extend(["--name".to_owned(), helper.clone(), "--name".to_owned(), secret.clone()]);
    }
    let server = house.connect().await;
    check(&server, &[("read", &helper, "ok help"), ("read", &secret, DENIED)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_names_paths_reaches_these_alone() {
    let named = |paths: &[&str]| paths.iter().map(ToString::to_string).collect();
    let paths = Some(Paths { read: named(&["~/.bashrc"]), write: named(&["~/work"]) });
    let mut house = House::new(Sandbox { paths, ..Sandbox::default() });
    if let Definition::Stdio { args, .. } = &mut house.scene.launch.definition {
        // A log is made where it was started, which it does not name.
        args.drain(1..);
    }
    let server = house.connect().await;
    check(
        &server,
        &[
            ("read", &house.home(".bashrc"), "ok rc"),
            ("make", &house.home(".bashrc"), DENIED),
            ("make", &house.home("work/new.rs"), "ok"),
            ("read", &house.home(".config/gh/hosts.yml"), DENIED),
            ("read", &house.home(".config/station/config.yaml"), DENIED),
            ("list", "/tmp", DENIED),
            ("make", "/dev/null", "ok"),
        ],
    )
    .await;
    assert!(!Path::new(&house.home(".npm")).exists(), "nothing is made for who may not use it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_network_makes_no_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = listener.local_addr().unwrap().to_string();
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = datagrams.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let unix: PathBuf = folder.path().join("store.sock");
    let _store = UnixListener::bind(&unix).unwrap();
    let unix = unix.display().to_string();
    let name = format!("station-test-{}", std::process::id());
    let _hidden = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();

    let open = House::new(Sandbox::default());
    let rows = [
        ("tcp", tcp.as_str(), "ok"),
        ("udp", &udp, "ok"),
        ("unix", &unix, "ok"),
        ("abstract", &name, DENIED),
    ];
    check(&open.connect().await, &rows).await;
    let closed = House::new(Sandbox { network: Network::Closed, ..Sandbox::default() });
    let rows = [
        ("tcp", tcp.as_str(), DENIED),
        ("udp", &udp, DENIED),
        ("unix", &unix, DENIED),
        ("abstract", &name, DENIED),
    ];
    check(&closed.connect().await, &rows).await;
    let port = listener.local_addr().unwrap().port();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = other.local_addr().unwrap().to_string();
    let ports = House::new(Sandbox { network: Network::Ports(vec![port]), ..Sandbox::default() });
    let rows = [("tcp", tcp.as_str(), "ok"), ("tcp", &other, DENIED), ("udp", &udp, "ok")];
    check(&ports.connect().await, &rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_too_many_processes_is_ended_with_all_of_them() {
    let limits = ProcessLimits { processes_max: Some(4), ..ProcessLimits::default() };
    let house = House::new(Sandbox { limits, ..Sandbox::default() });
    let server = house.connect().await;
    check(&server, &[("start", "3", "ok")]).await;
    let shim = server.process().unwrap().pid;
    // It may answer before it is counted.
    let _answer = call(&server, "reach", json!({ "what": "start", "target": "20" })).await;
    until("the end of all", || (!lives(shim)).then_some(())).await;
    match call(&server, "reach", json!({ "what": "start", "target": "1" })).await {
        CallEnd::NotSent { .. } | CallEnd::Unknown { .. } => {}
        other => panic!("{other:?}"),
    }
    assert!(
        server.stderr().iter().any(|line| line.contains("more than 4 processes at a time")),
        "{:?}",
        server.stderr()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_keeps_to_its_limits() {
    let limits = ProcessLimits {
        memory_bytes_max: Some(256 << 20),
        file_bytes_max: Some(2),
        open_files_max: Some(32),
        ..ProcessLimits::default()
    };
    let mut house = House::new(Sandbox { limits, ..Sandbox::default() });
    if let Definition::Stdio { args, .. } = &mut house.scene.launch.definition {
        args.drain(1..);
    }
    let server = house.connect().await;
    check(&server, &[("hold", "64", "ok"), ("hold", "1024", "out of memory")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_confined_reaches_what_the_user_does() {
    let off = House::new(Sandbox { confine: Whether::Off, ..Sandbox::default() });
    check(&off.connect().await, &[("read", &off.home(".config/station/config.yaml"), "ok key")]).await;
    let mut own = House::new(Sandbox::default());
    own.scene.launch.confine = Confine::Station;
    check(&own.connect().await, &[("read", &own.home(".config/station/config.yaml"), "ok key")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_lies_where_it_may_not_is_told_of_like_any_other() {
    let mut house = House::new(Sandbox { paths: Some(Paths::default()), ..Sandbox::default() });
    if let Definition::Stdio { command, .. } = &mut house.scene.launch.definition {
        *command = "/nowhere/at/all".to_owned();
    }
    let (sentence, _) = house.scene.refusal().await;
    assert!(sentence.contains("the command `/nowhere/at/all` was not found"), "{sentence}");
}
