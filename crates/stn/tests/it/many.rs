//! Many at once, and disks that are full: each run answers its own task, and nothing is damaged.

use crate::home::{Home, Said};
use crate::watch::under;
use serde_json::json;
use station_testkit::openai::{self, OpenAi};
use station_testkit::postgres::cluster;

/// Processes at once: enough to queue for the one writer's lock, few enough for two cores.
const PROCESSES: usize = 10;

/// A model that has the task's text echoed and repeats what came back.
fn echoing() -> OpenAi {
    OpenAi::from_fn(|seen| {
        let messages = seen.body["messages"].as_array().unwrap();
        let last = messages.last().unwrap();
        let text = last["content"].as_str().unwrap_or_default();
        match last["role"].as_str() {
            Some("tool") => openai::reply(&format!("It said {text}.")),
            _ => openai::calls([("echo", &json!({ "text": text }).to_string())]),
        }
    })
}

fn home(model: &OpenAi, database: Option<&str>) -> Home {
    let mut home = Home::new().asking(model).set("STN_AI_API_KEY", "a-key");
    if let Some(url) = database {
        home = home.set("STATION_DATABASE", url);
    }
    home.stn(&["init", "--yes"]).done();
    home.server("default", "fake", &[]);
    home.agent("default", "parrot", "tools: [__echo]\n");
    home
}

/// Starts all, then waits for all.
fn at_once(home: &Home, commands: &[Vec<String>]) -> Vec<Said> {
    let children: Vec<_> = commands
        .iter()
        .map(|args| home.start(&args.iter().map(String::as_str).collect::<Vec<_>>()))
        .collect();
    children.into_iter().map(|child| home.said(child)).collect()
}

#[test]
fn each_process_answers_its_own_task() {
    for database in [None, Some(cluster().database())] {
        let model = echoing();
        let home = home(&model, database.as_deref());
        home.stn(&["sync", "--quiet"]).done();
        let run = |n: usize| ["agent", "run", "parrot", &format!("word-{n}")].map(str::to_owned).to_vec();
        let commands: Vec<_> = (0..PROCESSES).map(run).collect();
        for (n, said) in at_once(&home, &commands).iter().enumerate() {
            assert_eq!(said.done().stdout, format!("It said word-{n}.\n"), "{}", said.shown());
        }
        let runs = home.json(&["runs", "list"]);
        assert_eq!(runs["count"], PROCESSES);
        for run in runs["runs"].as_array().unwrap() {
            let task = run["task"].as_str().unwrap();
            assert_eq!(run["answer"], format!("It said {task}."));
        }
    }
}

#[test]
fn a_new_home_is_opened_by_many_at_once() {
    for command in
        [&["agent", "list"][..], &["init", "--yes"], &["sync"], &["agent", "run", "parrot", "hello"]]
    {
        let model = echoing();
        let made = home(&model, None);
        for name in ["station.key", "station.db"] {
            std::fs::remove_file(made.config(name)).unwrap();
        }
        let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
        for said in at_once(&made, &vec![command.clone(); 6]) {
            said.done();
        }
        let list = made.json(&["agent", "list"]);
        assert_eq!(list["count"], 1, "{command:?}: {list}");
    }
}

#[test]
fn an_old_database_is_set_aside_once() {
    let model = echoing();
    let home = home(&model, None);
    let old = [b"SQLite format 3\0".as_slice(), &[7; 4080]].concat();
    std::fs::remove_file(home.config("station.key")).unwrap();
    std::fs::write(home.config("station.db"), &old).unwrap();
    let list = ["agent", "list"].map(str::to_owned).to_vec();
    for said in at_once(&home, &vec![list; 6]) {
        said.done();
    }
    assert_eq!(std::fs::read(home.config("station.go.db")).unwrap(), old);
    assert!(!home.config("station.go.1.db").exists(), "ours was taken for the old one");
    assert_eq!(home.json(&["agent", "list"])["count"], 1);
}

#[test]
fn files_are_applied_by_many_at_once() {
    let model = echoing();
    let home = home(&model, None);
    for n in 0..30 {
        home.agent("default", &format!("agent-{n}"), "tools: [__echo]\n");
    }
    let run = ["agent", "run", "parrot", "hello"].map(str::to_owned).to_vec();
    let sync = vec!["sync".to_owned()];
    for said in at_once(&home, &[run.clone(), sync.clone(), run.clone(), sync, run]) {
        said.done();
    }
    assert_eq!(home.json(&["agent", "list"])["count"], 31);
}

/// The home works as before, and its database is whole.
#[track_caller]
fn works(home: &Home) {
    let said = home.stn(&["agent", "run", "parrot", "afterwards"]);
    assert_eq!(said.done().stdout, "It said afterwards.\n");
    let runs = home.json(&["runs", "list"]);
    for run in runs["runs"].as_array().unwrap() {
        let inspected = home.json(&["runs", "inspect", &run["id"].to_string()]);
        for (at, entry) in inspected["journal"].as_array().unwrap().iter().enumerate() {
            assert_eq!(entry["seq"], at + 1, "{inspected}");
        }
        if run["status"] == "interrupted" || run["status"] == "queued" {
            home.stn(&["runs", "resume", &run["id"].to_string(), "--quiet"]).done();
        }
    }
}

#[test]
fn a_full_disk_is_told_and_damages_nothing() {
    let model = echoing();
    let home = home(&model, None);
    home.stn(&["agent", "run", "parrot", "before", "--quiet"]).done();
    let (mut refused, mut begun) = (0, 0);
    for write in [1, 2, 3, 5, 8, 13, 21, 34] {
        // Every write of the database from this one on finds no space.
        let inject = format!("inject=pwrite64:error=ENOSPC:when={write}+");
        let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pwrite64", "-e", &inject];
        let said = under(&home, &strace, &["agent", "run", "parrot", "during"]);
        if said.code != Some(0) {
            refused += 1;
            assert!(said.stderr.contains("no space is left"), "at write {write}: {}", said.shown());
            said.exits(75);
            begun += names_what_was_begun(&home, &said);
        }
        works(&home);
    }
    assert!(refused >= 4 && begun >= 1, "the disk was full for {refused} runs, {begun} of which were begun");
}

/// A run that was begun and could not be driven on is named with the way to go on; how many there are of it.
fn names_what_was_begun(home: &Home, said: &Said) -> u32 {
    let runs = home.json(&["runs", "list"]);
    let last = &runs["runs"][0];
    if last["status"] == "completed" {
        return 0;
    }
    let way_on = format!("go on with `stn runs resume {}`", last["id"]);
    assert!(said.stderr.contains(&way_on), "{}", said.shown());
    1
}

#[test]
fn a_full_disk_at_the_start_is_told() {
    let model = echoing();
    let home = home(&model, None);
    for name in ["station.key", "station.db"] {
        std::fs::remove_file(home.config(name)).unwrap();
    }
    let strace = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=pwrite64",
        "-e",
        "inject=pwrite64:error=ENOSPC",
    ];
    let said = under(&home, &strace, &["agent", "list"]);
    assert!(said.stderr.contains("no space is left"), "{}", said.shown());
    works(&home);
}

#[test]
fn a_limit_on_the_size_of_files_is_told_and_damages_nothing() {
    let model = echoing();
    let home = home(&model, None);
    home.stn(&["agent", "run", "parrot", "before", "--quiet"]).done();
    // In blocks of 512 bytes: the first stops the shared memory, the second the log of a commit.
    for (blocks, sentence) in [("16", "error: no space is left"), ("100", "error: the disk refuses")] {
        // The signal that comes with the refusal would end the process.
        let script = format!("ulimit -f {blocks}; exec \"$@\"");
        let said = under(&home, &["sh", "-c", &script, "sh"], &["agent", "run", "parrot", "during"]);
        assert!(said.stderr.contains(sentence), "{blocks} blocks: {}", said.shown());
        names_what_was_begun(&home, said.exits(75));
        works(&home);
    }
}
