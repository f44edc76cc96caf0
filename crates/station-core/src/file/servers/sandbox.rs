//! `station.sandbox` of a server entry: a word, or what is kept from the server.

use crate::file::sheet::Sheet;
use crate::file::tree::{Node, Value};
use crate::sandbox::{Confine, Network, Sandbox};

const KEYS: &[&str] = &[
    "required",
    "network",
    "read",
    "write",
    "processes_max",
    "memory_bytes_max",
    "file_bytes_max",
    "open_files_max",
];

/// Least memory of a process: the shim, which starts the program under the same limit, needs some itself.
const MEMORY_BYTES_MIN: u64 = 32 << 20;

/// Fewest open files: streams, the loader's, and those of a runtime.
const OPEN_FILES_MIN: u64 = 16;

/// Reads it. What is not understood is an error: a sandbox that was misread would be none.
pub(super) fn sandbox(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Sandbox {
    let mut sandbox = Sandbox::default();
    if !matches!(node.value, Value::Map(_)) {
        let must_be = "`off`, `required`, or a map of what it may do";
        let word = sheet.value(node, what, must_be, |word| match word {
            "off" | "false" => Some(Confine::Off),
            "required" => Some(Confine::Required),
            _ => None,
        });
        sandbox.confine = word.unwrap_or_default();
        return sandbox;
    }
    for member in sheet.members(node, what) {
        let what = format!("{what}.{}", member.key.escape_debug());
        let node = &member.node;
        let limits = &mut sandbox.limits;
        match member.key.as_str() {
            "required" => {
                if sheet.truth(node, &what) == Some(true) {
                    sandbox.confine = Confine::Required;
                }
            }
            "network" => sandbox.network = network(sheet, node, &what),
            "read" => sandbox.paths.get_or_insert_default().read = paths(sheet, node, &what),
            "write" => sandbox.paths.get_or_insert_default().write = paths(sheet, node, &what),
            "processes_max" => limits.processes_max = sheet.number(node, &what, 1),
            "memory_bytes_max" => limits.memory_bytes_max = sheet.number(node, &what, MEMORY_BYTES_MIN),
            "file_bytes_max" => limits.file_bytes_max = sheet.number(node, &what, 0),
            "open_files_max" => limits.open_files_max = sheet.number(node, &what, OPEN_FILES_MIN),
            _ => sheet.error_with_hint(
                member.at,
                format!("`{what}` is nothing that a sandbox knows"),
                format!("it knows {}", KEYS.join(", ")),
            ),
        }
    }
    sandbox
}

fn network(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Network {
    if let Value::List(items) = &node.value {
        let ports = items.iter().enumerate();
        return Network::Ports(
            ports.filter_map(|(at, item)| sheet.number(item, &format!("{what}.{at}"), 1)).collect(),
        );
    }
    match sheet.value(node, what, "`true`, `false` or a list of TCP ports", |word| word.parse().ok()) {
        Some(false) => Network::Closed,
        Some(true) | None => Network::Open,
    }
}

fn paths(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Vec<String> {
    let paths = if node.is_null() { Vec::new() } else { sheet.texts(node, what) };
    if paths.iter().any(String::is_empty) {
        sheet.error(node.at, format!("`{what}` names an empty path"));
    }
    paths
}
