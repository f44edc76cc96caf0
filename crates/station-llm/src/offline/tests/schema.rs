//! Tools and answers by their schemas alone.

use super::world::{check, filesystem, pick, run, tool};
use expect_test::expect;
use serde_json::{Value, json};

#[test]
fn any_tool_by_its_schema() {
    let integer = json!({"type": "integer"});
    let add = tool(
        "add",
        "Add two numbers",
        json!({"type": "object", "required": ["a", "b"],
        "properties": {"a": integer, "b": integer}}),
    );
    let echo = tool(
        "echo",
        "Echo a text",
        json!({"type": "object", "required": ["text"],
        "properties": {"text": {"type": "string"}}}),
    );
    let weather = [tool(
        "get_weather",
        "Weather of a city",
        json!({"type": "object", "required": ["city", "unit"],
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}}}),
    )];
    let broken = tool(
        "echo_twice",
        "Echo a text, echo it twice",
        json!({"type": "object", "required": ["text"],
        "properties": {"text": {"type": "string"}}}),
    );
    check(
        "echo \"one\" and \"two\"",
        &[add, echo.clone()],
        expect![[r#"
        echo {"text":"one"}
          | echo {"text":"two"}
        ---
        `echo`:
        one

        `echo`:
        two
    "#]],
    );
    check(
        "How is the weather in New York, in fahrenheit?",
        &weather,
        expect![[r#"
        get_weather {"city":"New York","unit":"fahrenheit"}
        ---
        `get_weather` gives:
        - city: New York
        - sky: blue
    "#]],
    );
    check(
        "weather for city: Berlin",
        &weather,
        expect![[r#"
        get_weather {"city":"Berlin","unit":"celsius"}
        ---
        `get_weather` gives:
        - city: Berlin
        - sky: blue
    "#]],
    );
    check(
        "weather please",
        &weather,
        expect![[r#"

        ---
        None of the tools at hand fits this task, or the task does not name what they need.
        At hand: `get_weather`.
    "#]],
    );
    check(
        "echo twice \"x\"",
        &[broken, echo],
        expect![[r#"
        echo_twice {"text":"x"}
        echo {"text":"x"}
        ---
        `echo`:
        x

        `echo_twice` failed: echo_twice is broken
    "#]],
    );
    check(
        "overwrite /data/notes.md",
        &pick("write_file"),
        expect![[r#"

        ---
        None of the tools at hand fits this task, or the task does not name what they need.
        Not called without a language model, as they may change something: `write_file`.
    "#]],
    );
    check(
        "sing a song",
        &[],
        expect![[r#"

        ---
        None of the tools at hand fits this task, or the task does not name what they need.
    "#]],
    );
}

#[test]
fn a_tool_that_changes_something_is_called_only_when_the_task_says_so() {
    let path = json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
    let create = [tool("create_directory", "Create a new directory or ensure a directory exists", path)];
    check(
        "which directory is /data/new?",
        &create,
        expect![[r#"

        ---
        None of the tools at hand fits this task, or the task does not name what they need.
        At hand: `create_directory`.
    "#]],
    );
    check(
        "list the directory /data",
        &create,
        expect![[r#"

        ---
        None of the tools at hand fits this task, or the task does not name what they need.
        At hand: `create_directory`.
    "#]],
    );
    check(
        "create the directory /data/new",
        &create,
        expect![[r#"
        create_directory {"path":"/data/new"}
        ---
        `/data/new`:
        made /data/new
    "#]],
    );
}

#[test]
fn an_answer_that_fits_a_schema() {
    let schema = json!({"type": "object", "additionalProperties": false,
        "required": ["summary", "error_count", "severity", "errors", "healthy", "files"],
        "properties": {
            "summary": {"type": "string"},
            "error_count": {"type": "integer", "minimum": 0},
            "severity": {"enum": ["low", "medium", "high"]},
            "healthy": {"type": "boolean"},
            "files": {"type": "array", "items": {"type": "string"}},
            "errors": {"type": "array", "items": {"$ref": "#/$defs/error"}, "maxItems": 5},
        },
        "$defs": {"error": {"type": "object", "required": ["message", "count", "level"],
            "properties": {"message": {"type": "string"}, "count": {"type": "integer"}, "level": {"type": "string"}}}},
    });
    let (_, text) = run("which errors are in app.log?", &filesystem(), Some(&schema));
    let value: Value = serde_json::from_str(&text).expect("JSON");
    expect![[r#"
        {
          "summary": "`/data/logs/app.log` has 7 lines: 4 errors and 1 warning.\n- ERROR ×3: payment: timeout after 3012 ms (order 4711) (first in line 2)\n- ERROR ×1: mail: connection refused (first in line 5)\n\nLooked in `/data`, `/data/logs`.\n\n— answered by Station's offline model: rules, not a language model",
          "error_count": 4,
          "severity": "high",
          "healthy": false,
          "files": [
            "/data/logs/app.log"
          ],
          "errors": [
            {
              "message": "payment: timeout after 3012 ms (order 4711)",
              "count": 3,
              "level": "ERROR"
            },
            {
              "message": "mail: connection refused",
              "count": 1,
              "level": "ERROR"
            }
          ]
        }"#]].assert_eq(&serde_json::to_string_pretty(&value).unwrap());
}
