//! A fake MCP server over stdio and HTTP, for tests: plain text and threads, no rmcp, so that it judges our client
//! independently. It speaks both eras, logs every call before it acts, and misbehaves on demand.
//!
//! Options:
//!
//! - `--era legacy|modern|both` (default `both`), `--name NAME`
//! - `--log FILE`: one JSON line per `tools/call`, appended before acting: `{"tool", "arguments", "effect", "trace"}`
//! - `--ledger FILE`: offers `post`, which writes a line there, `posted`, which looks whether a call did, and `post_once`,
//!   which writes one line however often the same effect is sent
//! - `--trace FILE`: every message received, one per line
//! - `--tools N`: that many tools more, `tool_0001` …, listed in pages; `--full`: resources, templates and a prompt, too
//! - `--echo-says FILE`: where that file is there, `echo` describes itself by what it holds
//! - `--noise`: prints text among the messages; `--linger`: does not end when stdin closes
//! - `--silent`: never answers; `--exit-at-start CODE`: says so on stderr and ends; `--dies-at-probe`: ends at `server/discover`
//! - `--grandchildren`: starts three processes that sleep: a plain child, a new session, an orphan of a double fork
//! - `--pids FILE`: the server and its grandchildren append their numbers to it
//! - `--reach`: offers `reach`, which tries what a sandbox is to keep it from
//! - `--refuse METHOD`: answers that method with an internal error, as a server does whose database is away
//! - `--list-changed-after-call`: one tool more after each call, and says so
//!
//! Over HTTP, on a port of the system's choice, until stdin closes:
//!
//! - `--http FILE`: serves `/mcp` and writes the port there; `--reply-sse`: answers are streams of events
//! - `--old-http`: `/sse` and `/messages` of 2024-11-05 instead; `--strays`: names an address of another origin
//! - `--sessions`: the older era needs one; `--forget FILE`: when that file is there all are forgotten, and it goes
//! - `--cut`: streams that answer calls are cut in their middle, and a GET with the last event's id gives the rest
//! - `--need-header NAME=VALUE`: 401 without it; `--redirect-to URL`: 307 for all that does not begin with `/moved`

mod hostile;
mod http;
mod ledger;
mod offspring;
mod options;
mod protocol;
mod reach;
mod sampling;
mod tools;

use options::Options;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = offspring::run_if_one(&args) {
        return code;
    }
    let options = match Options::parse(&args) {
        Ok(options) => options,
        Err(problem) => {
            complain(&problem);
            return ExitCode::from(2);
        }
    };
    if let Some(code) = options.exit_at_start {
        complain("fatal: this server was told to end at once");
        return ExitCode::from(code);
    }
    if let Some(pids) = &options.pids {
        append(pids, &std::process::id().to_string());
    }
    if options.grandchildren {
        offspring::start(options.pids.as_deref());
    }
    protocol::serve(options);
    ExitCode::SUCCESS
}

/// A line on stderr.
fn complain(line: &str) {
    use std::io::Write as _;
    writeln!(std::io::stderr(), "{line}").expect("stderr is open");
}

/// Ends in the middle of everything, after a last word on stderr.
#[expect(clippy::disallowed_methods, reason = "to end without tidying up is what a crash is")]
fn die(line: &str, code: i32) -> ! {
    complain(line);
    std::process::exit(code);
}

/// Appends one line to a file, in one write. Where it cannot, the server ends: a panic would end the one call's thread, and
/// leave a caller who waits for its answer.
fn append(path: &std::path::Path, line: &str) {
    use std::io::Write as _;
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    if let Err(error) = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes())) {
        die(&format!("fatal: {} cannot be written: {error}", path.display()), 3);
    }
}
