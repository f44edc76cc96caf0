//! `cargo xtask judge clients`: clients of others list and call Station, over stdio (`stn stdio`) and HTTP (`stn serve`).
//!
//! Each client says what it found in its own words, so the answers are looked for and not compared: thirteen tools by the
//! name of one, and a call by the environment that it lists.

use super::house::{House, row};
use super::served::Served;
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::process::{Command, Stdio};

/// A client and how it is started: `{stn}` stands for Station's program, `{url}` for its address.
struct Judged {
    name: &'static str,
    /// What lists, and what calls. One where the client does both.
    asks: &'static [Ask],
}

struct Ask {
    over_stdio: &'static [&'static str],
    over_http: &'static [&'static str],
    /// What the answer has in it.
    part: &'static str,
}

const BOTH: &str = "\"success\":true";
const LISTED: &str = "suggest_agent_config";
const CALLED: &str = "\"origin\"";

const CLIENTS: [Judged; 5] = [
    Judged {
        name: "Inspector CLI",
        asks: &[
            Ask {
                over_stdio: &[
                    "npx",
                    "-y",
                    "@modelcontextprotocol/inspector",
                    "--cli",
                    "{stn}",
                    "stdio",
                    "--method",
                    "tools/list",
                ],
                over_http: &[
                    "npx",
                    "-y",
                    "@modelcontextprotocol/inspector",
                    "--cli",
                    "{url}",
                    "--transport",
                    "http",
                    "--method",
                    "tools/list",
                ],
                part: LISTED,
            },
            Ask {
                over_stdio: &[
                    "npx",
                    "-y",
                    "@modelcontextprotocol/inspector",
                    "--cli",
                    "{stn}",
                    "stdio",
                    "--method",
                    "tools/call",
                    "--tool-name",
                    "list_environments",
                ],
                over_http: &[
                    "npx",
                    "-y",
                    "@modelcontextprotocol/inspector",
                    "--cli",
                    "{url}",
                    "--transport",
                    "http",
                    "--method",
                    "tools/call",
                    "--tool-name",
                    "list_environments",
                ],
                part: CALLED,
            },
        ],
    },
    Judged {
        name: "Python SDK",
        asks: &[Ask {
            over_stdio: &[
                "uv",
                "run",
                "--no-project",
                "--with",
                "mcp",
                "python",
                "client.py",
                "{stn}",
                "stdio",
            ],
            over_http: &["uv", "run", "--no-project", "--with", "mcp", "python", "client.py", "{url}"],
            part: BOTH,
        }],
    },
    Judged {
        name: "TypeScript SDK 1",
        asks: &[Ask {
            over_stdio: &["node", "client.mjs", "@modelcontextprotocol/sdk", "{stn}", "stdio"],
            over_http: &["node", "client.mjs", "@modelcontextprotocol/sdk", "{url}"],
            part: BOTH,
        }],
    },
    Judged {
        name: "TypeScript SDK 2",
        asks: &[Ask {
            over_stdio: &["node", "client.mjs", "@modelcontextprotocol/client", "{stn}", "stdio"],
            over_http: &["node", "client.mjs", "@modelcontextprotocol/client", "{url}"],
            part: BOTH,
        }],
    },
    Judged {
        name: "FastMCP CLI",
        asks: &[
            Ask {
                over_stdio: &[
                    "uvx",
                    "--from",
                    "fastmcp",
                    "fastmcp",
                    "list",
                    "--command",
                    "{stn} stdio",
                    "--json",
                ],
                over_http: &["uvx", "--from", "fastmcp", "fastmcp", "list", "{url}", "--json"],
                part: LISTED,
            },
            Ask {
                over_stdio: &[
                    "uvx",
                    "--from",
                    "fastmcp",
                    "fastmcp",
                    "call",
                    "--command",
                    "{stn} stdio",
                    "--target",
                    "list_environments",
                    "--json",
                ],
                over_http: &[
                    "uvx",
                    "--from",
                    "fastmcp",
                    "fastmcp",
                    "call",
                    "{url}",
                    "list_environments",
                    "--json",
                ],
                part: CALLED,
            },
        ],
    },
];

/// Judges all of them.
pub(super) fn run() -> Result<bool> {
    let house = House::new()?;
    let work = house.path("work");
    std::fs::write(work.join("client.py"), include_str!("clients/client.py"))?;
    std::fs::write(work.join("client.mjs"), include_str!("clients/client.mjs"))?;
    let packages =
        ["install", "--no-fund", "--no-audit", "@modelcontextprotocol/sdk", "@modelcontextprotocol/client"];
    ensure!(quiet(house.command("npm").args(packages))?.0, "npm could not fetch the TypeScript SDKs");
    let served = Served::start(&house)?;
    let url = served.url("/mcp");
    let mut all_hold = true;
    for client in &CLIENTS {
        let mut cells = Vec::new();
        for (over, is_http) in [("stdio", false), ("HTTP", true)] {
            let mut told = format!("{over}: ok");
            for ask in client.asks {
                let words = if is_http { ask.over_http } else { ask.over_stdio };
                let words: Vec<String> =
                    words.iter().map(|word| placed(word, house.program(), &url)).collect();
                let (ended_well, said) = quiet(house.command(&words[0]).args(&words[1..]))?;
                let packed: String = said.chars().filter(|it| !it.is_whitespace()).collect();
                if !ended_well || !packed.contains(ask.part) {
                    all_hold = false;
                    told = format!("{over}: FAILED {said}");
                }
            }
            cells.push(told);
        }
        row(client.name, &cells);
    }
    Ok(all_hold)
}

fn placed(word: &str, program: &Path, url: &str) -> String {
    word.replace("{stn}", &program.display().to_string()).replace("{url}", url)
}

/// Whether a command ended well, and all that it said.
fn quiet(command: &mut Command) -> Result<(bool, String)> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("`{name}` cannot be started"))?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}
