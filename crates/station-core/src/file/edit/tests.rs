//! Edits, as rows.

use super::{Field, set_field, set_key, unset_field, unset_key};
use crate::file::prompt::read;
use proptest::prelude::*;

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

/// The front matter before and after.
#[track_caller]
fn check(before: &str, key: &str, value: &Field<'_>, after: &str) {
    for (mark, end) in [("", "\n"), ("\u{feff}", "\r\n")] {
        let whole =
            |front: &str| format!("{mark}---\n{front}---\n\n{{{{userInput}}}}\n---\n").replace('\n', end);
        let edited =
            set_field(&whole(before), key, value).unwrap_or_else(|problem| panic!("{before:?}: {problem}"));
        assert_eq!(edited, whole(after), "{before:?}");
    }
}

#[test]
fn a_scalar_is_changed_in_its_place() {
    let model = Field::Text("openai/gpt-5");
    for (before, after) in [
        ("model: a # b\nx: 1\n", "model: openai/gpt-5 # b\nx: 1\n"),
        ("model:   \"a: b\"\n", "model:   openai/gpt-5\n"),
        ("'model': 'it''s'\n", "'model': openai/gpt-5\n"),
        ("model: # none yet\nx: 1\n", "model: openai/gpt-5 # none yet\nx: 1\n"),
        ("model:\nx: 1\n", "model: openai/gpt-5\nx: 1\n"),
        ("model: |\n  a\n  b\n# c\nx: 1\n", "model: openai/gpt-5\n# c\nx: 1\n"),
        ("model: >-  # c\n\n  a\n  b\n\nx: 1\n", "model: openai/gpt-5  # c\n\nx: 1\n"),
        ("model: |\nx: 1\n", "model: openai/gpt-5\nx: 1\n"),
        ("model: a\n  b\nx: 1\n", "model: openai/gpt-5\nx: 1\n"),
        ("model: [a, b] # c\n", "model: openai/gpt-5 # c\n"),
        ("model: # c\n  - a # d\n  - b\n\n# e\nx: 1\n", "model: openai/gpt-5 # c\n\n# e\nx: 1\n"),
        ("{x: 1, model: a}\n", "{x: 1, model: openai/gpt-5}\n"),
        ("x: &m a\nmodel: *m\n", "x: &m a\nmodel: openai/gpt-5\n"),
        ("# c\nx: 1 # d\n", "# c\nx: 1 # d\nmodel: openai/gpt-5\n"),
        ("", "model: openai/gpt-5\n"),
        ("# c\n", "# c\nmodel: openai/gpt-5\n"),
        ("x: |\n  a\n", "x: |\n  a\nmodel: openai/gpt-5\n"),
        ("{x: 1 }\n", "{x: 1, model: openai/gpt-5 }\n"),
    ] {
        check(before, "model", &model, after);
    }
    check(
        "a: 1\n",
        "description",
        &Field::Text("it's \"x\"\n---"),
        "a: 1\ndescription: \"it's \\\"x\\\"\\n---\"\n",
    );
    check("max_steps: 5\n", "max_steps", &Field::Number(7), "max_steps: 7\n");
    check("on: no\n", "on", &Field::Flag(true), "on: true\n");
}

#[test]
fn a_field_of_metadata_is_changed_in_its_place() {
    let description = Field::Text("new");
    for (before, after) in [
        ("metadata:\n  description: \"old\" # c\n  x: 1\n", "metadata:\n  description: new # c\n  x: 1\n"),
        (
            "metadata:\n    name: a # c\n# d\ny: 1\n",
            "metadata:\n    name: a # c\n    description: new\n# d\ny: 1\n",
        ),
        (
            "metadata:\n  tags:\n    - a\n    - b # c\ny: 1\n",
            "metadata:\n  tags:\n    - a\n    - b # c\n  description: new\ny: 1\n",
        ),
        ("metadata:\n  name:\ny: 1\n", "metadata:\n  name:\n  description: new\ny: 1\n"),
        ("metadata: {name: a}\n", "metadata: {name: a, description: new}\n"),
        ("metadata: {}\n", "metadata: {description: new}\n"),
        ("metadata: # c\nx: 1\n", "metadata: # c\n  description: new\nx: 1\n"),
        ("x: 1\n", "x: 1\nmetadata:\n  description: new\n"),
    ] {
        check(before, "metadata.description", &description, after);
    }
}

#[test]
fn a_list_keeps_the_lines_that_stay() {
    let list = strings(&["b", "c"]);
    for (before, after) in [
        ("tools:\n  - \"a\" # one\n  - b   # two\nx: 1\n", "tools:\n  - b   # two\n  - \"c\"\nx: 1\n"),
        ("tools:\n- c # three\n- b\n# end\n", "tools:\n- b\n- c # three\n# end\n"),
        ("tools: [a, 'b'] # c\n", "tools: ['b', \"c\"] # c\n"),
        ("tools: a\n", "tools: [\"b\", \"c\"]\n"),
        ("tools: []\n", "tools: [\"b\", \"c\"]\n"),
        ("x: 1\n", "x: 1\ntools: [\"b\", \"c\"]\n"),
    ] {
        check(before, "tools", &Field::List(&list), after);
    }
    check("tools: # c\n  - a\n  - b\nx: 1\n", "tools", &Field::List(&[]), "tools: [] # c\nx: 1\n");
}

#[test]
fn an_edit_that_would_change_more_is_refused() {
    for (text, key) in [
        ("---\nmodel: &m a\nx: *m\n---\n", "model"),
        ("---\nmodel: a\nmodel: b\n---\n", "model"),
        ("---\nmetadata: text\n---\n", "metadata.name"),
        ("---\nmetadata: &m {a: 1}\nx: *m\n---\n", "metadata.name"),
        ("---\n- a\n---\n", "model"),
        ("---\nx: [\n---\n", "model"),
        ("no front matter", "model"),
    ] {
        assert!(set_field(text, key, &Field::Text("new")).is_err(), "{text:?}");
    }
}

fn front() -> impl Strategy<Value = String> {
    let lines = prop::sample::select(vec![
        "model: a",
        "model: # c",
        "model:\n  - a # c\n  - b",
        "model: \"x # y\"",
        "model: |\n  a\n\n  b\n",
        "# comment",
        "",
        "tools: [a, b]",
        "x: {a: [1, 2], b: \"c\"}",
        "metadata:\n  name: a # n\n  tags:\n    - t\n  # inner",
        "é: ü",
        "harness: agentic  ",
        "y: >\n  folded\n",
        "metadata: {name: a}",
        "tools:\n- a\n# between\n- b",
    ]);
    prop::collection::vec(lines, 0..6).prop_map(|lines| lines.join("\n") + "\n")
}

proptest! {
    #[test]
    fn only_the_field_changes(front in front(), value in any::<String>(), items in prop::collection::vec("[a-d]", 0..4), end in prop::bool::ANY) {
        let text = format!("---\n{front}---\nbody\n");
        let text = if end { text.replace('\n', "\r\n") } else { text };
        for (key, field) in [
            ("model", Field::Text(&value)), ("metadata.description", Field::Text(&value)), ("tools", Field::List(&items)),
            ("max_steps", Field::Number(5)),
        ] {
            let Ok(edited) = set_field(&text, key, &field) else { continue };
            let (Some(before), (Some(after), _)) = (read(&text, "").0, read(&edited, "")) else { continue };
            let mut expected = before.clone();
            match key {
                "model" => expected.models = if value.trim().is_empty() { vec![] } else { vec![value.clone()] },
                "tools" => expected.tools.clone_from(&items),
                "max_steps" => expected.max_steps = Some(5),
                _ => expected.description.clone_from(&value),
            }
            prop_assert_eq!(&after, &crate::file::prompt::Prompt { body_line: after.body_line, ..expected });
            // Every comment outside of the field is still there.
            for comment in ["# comment", "# n", "# inner", "harness: agentic  "] {
                prop_assert_eq!(edited.matches(comment).count(), text.matches(comment).count());
            }
            let again = set_field(&edited, key, &field).ok();
            prop_assert_eq!(again, Some(edited));
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>(), key in "[a-c.]{0,4}") {
        drop(set_field(&format!("---\n{text}\n---\n"), &key, &Field::Text("x")));
    }
}

/// A whole YAML text before and after, with every line end and with and without a last one.
#[track_caller]
fn check_plain(before: &str, after: &str, edit: impl Fn(&str) -> Result<String, crate::file::Problem>) {
    // A text of less than one line has no line end to go by.
    let ends = if before.matches('\n').count() < 2 { &["\n"][..] } else { &["\n", "\r\n"] };
    for end in ends {
        let form = |text: &str| text.replace('\n', end);
        assert_eq!(edit(&form(before)), Ok(form(after)), "{before:?}");
        if let (Some(before), Some(after)) = (before.strip_suffix('\n'), after.strip_suffix('\n'))
            && !before.is_empty()
            && !after.is_empty()
        {
            assert_eq!(edit(&form(before)), Ok(form(after)), "{before:?} without a last line end");
        }
    }
}

#[test]
fn a_key_of_a_plain_file_is_set_at_any_depth() {
    for (before, path, after) in [
        ("", &["a"][..], "a: new\n"),
        ("# c\n", &["a"], "# c\na: new\n"),
        ("a: old # c\nb: 1\n", &["a"], "a: new # c\nb: 1\n"),
        ("x: 1\n", &["a", "b"], "x: 1\na:\n  b: new\n"),
        ("a:\n  x: 1\ny: 1\n", &["a", "b"], "a:\n  x: 1\n  b: new\ny: 1\n"),
        ("a:\n  x: 1\ny: 1\n", &["a", "b", "c"], "a:\n  x: 1\n  b:\n    c: new\ny: 1\n"),
        ("a:\n  b:\n    c: 1 # d\n", &["a", "b", "c"], "a:\n  b:\n    c: new # d\n"),
        ("a: {b: {}}\n", &["a", "b", "gpt-4.1"], "a: {b: {gpt-4.1: new}}\n"),
        ("a: {}\n", &["a", "b", "*"], "a: {b: {\"*\": new}}\n"),
        ("a:\n", &["a", "_B"], "a:\n  _B: new\n"),
    ] {
        check_plain(before, after, |text| set_key(text, path, &Field::Text("new")));
    }
    let digits = set_key("A: x\n", &["A"], &Field::Text("0123"));
    assert_eq!(digits.as_deref(), Ok("A: \"0123\"\n"));
    for text in ["- a\n", "a: 1\na: 2\n", "a: text\n", "a: [\n"] {
        assert!(set_key(text, &["a", "b"], &Field::Text("new")).is_err(), "{text:?}");
    }
}

#[test]
fn a_key_is_taken_out_and_nothing_else() {
    for (before, path, after) in [
        ("a: 1\n", &["a"][..], ""),
        ("# c\na: 1 # d\n# e\nb: 2\n", &["a"], "# c\n# e\nb: 2\n"),
        ("a: |\n  x\n  y\nb: 2\n", &["a"], "b: 2\n"),
        ("a:\n- x\n- y\nb: 2\n", &["a"], "b: 2\n"),
        ("a:\n  x: 1\n  y: 2 # c\nb: 2\n", &["a", "x"], "a:\n  y: 2 # c\nb: 2\n"),
        ("a:\n  x: 1\nb: 2\n", &["a", "x"], "b: 2\n"),
        ("a: # ours\n  x: 1\nb: 2\n", &["a", "x"], "a: # ours\nb: 2\n"),
        ("a:\n  # ours\n  x: 1 # d\nb: 2\n", &["a", "x"], "a:\n  # ours\nb: 2\n"),
        ("c:\n  a: # ours\n    x: 1\nb: 2\n", &["c", "a", "x"], "c:\n  a: # ours\nb: 2\n"),
        ("b: 2\na:\n  x:\n    y: 1\n", &["a", "x", "y"], "b: 2\n"),
        ("{a: 1, b: 2}\n", &["a"], "{b: 2}\n"),
        ("{a: 1, b: 2 }\n", &["b"], "{a: 1 }\n"),
        ("{a: 1}\n", &["a"], "{}\n"),
        ("a: {x: 1}\nb: 2\n", &["a", "x"], "b: 2\n"),
        ("a:\nb: 2\n", &["a"], "b: 2\n"),
        ("b: 2\n", &["a"], "b: 2\n"),
    ] {
        check_plain(before, after, |text| unset_key(text, path));
    }
    for (text, key) in [("---\nmodel: &m a\nx: *m\n---\n", "model"), ("---\nx: [\n---\n", "model")] {
        assert!(unset_field(text, key).is_err(), "{text:?}");
    }
    let text = "---\n# c\nmodel: a\nmax_steps: 3 # d\n---\n\nbody\n";
    assert_eq!(unset_field(text, "model").as_deref(), Ok("---\n# c\nmax_steps: 3 # d\n---\n\nbody\n"));
}
