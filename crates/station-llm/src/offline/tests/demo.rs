//! What `stn demo` asks, and what a person may try next.

use super::world::{agent, check, filesystem, pick};
use expect_test::expect;

#[test]
fn the_log_reader_of_the_demo() {
    let tools = pick("read_text_file list_directory list_allowed_directories");
    check(
        "Which errors are in app.log, and how often?",
        &tools,
        expect![[r#"
            list_allowed_directories {}
            list_directory {"path":"/data/"}
            list_directory {"path":"/data/logs/"}
            read_text_file {"path":"/data/logs/app.log"}
            ---
            `/data/logs/app.log` says errors in 5 of 7 lines:
            - 3 lines like line 2: 2026-01-05T10:00:05Z ERROR payment: timeout after 3012 ms (order 4711)
            - line 5: 2026-01-05T10:02:00Z ERROR mail: connection refused
            - line 6: 2026-01-05T10:02:01Z INFO retry after error

            Looked in: `/data/`, `/data/logs/`.
        "#]],
    );
    check(
        "which errors are in /data/logs/app.log?",
        &tools,
        expect![[r#"
            read_text_file {"path":"/data/logs/app.log"}
            ---
            `/data/logs/app.log` says errors in 5 of 7 lines:
            - 3 lines like line 2: 2026-01-05T10:00:05Z ERROR payment: timeout after 3012 ms (order 4711)
            - line 5: 2026-01-05T10:02:00Z ERROR mail: connection refused
            - line 6: 2026-01-05T10:02:01Z INFO retry after error
        "#]],
    );
    check(
        "Show the last 2 lines of logs/app.log",
        &tools,
        expect![[r#"
            list_allowed_directories {}
            list_directory {"path":"/data/"}
            list_directory {"path":"/data/logs/"}
            read_text_file {"path":"/data/logs/app.log","tail":2}
            ---
            `/data/logs/app.log`:
            2026-01-05T10:02:01Z INFO retry after error
            2026-01-05T10:03:00Z ERROR payment: timeout after 3100 ms (order 4800)

            Not found: `logs/app.log`.

            Looked in: `/data/`, `/data/logs/`.
        "#]],
    );
    for task in ["What went wrong?", "How are things?"] {
        check(
            task,
            &tools,
            expect![[r#"
                list_allowed_directories {}
                list_directory {"path":"/data/"}
                read_text_file {"path":"/data/notes.md"}
                  | read_text_file {"path":"/data/logo.png"}
                ---
                `/data/notes.md` has 6 lines:
                - line 1: # Notes
                - line 3: The shop runs on two machines.
                - line 4: Backups are made at night.
                - line 5: Deploys happen on Mondays.
                - line 6: Ask Kim about mail.
                - line 7: Disk is watched.

                `/data/logo.png`:
                

                Looked in: `/data/`.
            "#]],
        );
    }
    check(
        "errors in missing.log",
        &tools,
        expect![[r#"
            list_allowed_directories {}
            list_directory {"path":"/data/"}
            list_directory {"path":"/data/logs/"}
            ---
            `/data/logs/`:
            [FILE] app.log
            [FILE] access.log

            Not found: `missing.log`.

            Looked in: `/data/`.
        "#]],
    );
}

#[test]
fn the_file_lister_of_the_demo() {
    check(
        "List the files",
        &pick("list_directory list_allowed_directories"),
        expect![[r#"
            list_allowed_directories {}
            list_directory {"path":"/data/"}
            ---
            `/data/`:
            [DIR] logs
            [FILE] notes.md
            [FILE] logo.png
        "#]],
    );
    check(
        "List all files with their sizes",
        &filesystem(),
        expect![[r#"
            list_allowed_directories {}
            list_directory_with_sizes {"path":"/data/","sortBy":"size"}
            ---
            `/data/`:
            [DIR] logs
            [FILE] notes.md                          1.00 KB
            [FILE] logo.png                          1.00 KB
        "#]],
    );
    check(
        "what is in /data/logs?",
        &filesystem(),
        expect![[r#"
            list_directory {"path":"/data/logs/"}
            ---
            `/data/logs/`:
            [FILE] app.log
            [FILE] access.log
        "#]],
    );
    check(
        "Summarise the notes",
        &filesystem(),
        expect![[r#"
            list_allowed_directories {}
            list_directory {"path":"/data/"}
            read_text_file {"path":"/data/notes.md"}
            ---
            `/data/notes.md` has 6 lines:
            - line 1: # Notes
            - line 3: The shop runs on two machines.
            - line 4: Backups are made at night.
            - line 5: Deploys happen on Mondays.
            - line 6: Ask Kim about mail.
            - line 7: Disk is watched.

            Looked in: `/data/`.
        "#]],
    );
    check(
        "read /data/notes.md and /data/logs/access.log",
        &filesystem(),
        expect![[r#"
            read_text_file {"path":"/data/notes.md"}
              | read_text_file {"path":"/data/logs/access.log"}
            ---
            `/data/notes.md` has 6 lines:
            - line 1: # Notes
            - line 3: The shop runs on two machines.
            - line 4: Backups are made at night.
            - line 5: Deploys happen on Mondays.
            - line 6: Ask Kim about mail.
            - line 7: Disk is watched.

            `/data/logs/access.log`:
            GET / 200
            GET /cart 500
            GET /cart 200
        "#]],
    );
}

#[test]
fn the_coordinator_of_the_demo() {
    let agents = [
        agent("log_reader", "Reads log files and counts the errors in them"),
        agent("file_lister", "Lists the files of a folder and sums up what they are"),
    ];
    check(
        "List the files in /data and then count the errors in app.log",
        &agents,
        expect![[r#"
            __agent_log_reader {"task":"count the errors in app.log"}
              | __agent_file_lister {"task":"List the files in /data"}
            ---
            `log_reader` answers:
            did: count the errors in app.log

            `file_lister` answers:
            did: List the files in /data
        "#]],
    );
    check(
        "Which errors are there?",
        &agents,
        expect![[r#"
        __agent_log_reader {"task":"Which errors are there?"}
        ---
        `log_reader` answers:
        did: Which errors are there?
    "#]],
    );
    check(
        "Do both your work",
        &agents,
        expect![[r#"
        __agent_log_reader {"task":"Do both your work"}
          | __agent_file_lister {"task":"Do both your work"}
        ---
        `log_reader` answers:
        did: Do both your work

        `file_lister` answers:
        did: Do both your work
    "#]],
    );
    check(
        "How are things?",
        &agents,
        expect![[r#"
        __agent_log_reader {"task":"How are things?"}
          | __agent_file_lister {"task":"How are things?"}
        ---
        `log_reader` answers:
        did: How are things?

        `file_lister` answers:
        did: How are things?
    "#]],
    );
}
