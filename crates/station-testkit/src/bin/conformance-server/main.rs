//! The server that the official conformance suite wants to find: its tools, resources and prompts, each as the suite's own
//! description says (`@modelcontextprotocol/conformance`), over stdio and in both eras.
//!
//! Plain text and threads, no rmcp and nothing of Station's, so that what is judged is the gateway before it. In the older era
//! a tool that needs its client asks it by a request, in the newer one by a result. Option: `--era legacy|modern|both`
//! (default `both`).

mod asks;
mod offers;
mod protocol;
mod tools;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let eras = match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] | ["--era", "both"] => protocol::Eras { legacy: true, modern: true },
        ["--era", "legacy"] => protocol::Eras { legacy: true, modern: false },
        ["--era", "modern"] => protocol::Eras { legacy: false, modern: true },
        _ => return ExitCode::from(2),
    };
    protocol::serve(eras);
    ExitCode::SUCCESS
}
