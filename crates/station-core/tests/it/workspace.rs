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
    pub(crate) pieces: Pieces,
}

/// What a file is made of, in its order and with its line ends: each piece holds whole keys of the top level.
#[derive(Clone, Debug)]
pub(crate) struct Pieces(Vec<String>);

impl Pieces {
    /// Of pieces that are dressed as their file is.
    fn of(pieces: &[&str], crlf: bool) -> Self {
        Self(pieces.iter().map(|piece| dressed(piece, crlf, false)).collect())
    }

    /// The first piece that is not in `text` byte for byte, behind those before it; pieces with one of `keys` may be changed.
    pub(crate) fn lost(&self, text: &str, keys: &[&str]) -> Option<&str> {
        let mut rest = text;
        for piece in &self.0 {
            let is_own = |line: &str| keys.iter().any(|key| line.starts_with(&format!("{key}:")));
            if piece.lines().any(is_own) {
                continue;
            }
            match rest.find(piece.as_str()) {
                Some(at) => rest = &rest[at + piece.len()..],
                None => return Some(piece),
            }
        }
        None
    }
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
        let pieces = Pieces::of(&[&[head], &front[..], &["---\n"]].concat(), crlf);
        let tools = names.into_iter().map(str::to_owned).collect();
        PromptFile { text: dressed(&text, crlf, mark), tools, pieces }
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

/// `config.yaml`.
pub(crate) fn config_file() -> impl Strategy<Value = (String, Pieces)> {
    yaml_file(vec![
        "ai_provider: openai # c1\n",
        "ai_model: \"gpt-4o\"\n",
        "execution:\n  workers: 4 # c2\n  # c3\n  timeout: 30m\n",
        "models:\n    fast: openai/gpt-4o-mini # c4\n    deep: 'anthropic/x'\n",
        "log_level: debug # c5\n",
        "mine:\n- kept # c6\n- too\n",
        "pool: {idle_close: 5m, mine: 1}\n",
        "child_env: [A, B] # c7\n",
        "\n# c8\n\n",
        "team_note: |\n  # not a comment\n  log_level: not a key\n",
        "files:\n",
    ])
}

/// `environment.yml`.
pub(crate) fn rules_file() -> impl Strategy<Value = (String, Pieces)> {
    yaml_file(vec![
        "description: what it is for # c1\n",
        "tools:\n  deny: [\"rm_*\"] # c2\n  mine: 1\n",
        "limits:\n  tokens: 1000 # c3\n",
        "lock: 'warn'\n",
        "mine: {kept: [1, 2]} # c4\n",
        "\n# c5\n\n",
        "agents_as_tools: true\n",
    ])
}

fn yaml_file(pieces: Vec<&'static str>) -> impl Strategy<Value = (String, Pieces)> {
    let n_pieces = pieces.len();
    let form = (any::<bool>(), any::<bool>(), any::<u8>());
    (proptest::sample::subsequence(pieces, 0..=n_pieces), form).prop_map(
        |(mut pieces, (crlf, mark, turn))| {
            let turn = usize::from(turn) % pieces.len().max(1);
            pieces.rotate_left(turn);
            (dressed(&pieces.concat(), crlf, mark), Pieces::of(&pieces, crlf))
        },
    )
}

/// `variables.yml`, and the names in it.
pub(crate) fn variables_file() -> impl Strategy<Value = (String, Vec<&'static str>, Pieces)> {
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
        // The end of the last line is there or not.
        let pieces: Vec<&str> = rows.iter().map(|(_, row)| row.trim_end()).collect();
        let names = rows.iter().map(|(name, _)| *name).collect();
        (dressed(&text, crlf, mark), names, Pieces::of(&pieces, crlf))
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
