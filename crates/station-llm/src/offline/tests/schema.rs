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

            ---
            No tool that rules may call fits this task, or the task does not say what it needs.

            At hand: `get_weather`.
        "#]],
    );
    check(
        "weather for city: Berlin",
        &weather,
        expect![[r#"

            ---
            No tool that rules may call fits this task, or the task does not say what it needs.

            At hand: `get_weather`.
        "#]],
    );
    check(
        "weather please",
        &weather,
        expect![[r#"

            ---
            No tool that rules may call fits this task, or the task does not say what it needs.

            At hand: `get_weather`.
        "#]],
    );
    check(
        "echo twice \"x\"",
        &[broken, echo],
        expect![[r#"
            echo_twice {"text":"x"}
            ---
            `echo_twice` failed: echo_twice is broken
        "#]],
    );
    check(
        "overwrite /data/notes.md",
        &pick("write_file"),
        expect![[r#"

            ---
            No tool that rules may call fits this task, or the task does not say what it needs.
        "#]],
    );
    check(
        "sing a song",
        &[],
        expect![[r#"

            ---
            No tool that rules may call fits this task, or the task does not say what it needs.
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
            No tool that rules may call fits this task, or the task does not say what it needs.

            At hand: `create_directory`.
        "#]],
    );
    check(
        "list the directory /data",
        &create,
        expect![[r#"

            ---
            No tool that rules may call fits this task, or the task does not say what it needs.

            At hand: `create_directory`.
        "#]],
    );
    check(
        "create the directory /data/new",
        &create,
        expect![[r#"
            create_directory {"path":"/data/new/"}
            ---
            `/data/new/`:
            made /data/new
        "#]],
    );
}

#[test]
fn an_answer_that_fits_a_schema() {
    let schema = json!({"type": "object", "additionalProperties": false,
        "required": ["summary", "error_count", "line_count", "severity", "owner", "healthy", "files", "errors"],
        "properties": {
            "summary": {"type": "string"},
            "error_count": {"type": "integer", "minimum": 0},
            "line_count": {"type": "integer"},
            "severity": {"enum": ["low", "medium", "high"]},
            "owner": {"type": ["string", "null"], "maxLength": 9},
            "healthy": {"type": "boolean"},
            "files": {"type": "array", "items": {"type": "string"}},
            "errors": {"type": "array", "items": {"type": "object"}, "maxItems": 5},
            "more": {"type": "object"},
        },
    });
    let (_, text) = run("which errors are in app.log?", &filesystem(), Some(&schema));
    let value: Value = serde_json::from_str(&text).expect("JSON");
    expect![[r#"
        {
          "summary": "`/data/logs/app.log` says errors in 5 of 7 lines:\n- 3 lines like line 2: 2026-01-05T10:00:05Z ERROR payment: timeout after 3012 ms (order 4711)\n- line 5: 2026-01-05T10:02:00Z ERROR mail: connection refused\n- line 6: 2026-01-05T10:02:01Z INFO retry after error\n\nLooked in: `/data/`, `/data/logs/`.\n\n— answered by Station's offline model: rules, not a language model",
          "error_count": 5,
          "line_count": 7,
          "severity": "low",
          "owner": null,
          "healthy": false,
          "files": [
            "/data/logs/app.log",
            "/data/",
            "/data/logs/"
          ],
          "errors": [],
          "more": {}
        }"#]].assert_eq(&serde_json::to_string_pretty(&value).unwrap());
}

#[test]
fn no_schema_and_no_task_is_too_strange() {
    let strange = [
        json!(null),
        json!(true),
        json!([]),
        json!({"type": 7, "required": "x", "properties": []}),
        json!({"required": ["x"], "properties": {"x": {"$ref": "#/nowhere"}}}),
        json!({"required": ["x"], "properties": {"x": {"type": "array", "items": 3, "minItems": 1e9}}}),
        json!({"required": ["x"], "properties": {"x": {"type": "string", "pattern": "("}}}),
    ];
    for schema in strange {
        for task in ["", "list \"", "read /data/\0 5 % ü", "find *.* in \"\" and ; . ? , and "] {
            let tools = [tool("list_odd_things", "Read or find what is there", schema.clone())];
            run(task, &tools, Some(&schema));
        }
    }
}
