//! Which crate may use which, and which outside technology lives where.
//!
//! The tables are those of ARCHITECTURE.md. A new row is an event: it needs a decision record.

use std::collections::BTreeSet;

use super::tree::{Edge, File, Finding, Tree};

/// Our crates and those of ours that each may use.
const CRATES: &[(&str, &[&str])] = &[
    ("station-core", &[]),
    ("station-store", &["station-core"]),
    ("station-llm", &["station-core"]),
    ("station-mcp", &["station-core"]),
    ("station-engine", &["station-core", "station-store", "station-llm", "station-mcp"]),
    ("station-server", &["station-engine", "station-mcp", "station-core"]),
    ("stn", &["station-server", "station-engine", "station-mcp", "station-core"]),
    // The testkit builds the shim as a program of its own, for tests that are not `stn`.
    ("station-testkit", &["station-core", "station-mcp"]),
    // Figures are taken at every level, from a journal's append to the whole program.
    (
        "station-benches",
        &["station-core", "station-store", "station-llm", "station-mcp", "station-engine", "station-testkit"],
    ),
    ("xtask", &[]),
];

/// Outside technologies and the crates that they live in. `deny.toml` says the same with its `wrappers`.
const TECHNOLOGIES: &[(&str, &[&str])] = &[
    ("landlock", &["station-mcp"]),
    ("seccompiler", &["station-mcp"]),
    ("rmcp", &["station-mcp"]),
    ("sqlx", &["station-store"]),
    ("rusqlite", &["station-store"]),
    ("aes-gcm", &["station-store"]),
    ("ring", &["station-mcp"]),
    ("genai", &["station-llm"]),
    ("reqwest", &["station-llm", "station-mcp", "stn"]),
    ("opentelemetry", &["stn"]),
    ("opentelemetry-otlp", &["stn"]),
    ("opentelemetry-proto", &["stn"]),
    ("opentelemetry_sdk", &["stn"]),
    ("axum", &["station-server"]),
    ("tokio-rustls", &["station-server"]),
    ("hyper", &["station-server"]),
    ("hyper-util", &["station-server"]),
    ("clap", &["stn"]),
    ("clap_complete", &["stn"]),
    ("clap_mangen", &["stn"]),
    ("indicatif", &["stn"]),
    ("terminal_size", &["stn"]),
    ("tracing-subscriber", &["station-engine", "stn"]),
    ("metrics", &["station-engine"]),
    ("metrics-exporter-prometheus", &["station-engine"]),
    ("metrics-process", &["station-engine"]),
    ("rustls", &["stn"]),
    ("gotmpl", &["station-core"]),
    ("handlebars", &["station-core"]),
    ("jsonschema", &["station-core"]),
    ("croner", &["station-core"]),
    ("serde-saphyr", &["station-core", "stn"]),
];

/// Technologies that tests of every crate may use.
const FREE_IN_TESTS: &[&str] = &["rustls"];

/// What core has no business with: it waits for nothing and touches nothing.
const NOT_IN_CORE: &[&str] = &["tokio", "futures", "nix", "getrandom", "tracing", "tempfile"];

/// Crates that must not be in the graph at all, by the beginning of their name.
const BANNED: &[(&str, &str)] = &[
    (
        "aws-lc",
        "one TLS provider: ring; some crate's default features bring aws-lc in (`cargo tree -i aws-lc-rs`)",
    ),
    ("native-tls", "TLS is rustls with ring"),
    ("openssl", "TLS is rustls with ring; libcrypto is linked by libsqlite3-sys alone"),
    ("serde_yaml", "unmaintained; YAML is read by serde-saphyr"),
    ("serde_yml", "unmaintained; YAML is read by serde-saphyr"),
];

/// Lock entries that begin like a banned crate and are harmless.
const NOT_BANNED: &[&str] = &["openssl-probe", "openssl-src", "openssl-sys"];

/// Edges between our own crates follow the table.
pub(crate) fn crates(tree: &Tree) -> Vec<Finding> {
    tree.edges
        .iter()
        .filter(|edge| !crate_edge_allowed(edge))
        .map(|edge| {
            at_edge(
                tree,
                edge,
                "this edge is not in the table of ARCHITECTURE.md; a new one needs a decision record",
            )
        })
        .collect()
}

/// Outside technologies stay at home, and core stays quiet.
pub(crate) fn technologies(tree: &Tree) -> Vec<Finding> {
    let refused = tree.edges.iter().filter_map(|edge| Some((edge, technology_refused(edge)?)));
    refused.map(|(edge, why)| at_edge(tree, edge, &why)).collect()
}

/// Nothing banned anywhere in the graph.
pub(crate) fn locked(tree: &Tree) -> Vec<Finding> {
    let Some(lock) = tree.file("Cargo.lock") else {
        return vec![Finding::at("Cargo.lock", 1, "is missing: builds are `--locked`")];
    };
    let mut findings = Vec::new();
    for (n, line) in lock.text.lines().enumerate() {
        let Some(name) = line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"')) else {
            continue;
        };
        if let Some((_, why)) = BANNED.iter().find(|(banned, _)| name.starts_with(banned))
            && !NOT_BANNED.contains(&name)
        {
            findings.push(lock.finding(n + 1, format!("`{name}` is in the graph: {why}")));
        }
    }
    findings
}

/// `deny.toml` knows the same homes, for those who run cargo-deny.
pub(crate) fn denied(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.file("deny.toml") else { return vec![Finding::at("deny.toml", 1, "is missing")] };
    let Ok(deny) = file.text.parse::<toml::Table>() else { return vec![file.finding(1, "is not TOML")] };
    let rows = deny.get("bans").and_then(|bans| bans.get("deny")).and_then(toml::Value::as_array);
    let text = |row: &toml::Value, key: &str| row.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let mut missing = Vec::new();
    for (technology, homes) in TECHNOLOGIES {
        let row = rows.into_iter().flatten().find(|row| text(row, "crate").as_deref() == Some(technology));
        let wrappers = row.and_then(|row| row.get("wrappers")).and_then(toml::Value::as_array);
        let wrappers: BTreeSet<&str> =
            wrappers.into_iter().flatten().filter_map(toml::Value::as_str).collect();
        if !homes.iter().all(|home| wrappers.contains(home)) {
            missing.push(file.finding(
                1,
                format!("`{technology}` needs a row in [bans] with its homes as wrappers: {homes:?}"),
            ));
        }
    }
    missing
}

/// Versions and lints live in the root manifest; a crate's manifest only names what it uses.
pub(crate) fn manifests(tree: &Tree) -> Vec<Finding> {
    let ours = tree.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    ours.filter(|file| ["crates/", "xtask/", "benches/"].iter().any(|folder| file.path.starts_with(folder)))
        .flat_map(manifest)
        .collect()
}

fn manifest(file: &File) -> Vec<Finding> {
    let Ok(table) = file.text.parse::<toml::Table>() else { return vec![file.finding(1, "is not TOML")] };
    let inherits = |value: &toml::Value| value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
    let mut findings = Vec::new();
    if !table.get("lints").is_some_and(inherits) {
        findings.push(file.finding(1, "`[lints] workspace = true` is missing"));
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let rows = table.get(section).and_then(toml::Value::as_table).into_iter().flatten();
        for (name, value) in rows {
            if !inherits(value) {
                let why =
                    format!("`{name}`: versions live in the root manifest; write `{name}.workspace = true`");
                findings.push(file.finding(file.line_of(name), why));
            }
        }
    }
    findings
}

fn at_edge(tree: &Tree, edge: &Edge, why: &str) -> Finding {
    let why = format!("`{}` uses `{}`: {why}", edge.from, edge.to);
    let name = format!("name = \"{}\"", edge.from);
    let manifest =
        tree.files.iter().find(|file| file.path.ends_with("Cargo.toml") && file.text.contains(&name));
    match manifest {
        Some(file) => file.finding(file.line_of(&format!("\n{}", edge.to)).max(file.line_of(&edge.to)), why),
        None => Finding::at("Cargo.toml", 1, why),
    }
}

fn crate_edge_allowed(edge: &Edge) -> bool {
    let is_ours = |name: &str| CRATES.iter().any(|(ours, _)| *ours == name);
    if !is_ours(&edge.to) || (edge.dev && (edge.to == "station-testkit" || edge.from == "station-testkit")) {
        return true;
    }
    CRATES.iter().any(|(from, to)| *from == edge.from && to.contains(&edge.to.as_str()))
}

fn technology_refused(edge: &Edge) -> Option<String> {
    if edge.from == "station-core" && !edge.dev && NOT_IN_CORE.contains(&edge.to.as_str()) {
        return Some("core has no tokio, files, environment, clock, network or SQL".to_owned());
    }
    let (_, homes) = TECHNOLOGIES.iter().find(|(name, _)| *name == edge.to)?;
    let free = edge.dev && FREE_IN_TESTS.contains(&edge.to.as_str());
    (!free && !homes.contains(&edge.from.as_str()))
        .then(|| format!("it lives in {} alone", homes.join(" and ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str, dev: bool) -> Tree {
        Tree { files: Vec::new(), edges: vec![Edge { from: from.into(), to: to.into(), dev }] }
    }

    #[test]
    fn knowledge_flows_one_way() {
        let rows = [
            ("station-core", "station-store", false, 1),
            ("station-store", "station-mcp", false, 1),
            ("stn", "station-store", false, 1),
            ("stn", "station-store", true, 1),
            ("station-new", "station-core", false, 1),
            ("station-store", "station-testkit", false, 1),
            ("station-store", "station-testkit", true, 0),
            ("station-testkit", "station-engine", true, 0),
            ("stn", "station-engine", false, 0),
            ("stn", "serde", false, 0),
        ];
        for (from, to, dev, n) in rows {
            assert_eq!(crates(&edge(from, to, dev)).len(), n, "{from} -> {to}");
        }
    }

    #[test]
    fn a_technology_stays_at_home() {
        let rows = [
            ("station-engine", "rmcp", false, 1),
            ("station-engine", "sqlx", true, 1),
            ("station-core", "tokio", false, 1),
            ("station-llm", "rustls", false, 1),
            ("station-llm", "rustls", true, 0),
            ("station-mcp", "rmcp", false, 0),
            ("station-store", "tokio", false, 0),
        ];
        for (from, to, dev, n) in rows {
            assert_eq!(technologies(&edge(from, to, dev)).len(), n, "{from} -> {to}");
        }
    }

    #[test]
    fn the_lock_file_has_nothing_banned() {
        let lock =
            "name = \"aws-lc-sys\"\nname = \"openssl-probe\"\nname = \"native-tls\"\nname = \"openssl\"\n";
        assert_eq!(locked(&Tree::of(&[("Cargo.lock", lock)])).len(), 3);
        assert_eq!(locked(&Tree::default()).len(), 1);
    }

    #[test]
    fn deny_names_every_home() {
        assert_eq!(denied(&Tree::of(&[("deny.toml", "[bans]\ndeny = []\n")])).len(), TECHNOLOGIES.len());
        assert_eq!(denied(&Tree::of(&[("deny.toml", include_str!("../../../deny.toml"))])).len(), 0);
    }

    #[test]
    fn versions_live_in_the_root() {
        let rows = [
            ("[lints]\nworkspace = true\n[dependencies]\nserde = \"1\"\n", 1),
            ("[lints]\nworkspace = true\n[dev-dependencies]\nserde = { version = \"1\" }\n", 1),
            ("[dependencies]\nserde.workspace = true\n", 1),
            ("[lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\n", 0),
        ];
        for (text, n) in rows {
            assert_eq!(manifests(&Tree::of(&[("crates/x/Cargo.toml", text)])).len(), n, "{text}");
        }
    }
}
