//! Writes the files of a workspace in every legal variation of the formats: what people and programs have made of them.
//!
//! Each strategy gives a text and what an edit must leave alone. Comments are numbered (`# c1`), so that one that is lost
//! or moved is seen.

use proptest::prelude::*;
use proptest::sample::select;

/// An agent's file.
#[derive(Clone, Debug)]
pub(crate) struct PromptFile {
    pub(crate) text: String,
    pub(crate) tools: Vec<String>,
}

/// A server file and the names of its servers, in file order.
#[derive(Clone, Debug)]
pub(crate) struct ServerFile {
    pub(crate) text: String,
    pub(crate) names: Vec<String>,
}

/// A line end for a whole file, and perhaps a byte order mark before it.
fn dressed(text: &str, crlf: bool, mark: bool) -> String {
    let text = if crlf { text.replace('\n', "\r\n") } else { text.to_owned() };
    format!("{}{text}", if mark { "\u{feff}" } else { "" })
}

fn metadata() -> impl Strategy<Value = &'static str> {
    select(vec![
        "metadata:\n  name: \"triage\" # c1\n  description: \"Finds errors\"\n  # c2\n  tags: [\"logs\", 'b']\n  app: x\n",
        "metadata: {name: triage, description: 'Finds: errors', tags: [a]} # c1\n",
        "metadata:\n    name: triage\n    tags:\n    - a # c1\n    - b\n",
        "metadata: # c1\nname: triage\n",
        "name: triage # c1\ndescription: >-\n  Finds\n  errors\n# c2\n",
        "# c1\n",
    ])
}

fn model() -> impl Strategy<Value = &'static str> {
    select(vec![
        "model: gpt-4o-mini # c3\n",
        "model: \"openai/gpt-4o\"\n",
        "model: [openai/a, anthropic/b] # c3\n",
        "model:\n  - openai/a # c3\n  - ollama/llama3:8b\n",
        "model:\n",
        "",
    ])
}

/// How `tools` is written, with the names in it.
fn tools() -> impl Strategy<Value = (&'static str, Vec<&'static str>)> {
    select(vec![
        (
            "tools:\n  - \"__read_text_file\" # c4\n  - '__list'\n  # c5\n  - fs__write\n",
            vec!["__read_text_file", "__list", "fs__write"],
        ),
        ("tools:\n- a # c4\n- b\n", vec!["a", "b"]),
        ("tools: [\"a\", b] # c4\n", vec!["a", "b"]),
        ("tools: a # c4\n", vec!["a"]),
        ("tools: []\n", vec![]),
        ("tools:\n", vec![]),
        ("", vec![]),
    ])
}

fn others() -> impl Strategy<Value = Vec<&'static str>> {
    let pieces = vec![
        "max_steps: 8 # c6\n",
        "config: {temperature: 0.3, max_tokens: 2000}\n",
        "input:\n  schema:\n    userInput: string # c7\n    n?: integer, how many\n",
        "output: {format: json, schema: {severity: \"string, how bad\"}}\n",
        "schedule: {cron: \"0 0 9 * * *\", enabled: true}\n",
        "schedule: \"0 9 * * *\" # c8\n",
        "agents:\n  - \"metrics\" # c9\n",
        "harness: agentic  \n",
        "notify:\n  on: [failure]\n  text: |\n    # not a comment\n    - not a list\n\n",
        "station: {approve: [\"write_*\"], limits: {tokens: 50000}}\n",
        "\n# c10\n\n",
        "memory_topic: 'it''s'\n",
    ];
    proptest::sample::subsequence(pieces, 0..=6).prop_map(|pieces| {
        let mut seen_schedule = false;
        let is_new =
            |piece: &&str| !piece.starts_with("schedule") || !std::mem::replace(&mut seen_schedule, true);
        pieces.into_iter().filter(is_new).collect()
    })
}

fn body() -> impl Strategy<Value = &'static str> {
    select(vec![
        "\n{{role \"system\"}}\nYou are triage.\n{{role \"user\"}}\n{{userInput}}\n",
        "You are triage.\n---\nStill the body.\n",
        "You are triage, without a last line end",
        "",
        "{{#if deep}}Look deeper.{{else}}Be quick.{{/if}}\n",
    ])
}

pub(crate) fn prompt_file() -> impl Strategy<Value = PromptFile> {
    let parts = (metadata(), model(), tools(), others(), body());
    let form = (select(vec!["---\n", "\n# c0\n---\n", "--- \n"]), any::<bool>(), any::<bool>(), any::<u8>());
    (parts, form).prop_map(|((metadata, model, (tools, names), others, body), (head, crlf, mark, turn))| {
        let mut front: Vec<&str> = [metadata, model, tools].into_iter().chain(others).collect();
        let turn = usize::from(turn) % front.len();
        front.rotate_left(turn);
        let text = format!("{head}{}---\n{body}", front.concat());
        PromptFile { text: dressed(&text, crlf, mark), tools: names.into_iter().map(str::to_owned).collect() }
    })
}

pub(crate) fn server_file() -> impl Strategy<Value = ServerFile> {
    let entries = vec![
        ("git", r#"{"command": "npx", "args": ["-y", "server-git"], "env": {"T": "{{ .TOKEN }}"}}"#),
        ("github", r#"{"command":"npx","args":["{{.A}}"],"station":{"tools":{"deny":["x_*"]}}}"#),
        ("web", r#"{ "url": "https://h/mcp", "headers": {"Authorization": "Bearer {{ .TOKEN }}"} }"#),
        (
            "n um",
            r#"{"command": "a", "max_results": {{ .MAX }}, "args": ["{{ if .DEEP }}deep{{ else }}flat{{ end }}"]}"#,
        ),
        ("quo\\\"te", r#"{"command": "a\\b\"}", "logoUrl": null}"#),
    ];
    let spacing = select(vec![("\n    ", "\n  "), ("\n\t", "\n"), ("", ""), (" ", " "), ("\n", "\n")]);
    let form = (spacing, select(vec!["mcpServers", "servers"]), any::<bool>(), any::<bool>(), any::<bool>());
    (proptest::sample::subsequence(entries, 1..=5), form).prop_map(
        |(entries, ((before, after), key, metadata, crlf, mark))| {
            let rows: Vec<String> =
                entries.iter().map(|(name, entry)| format!("{before}\"{name}\": {entry}")).collect();
            let behind = if metadata { ", \"metadata\": {\"variables\": {}}, \"x\": [1,2]" } else { "" };
            let text = format!("{{\"name\": \"x\", \"{key}\": {{{}{after}}}{behind}}}\n", rows.join(","));
            ServerFile {
                text: dressed(&text, crlf, mark),
                names: entries.iter().map(|(name, _)| name.replace("\\\"", "\"")).collect(),
            }
        },
    )
}

/// `variables.yml`, and the names in it.
pub(crate) fn variables_file() -> impl Strategy<Value = (String, Vec<&'static str>)> {
    let rows = vec![
        ("A", "A: plain # c1\n"),
        ("B", "B: \"quo\\\"ted\"\n"),
        ("C", "C: 'it''s' # c2\n"),
        ("D", "D: |\n  one\n  # not a comment\n"),
        ("E", "# c3\nE: 0123\n"),
        ("F", "F: >-\n  a\n  b\n\n"),
        ("G", "\"G\": https://h:80/a#b\n"),
        ("H", "H:   spaced   \n"),
    ];
    let form = (any::<bool>(), any::<bool>(), any::<bool>());
    (proptest::sample::subsequence(rows, 1..=8), form).prop_map(|(rows, (crlf, mark, bare_end))| {
        let text: String = rows.iter().map(|(_, row)| *row).collect();
        let ends_in_text = rows.last().is_some_and(|(name, _)| matches!(*name, "D" | "F"));
        let text = if bare_end && !ends_in_text { text.trim_end().to_owned() } else { text };
        (dressed(&text, crlf, mark), rows.iter().map(|(name, _)| *name).collect())
    })
}

/// A text that was legal before somebody's hand slipped: pieces taken out, doubled, or put in.
pub(crate) fn damaged(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let strokes = prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, ".{0,3}"), 1..5);
    (text, strokes).prop_map(|(text, strokes)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (at, kind, put) in strokes {
            if chars.is_empty() {
                break;
            }
            let at = at.index(chars.len());
            match kind {
                0 => drop(chars.remove(at)),
                1 => chars.truncate(at),
                2 => chars.insert(at, chars[at]),
                _ => drop(chars.splice(at..at, put.chars())),
            }
        }
        chars.into_iter().collect()
    })
}
