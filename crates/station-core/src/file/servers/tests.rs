//! Rows over server files: what is read, what is resolved, and what is said where.

use super::*;
use crate::answers::Forms;
use crate::sampling::{Lent, Sampling};
use crate::{Definition, Isolation, Secret, Transport};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The server file of the fixture workspace, as the Go program's users have it.
const FIXTURE: &str = r#"{
  "name": "default",
  "description": "Log files and notes",
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem@2025.8.21", "{{ .ROOT_DIR }}"]
    },
    "memory": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-memory@2025.8.4"],
      "env": { "DATABASE_URL": "{{ .DATABASE_URL }}", "NOTE": "{{ .NOTE }}" }
    }
  },
  "metadata": { "category": "logs", "variables": { "NOTE": { "description": "free text", "type": "string", "required": false, "default": "" } } }
}
"#;

fn nothing(_: &str) -> Option<String> {
    None
}

/// One line per problem, as `severity line:column sentence`.
fn told(text: &str) -> Vec<String> {
    let (file, problems) = read(text, "", &nothing);
    let lines: Vec<String> = problems
        .iter()
        .map(|problem| {
            let at = problem.at.map_or(String::new(), |at| format!("{}:{} ", at.line, at.column));
            format!("{:?} {at}{}", problem.severity, problem.sentence)
        })
        .collect();
    assert_eq!(file.is_none(), lines.iter().any(|line| line.starts_with("Error")), "{lines:?}");
    lines
}

fn check_told(text: &str, expected: &[&str]) {
    assert_eq!(told(text), expected, "{text}");
}

fn resolved(text: &str, server: &str, values: &[(&str, &str)]) -> Result<Definition, String> {
    let values: BTreeMap<&str, &str> = values.iter().copied().collect();
    let value_of = |name: &str| values.get(name).map(|value| Secret::new(*value));
    match resolve(text, "f.json", server, &value_of) {
        Ok((definition, _)) => Ok(definition),
        Err(Unresolved::Missing(missing)) => Err(missing
            .iter()
            .map(|m| format!("{} {}:{}", m.variable, m.at.line, m.at.column))
            .collect::<Vec<_>>()
            .join(", ")),
        Err(Unresolved::Broken(problems)) => {
            Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        }
    }
}

fn stdio(definition: Result<Definition, String>) -> (String, Vec<String>, BTreeMap<String, String>) {
    match definition {
        Ok(Definition::Stdio { command, args, env, .. }) => (command, args, env),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_file_of_an_old_home_is_read() {
    let (file, problems) = read(FIXTURE, "environments/default/template.json", &nothing);
    assert_eq!(problems, []);
    let file = file.unwrap();
    let shown: Vec<String> = file
        .entries
        .iter()
        .map(|entry| {
            let uses: Vec<String> = entry
                .uses
                .iter()
                .map(|place| format!("{} {}:{}", place.variable, place.at.line, place.at.column))
                .collect();
            format!("{} {} {}", entry.name, entry.transport.as_str(), uses.join(" "))
        })
        .collect();
    assert_eq!(shown, ["filesystem stdio ROOT_DIR 7:76", "memory stdio DATABASE_URL 12:33 NOTE 12:64"]);
    assert_eq!(file.name.as_deref(), Some("default"));
    assert_eq!(
        file.declared["NOTE"],
        Declared {
            description: "free text".to_owned(),
            required: false,
            secret: false,
            default: Some(String::new())
        }
    );
}

#[test]
fn the_servers_of_an_old_home_resolve_with_their_values() {
    let values = [
        ("ROOT_DIR", "/home/user/samples"),
        ("DATABASE_URL", "postgres://reader:pa\"ss@db.example.com/app"),
        ("NOTE", "line one, \"quoted\""),
    ];
    let (command, args, _) = stdio(resolved(FIXTURE, "filesystem", &values));
    assert_eq!(command, "npx");
    assert_eq!(args[2], "/home/user/samples");
    let (_, _, env) = stdio(resolved(FIXTURE, "memory", &values));
    assert_eq!(env["DATABASE_URL"], "postgres://reader:pa\"ss@db.example.com/app");
    assert_eq!(env["NOTE"], "line one, \"quoted\"");
    // What is missing is only what the server itself asks for, and a default counts.
    assert_eq!(resolved(FIXTURE, "memory", &[]), Err("DATABASE_URL 12:33".to_owned()));
    assert_eq!(resolved(FIXTURE, "filesystem", &[]), Err("ROOT_DIR 7:76".to_owned()));
}

#[test]
fn all_missing_variables_are_told_at_once() {
    let text = "{\"servers\": {\"x\": {\"command\": \"{{.A}}\",\n  \"env\": {\"B\": \"{{ .B }}{{ .A }}\",\n  \"C\": \"{{ .C }}\"}}}}";
    assert_eq!(resolved(text, "x", &[("B", "b")]), Err("A 1:32, C 3:9".to_owned()));
}

#[test]
fn a_definition_knows_the_values_that_must_not_be_told() {
    let text = r#"{"mcpServers": {
        "args": {"command": "x", "args": ["--{{ .TOKEN }}"], "env": {"A": "Bearer {{ .KEY }}", "B": "plain-value"}},
        "url": {"url": "https://x.example/{{ .TOKEN }}", "headers": {"Authorization": "Bearer {{ .KEY }}"}},
        "folder": {"command": "x", "args": ["{{ .ROOT }}", "{{ .HIDDEN }}"], "env": {"LOG_DIR": "/var/log/x", "PAIR": "{{ .ROOT }}:{{ .TOKEN }}"}},
        "other": {"command": "x"}},
        "metadata": {"variables": {"HIDDEN": {"secret": true}}}}"#;
    let values = [
        ("TOKEN", "sk-very-secret"),
        ("KEY", "key-of-many"),
        ("ROOT", "/srv/samples"),
        ("HIDDEN", "/srv/hidden"),
    ];
    let said = "sk-very-secret, key-of-many, Bearer key-of-many, plain-value";
    let folders = "/srv/samples, /srv/hidden, /var/log/x, /srv/samples:sk-very-secret, sk-very-secret";
    let check = |server: &str, expected: &str| {
        let definition = resolved(text, server, &values).unwrap();
        assert_eq!(definition.redaction().apply(said), expected);
        assert!(!format!("{definition:?}").contains("secret"), "{definition:?}");
    };
    check("args", "[secret], [secret], [secret], [secret]");
    check("url", "[secret], [secret], [secret], plain-value");
    check("other", said);
    let definition = resolved(text, "folder", &values).unwrap();
    let expected = "/srv/samples, [secret], /var/log/x, [secret], [secret]";
    assert_eq!(definition.redaction().apply(folders), expected);
}

#[test]
fn entries_say_how_a_server_is_reached() {
    let text = r#"{"mcpServers": {
        "remote": {"url": "https://x.example/mcp", "headers": {"Authorization": "Bearer {{ .TOKEN }}"}, "type": "http"},
        "local": {"command": "x", "cwd": "/a", "station": {"isolation": "run", "cwd": "/b", "timeout_s": 9,
            "concurrency": 2, "output_bytes_max": 77, "allow_agents": ["triage*"],
            "tools": {"allow": ["r*"], "deny": ["w*"], "read_only": "r*", "idempotent": [], "secret": "mint*"}}}}}"#;
    let (file, problems) = read(text, "", &nothing);
    assert_eq!(problems, []);
    let file = file.unwrap();
    assert_eq!(file.entries[0].transport, Transport::Http);
    let settings = &file.entries[1].settings;
    assert_eq!(settings.isolation, Isolation::Run);
    assert_eq!(
        (settings.timeout_s, settings.concurrency, settings.output_bytes_max),
        (Some(9), Some(2), Some(77))
    );
    assert_eq!(settings.allow_agents.as_deref(), Some(&["triage*".to_owned()][..]));
    let rules = &settings.tools;
    let lists = [&rules.deny, &rules.read_only, &rules.idempotent, &rules.secret].map(|list| list.join(" "));
    assert_eq!(lists, ["w*", "r*", "", "mint*"]);
    match resolved(text, "remote", &[("TOKEN", "a\"b")]) {
        Ok(Definition::Http { url, headers, .. }) => {
            assert_eq!(url, "https://x.example/mcp");
            assert_eq!(headers["Authorization"], "Bearer a\"b");
        }
        other => panic!("{other:?}"),
    }
    match resolved(text, "local", &[]) {
        Ok(Definition::Stdio { cwd, .. }) => assert_eq!(cwd.as_deref(), Some("/b")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_entry_says_how_a_login_is_made() {
    let text = |oauth: &str| {
        format!(
            "{{\"mcpServers\": {{\"x\": {{\"url\": \"https://h/mcp\", \"station\": {{\"oauth\": {oauth}}}}}}}}}"
        )
    };
    let whole = text(
        r#"{"client_id": "c", "client_secret": "{{ .S }}", "scopes": ["a"], "redirect_port": 4711,
            "client_metadata_url": "https://c.example/client.json", "allow_private": true}"#,
    );
    let value = |name: &str| (name == "S").then(|| Secret::new("sec\"ret"));
    let (_, settings) = resolve(&whole, "", "x", &value).unwrap();
    let oauth = settings.oauth;
    assert_eq!((oauth.client_id.as_deref(), oauth.redirect_port), (Some("c"), Some(4711)));
    assert_eq!(oauth.client_secret, Some(Secret::new("sec\"ret")));
    assert_eq!((oauth.scopes, oauth.allow_private), (vec!["a".to_owned()], true));
    assert!(oauth.client_metadata_url.is_some());
    for (oauth, expected) in [
        (r#"{"client_metadata_url": "http://c.example/"}"#, "must be an address that begins with `https://`"),
        (r#"{"allow_private": "maybe"}"#, "must be `true` or `false`"),
        (r#"{"redirect_port": 0}"#, "must be a whole number of 1 or more"),
        (r#"{"client": "c"}"#, "`x.station.oauth.client`"),
    ] {
        let (_, problems) = read(&text(oauth), "", &nothing);
        assert!(problems.len() == 1 && problems[0].sentence.contains(expected), "{oauth} {problems:?}");
    }
}

#[test]
fn an_entry_says_what_its_server_is_answered() {
    let text = |answers: &str| {
        format!(
            "{{\"mcpServers\": {{\"x\": {{\"command\": \"x\", \"station\": {{\"answers\": {answers}}}}}}}}}"
        )
    };
    let check = |written: &str, forms: Forms, roots: &[&str]| {
        let value = |name: &str| (name == "N").then(|| Secret::new("7"));
        let (_, settings) = resolve(&text(written), "", "x", &value).unwrap();
        assert_eq!(
            (settings.answers.forms, settings.answers.roots),
            (forms, roots.iter().map(ToString::to_string).collect())
        );
    };
    check("{}", Forms::Decline, &[]);
    check(r#"{"forms": "decline", "roots": "file:///a"}"#, Forms::Decline, &["file:///a"]);
    check(r#"{"forms": "defaults"}"#, Forms::Fill(serde_json::Map::new()), &[]);
    let values = serde_json::json!({"a": "1", "b": 2, "c": true, "d": ["x"], "n": 7});
    let values = values.as_object().unwrap().clone();
    check(r#"{"forms": {"a": "1", "b": 2, "c": true, "d": ["x"], "n": {{ .N }}}}"#, Forms::Fill(values), &[]);
    let sampling = |written: &str| resolve(&text(written), "", "x", &|_| None).unwrap().1.answers.sampling;
    let lent = |model, tokens_max, requests_max| Some(Sampling { model, tokens_max, requests_max });
    assert_eq!(sampling("{}"), None);
    assert_eq!(sampling(r#"{"sampling": "refuse"}"#), None);
    assert_eq!(sampling(r#"{"sampling": {"model": "run"}}"#), lent(Lent::Own, 1_024, 4));
    assert_eq!(
        sampling(r#"{"sampling": {"model": "openai/gpt-4o", "tokens_max": 5, "requests_max": 1}}"#),
        lent(Lent::Named("openai/gpt-4o".to_owned()), 5, 1)
    );
    for (written, expected) in [
        (r#"{"forms": "accept"}"#, "must be `decline`, `defaults`, or a map of values by field"),
        (r#"{"forms": {"a": {}}}"#, "must be a text, a number, a truth value or a list of these"),
        (r#"{"roots": ["/srv"]}"#, "must be addresses of folders like `file:///srv/data`"),
        (r#"{"sampling": "x"}"#, "`x.station.answers.sampling` must be `refuse`, or a map with a `model`"),
        (r#"{"sampling": {}}"#, "`x.station.answers.sampling` names no `model`"),
        (r#"{"sampling": {"model": []}}"#, "must be `run`, or the name of a model"),
        (r#"{"sampling": {"model": ""}}"#, "must be `run`, or the name of a model"),
        (r#"{"sampling": {"model": "run", "tokens_max": 0}}"#, "must be a whole number of 1 or more"),
        (r#"{"sampling": {"model": "run", "requests_max": "many"}}"#, "must be a whole number of 1 or more"),
        (r#"{"sampling": {"model": "run", "token_max": 3}}"#, "`x.station.answers.sampling.token_max`"),
        (r#"{"models": "x"}"#, "`x.station.answers.models`"),
    ] {
        let (_, problems) = read(&text(written), "", &nothing);
        assert!(problems.len() == 1 && problems[0].sentence.contains(expected), "{written} {problems:?}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let server = |entry: &str| format!("{{\"mcpServers\": {{\n  \"x\": {entry}\n}}}}");
    for (entry, expected) in [
        ("{}", "Error 2:3 server `x` has neither `command` nor `url`"),
        ("{\"command\": \"a\", \"url\": \"http://b\"}", "Error 2:25 server `x` has both `command` and `url`"),
        ("{\"command\": {}}", "Error 2:20 `x.command` must be a text"),
        ("{\"command\": null}", "Error 2:20 `x.command` must be a text"),
        ("{\"command\": \" \"}", "Error 2:20 `x.command` is empty"),
        ("{\"command\": \"a\", \"args\": {}}", "Error 2:33 `x.args` must be a list of texts"),
        ("{\"command\": \"a\", \"args\": [\"b\", []]}", "Error 2:39 `x.args.1` must be a text"),
        ("{\"command\": \"a\", \"env\": []}", "Error 2:32 `x.env` must be a map of names to values"),
        ("{\"command\": \"a\", \"env\": {\"K\": [1]}}", "Error 2:38 `x.env.K` must be a text"),
        (
            "{\"command\": \"a\", \"env\": {\"K\": \"\", \"K\": \"\"}}",
            "Error 2:42 `K` stands twice in `x.env`",
        ),
        (
            "{\"command\": \"a\", \"env\": {\"A=B\": \"\"}}",
            "Error 2:33 `A=B` cannot be the name of a variable of a process",
        ),
        ("{\"url\": \"ftp://b\"}", "Error 2:16 `x.url` must begin with `http://` or `https://`"),
        ("[]", "Error 2:8 `x` must be a map of names to values"),
        (
            "{\"command\": \"a\", \"station\": {\"timeout_s\": \"soon\"}}",
            "Error 2:50 `x.station.timeout_s` must be a whole number of 1 or more",
        ),
        (
            "{\"command\": \"a\", \"station\": {\"isolation\": \"none\"}}",
            "Error 2:50 `x.station.isolation` must be `environment` or `run`",
        ),
        ("{\"command\": \"a\"}, \"x\": {\"command\": \"b\"}", "Error 2:26 `x` stands twice in `mcpServers`"),
        ("{\"command\": \"a\",}", "Error 2:24 this is not JSON: trailing comma"),
        ("{\"command\": a}", "Error 2:20 this is not JSON: expected value"),
        (
            "{\"{{ .K }}\": \"a\"}",
            "Error 2:10 variable `K` stands in a key, where only fixed names may stand",
        ),
        ("{\"command\": \"\\{{ .K }}\"}", "Error 2:22 variable `K` stands behind a backslash"),
        ("{\"command\": \"{{ K }}\"}", "Error 2:21 `K` is not a variable"),
        (
            "{\"command\": \"{{ .K | html }}\"}",
            "Error 2:21 this expression is not understood in a server file",
        ),
        ("{{ range .K }}{{ end }}{}", "Error 2:8 `range` is not understood in a server file"),
        ("{\"command\": \"{{ .K }\"}", "Error 2:21 `{{` is not closed here: `}}` is missing"),
        (
            "{\"command\": \"a\", \"args\": [\"{{ .A\"]}",
            "Error 2:35 `{{` is not closed here: `}}` is missing",
        ),
        ("{\"command\": {{ .A, \"args\": []}}", "Error 2:20 `{{` is not closed here: `}}` is missing"),
        ("{\"command\": \"{{ if .A }}a\"}", "Error 2:21 this `{{ if }}` has no `{{ end }}`"),
        ("{\"command\": \"a{{ end }}\"}", "Error 2:22 this `{{ end }}` ends nothing"),
        ("{\"command\": \"a{{ else }}\"}", "Error 2:22 this `{{ else }}` stands outside of an `{{ if }}`"),
    ] {
        let errors: Vec<String> =
            told(&server(entry)).into_iter().filter(|line| line.starts_with("Error")).collect();
        assert_eq!(errors, [expected], "{entry}");
    }
    check_told("{}", &["Error 1:1 the file defines no servers: it has neither `mcpServers` nor `servers`"]);
    check_told("", &["Error 1:1 this is not JSON: EOF while parsing a value"]);
    // A file of one line, and a place in it.
    check_told(
        "{\"mcpServers\": {\"x\": {\"command\": \"a\", \"args\": [\"{{ .A\"]}}}\n",
        &["Error 1:49 `{{` is not closed here: `}}` is missing"],
    );
    // A file that ends too early, or whose text runs into the end of its line, is wrong where it says something last.
    check_told(
        "{\"mcpServers\": {\"x\": {\"command\": \"a\"\n\n",
        &["Error 1:37 this is not JSON: EOF while parsing an object"],
    );
    check_told(
        "{\"mcpServers\": {\"x\": {\"command\": \"a\n}}}\n",
        &["Error 1:36 this is not JSON: control character (\\u0000-\\u001F) found while parsing a string"],
    );
    check_told("[1]", &["Error 1:1 `the file` must be a map of names to values"]);
}

#[test]
fn positions_are_those_of_the_file_behind_templates_too() {
    let text = "{{- /* ours */ -}}\n\n{\"mcpServers\": {\n {{- if .OFF }} \"off\": {\"command\": \"x\"}, {{ else }}\n  \"on\": {\"command\": {{ .C }}, \"args\": [{\"é\": 1}, oops]}\n{{ end }}}}";
    check_told(text, &["Error 5:50 this is not JSON: expected value"]);
}

#[test]
fn what_has_no_effect_is_said_and_kept() {
    check_told(
        r#"{"name": "n", "logoUrl": "l", "colour": 1, "mcpServers": {"x": {"command": "a", "type": "stdio", "disabled": true,
"description": "d", "station": {"colours": {}, "allow_users": [], "tools": {"approve": ["*"], "speed": {}}}}}}"#,
        &[
            "Note 1:31 `colour` is kept, but has no effect here",
            "Note 1:98 `x.disabled` is kept, but has no effect here",
            "Note 2:33 `x.station.colours` is kept, but has no effect here",
            "Note 2:48 `x.station.allow_users` is kept, but has no effect here",
            "Note 2:95 `x.station.tools.speed` is kept, but has no effect here",
        ],
    );
    check_told(
        "\u{feff}{\"servers\": {\"x\": {\"url\": \"http://a\", \"env\": {}}}}",
        &["Note 1:39 `x.env` is kept, but has no effect here"],
    );
}

#[test]
fn conditions_follow_go() {
    let text = r#"{"servers": {"x": {"command": "a", "args": [{{ if .X }}"yes", "{{ .X }}"{{ else }}"no"{{ end }}]}}}"#;
    for (values, expected) in [
        (vec![], vec!["no"]),
        (vec![("X", "")], vec!["no"]),
        (vec![("X", "1")], vec!["yes", "1"]),
        (vec![("X", "false")], vec!["yes", "false"]),
        (vec![("X", "0")], vec!["yes", "0"]),
    ] {
        assert_eq!(stdio(resolved(text, "x", &values)).1, expected, "{values:?}");
    }
    let text =
        r#"{"servers": {"x": {"command": "{{ if and .A (eq .B "b") }}both{{ else if .A }}one{{ end }}!"}}}"#;
    assert_eq!(stdio(resolved(text, "x", &[("A", "a"), ("B", "b")])).0, "both!");
    assert_eq!(stdio(resolved(text, "x", &[("A", "a")])).0, "one!");
    assert_eq!(stdio(resolved(text, "x", &[])).0, "!");
    let (file, _) = read(text, "", &nothing);
    let uses: Vec<String> =
        file.unwrap().entries[0].uses.iter().map(|place| place.variable.clone()).collect();
    assert_eq!(uses, ["A", "B", "A"]);
    // A default decides too.
    let text = r#"{"servers": {"x": {"command": "{{ if .A }}{{ .A }}{{ else }}none{{ end }}"}},
        "metadata": {"variables": {"A": {"default": "d"}}}}"#;
    assert_eq!(stdio(resolved(text, "x", &[])).0, "d");
    assert_eq!(stdio(resolved(text, "x", &[("A", "v")])).0, "v");
}

#[test]
fn outside_quotes_a_value_must_be_a_scalar() {
    let text = "{\"servers\": {\"x\": {\"command\": \"a\",\n \"args\": [{{ .N }}], \"station\": {\"timeout_s\": {{ .N }}}}}}";
    for (value, expected) in [
        ("7", Ok(Some(7))),
        (" 7\n", Ok(Some(7))),
        ("true", Err("f.json:2:47: `x.station.timeout_s` must be a whole number of 1 or more")),
        ("7, \"b\"", Err("outside quotes")),
        ("\"7\"", Err("outside quotes")),
        ("[7]", Err("outside quotes")),
        ("seven", Err("outside quotes")),
        ("", Err("outside quotes")),
    ] {
        let answer = resolve(text, "f.json", "x", &|_| Some(Secret::new(value)));
        match (answer, expected) {
            (Ok((definition, settings)), Ok(timeout_s)) => {
                assert_eq!(settings.timeout_s, timeout_s);
                assert_eq!(stdio(Ok(definition)).1, ["7"]);
            }
            (Err(Unresolved::Broken(problems)), Err(part)) => {
                assert!(problems.iter().any(|p| p.to_string().contains(part)), "{value:?}: {problems:?}");
                assert!(problems.iter().all(|p| !p.to_string().contains("seven")), "{problems:?}");
            }
            (other, _) => panic!("{value:?}: {other:?}"),
        }
    }
}

#[test]
fn a_hash_knows_the_definition_and_no_value() {
    let hash = |text: &str, value: Option<&str>| {
        read(text, "", &|_| value.map(str::to_owned)).0.unwrap().entries[0].definition_hash.clone()
    };
    let text = r#"{"servers": {"x": {"command": "a", "args": ["{{ .X }}"]}}}"#;
    let spaced = "{ \"servers\" :\n {\"x\": {\"args\": [\"{{.X}}\"], \"command\": \"a\"} } }";
    assert_eq!(hash(text, None), hash(text, Some("v")));
    assert_eq!(hash(text, None), hash(spaced, None));
    assert_ne!(hash(text, None), hash(&text.replace("{{ .X }}", "{{ .Y }}"), None));
    assert_ne!(hash(text, None), hash(&text.replace("\"{{ .X }}\"", "{{ .X }}"), None));
    assert_ne!(
        hash(text, None),
        hash(&text.replace("}}}", "}},\"metadata\":{\"variables\":{\"X\":{\"default\":\"d\"}}}}"), None)
    );
    let conditional = r#"{"servers": {"x": {"command": "{{ if .X }}a{{ else }}b{{ end }}"}}}"#;
    assert_eq!(hash(conditional, None), hash(conditional, Some("v")));
}

#[test]
fn only_server_files_look_like_one() {
    for (text, expected) in [
        (FIXTURE, true),
        ("{\"servers\": {}}", true),
        ("{\"mcpServers\": oops", true),
        ("{\"servers\": {\"x\": {}", true),
        ("{\"version\": \"1.0\", \"mcp_servers\": []}", false),
        ("{\"openapi\": \"3.0.0\", \"servers\": [{\"url\": \"http://x\"}]}", false),
        ("{\"openapi\": \"3.0.0\", \"servers\": {}}", false),
        ("not json", false),
        ("", false),
    ] {
        assert_eq!(looks_like(text), expected, "{text}");
    }
}

#[test]
fn too_much_is_refused() {
    let deep = format!("{{\"servers\": {}{}}}", "[".repeat(4000), "]".repeat(4000));
    assert!(told(&deep)[0].contains("recursion limit"), "{:?}", told(&deep));
    let branches = format!("{}{}", "{{ if .X }}".repeat(4000), "{{ end }}".repeat(4000));
    assert!(told(&branches)[0].contains("nesting"), "{:?}", told(&branches));
    check_told(&" ".repeat(1024 * 1024 + 1), &["Error the file is larger than 1 MiB"]);
    let keys: String = (0..500).map(|n| format!("\"k{n}\": 1, ")).collect();
    assert_eq!(told(&format!("{{{keys} \"servers\": {{}}}}")).len(), 50);
}

const HOSTILE: &str = "[\\PC\"\\\\{}\\[\\],:\n\r\t\u{e000}\u{1}]{0,24}";

proptest! {
    #[test]
    fn reading_never_panics(text in "(\\PC|[\"\\\\{}:,\n]|\\{\\{ (if|end|else|\\.X|-) ?\\}\\}|\"servers\"){0,60}") {
        let _problems = read(&text, "", &|_| Some("x".to_owned())).1;
        let _looks: bool = looks_like(&text);
        let _answer: Result<_, Unresolved> = resolve(&text, "", "x", &|_| Some(Secret::new("x")));
    }

    #[test]
    fn any_value_arrives_exactly_and_changes_nothing_else(a in HOSTILE, b in HOSTILE) {
        let text = r#"{"servers": {"x": {"command": "a", "args": ["-{{ .A }}-{{ .B }}\n", "\u0041{{ .A }}"],
            "env": {"A": "{{ .A }}", "B": "{{ if .B }}{{ .B }}{{ end }}", "C": "c"}}, "y": {"command": "{{ .A }}"}}}"#;
        let (command, args, env) = stdio(resolved(text, "x", &[("A", &a), ("B", &b)]));
        prop_assert_eq!(command, "a");
        prop_assert_eq!(args, [format!("-{a}-{b}\n"), format!("A{a}")]);
        let expected = [("A", a.as_str()), ("B", b.as_str()), ("C", "c")];
        prop_assert_eq!(env, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    }

    #[test]
    fn no_message_holds_a_value(value in "canary[a-z\"\\\\\n{}]{0,12}") {
        let text = r#"{"servers": {"x": {"command": {{ .A }}, "url": "{{ .A }}", "station": {"timeout_s": "{{ .A }}",
            "isolation": "{{ .A }}"}, "{{ if .A }}a{{ end }}": 1}}}"#;
        let answer = resolve(text, "f.json", "x", &|_| Some(Secret::new(value.clone())));
        prop_assert!(answer.is_err());
        prop_assert!(!format!("{answer:?}").contains("canary"), "{:?}", answer);
    }
}

#[test]
fn a_slip_in_a_key_is_met_with_the_key_that_has_effect() {
    let station =
        |block: &str| format!("{{\"mcpServers\": {{\"x\": {{\"command\": \"a\", \"station\": {block}}}}}}}");
    for (text, expected) in [
        (station("{\"concurency\": 1}"), "`x.station.concurency`: did you mean `concurrency`?"),
        (station("{\"timeout\": 1}"), "`x.station.timeout`: did you mean `timeout_s`?"),
        (station("{\"tools\": {\"alow\": []}}"), "`x.station.tools.alow`: did you mean `allow`?"),
        (station("{\"tools\": {\"Deny\": []}}"), "`x.station.tools.Deny`: did you mean `deny`?"),
        (
            "{\"mcpServers\": {\"x\": {\"command\": \"a\", \"agrs\": []}}}".to_owned(),
            "`x.agrs`: did you mean `args`?",
        ),
    ] {
        let (_, problems) = read(&text, "", &nothing);
        let told: Vec<String> = problems
            .iter()
            .filter(|it| it.severity == crate::file::Severity::Warning)
            .map(|it| format!("{}: {}", it.sentence, it.hint.as_deref().unwrap_or_default()))
            .collect();
        assert_eq!(told, [expected.replace(": did", " is kept, but has no effect here: did")], "{text}");
    }
}

#[test]
fn what_is_null_is_not_there_and_no_unknown_key() {
    for key in ["cwd", "sandbox", "allow_agents", "answers", "oauth"] {
        let text = format!(r#"{{"mcpServers": {{"x": {{"command": "a", "station": {{"{key}": null}}}}}}}}"#);
        let (read, problems) = read(&text, "f.json", &|_| None);
        assert!(read.is_some() && problems.is_empty(), "{key}: {problems:?}");
    }
}

#[test]
fn a_sandbox_is_read_or_refused() {
    let read = |sandbox: &str| {
        let text =
            format!(r#"{{"mcpServers": {{"x": {{"command": "a", "station": {{"sandbox": {sandbox}}}}}}}}}"#);
        match resolve(&text, "f.json", "x", &|_| None) {
            Ok((_, settings)) => format!("{:?}", settings.sandbox),
            Err(Unresolved::Broken(problems)) => problems[0].to_string(),
            Err(other) => format!("{other:?}"),
        }
    };
    let check = |sandbox: &str, expected: &str| {
        let found = read(sandbox);
        assert!(found.contains(expected), "{sandbox}: {found}");
    };
    assert_eq!(read("null"), format!("{:?}", crate::sandbox::Sandbox::default()));
    assert_eq!(read("{}"), read("null"));
    check("false", "confine: Off");
    check("\"off\"", "confine: Off");
    check("\"required\"", "confine: Required");
    check("{\"required\": true, \"network\": false}", "confine: Required, network: Closed, paths: None");
    check("{\"network\": [443, 5432]}", "network: Ports([443, 5432])");
    check("{\"read\": [\"~/.aws\"]}", "paths: Some(Paths { read: [\"~/.aws\"], write: [] })");
    check("{\"write\": []}", "paths: Some(Paths { read: [], write: [] })");
    check("{\"processes_max\": 8, \"open_files_max\": 64}", "processes_max: Some(8)");
    // A sandbox that was misread would be none.
    check("true", "`x.station.sandbox` must be `off`, `required`, or a map of what it may do");
    check("\"of\"", "`x.station.sandbox` must be `off`");
    check("[]", "`x.station.sandbox` must be `off`");
    check("{\"netwrok\": false}", "`x.station.sandbox.netwrok` is nothing that a sandbox knows");
    check("{\"network\": [0]}", "must be a whole number of 1 or more");
    check("{\"network\": [70000]}", "must be a whole number from 1 to 65535");
    check("{\"network\": \"no\"}", "must be `true`, `false` or a list of TCP ports");
    check("{\"memory_bytes_max\": 1024}", "must be a whole number of 33554432 or more");
    check("{\"read\": [\"\"]}", "names an empty path");
}
