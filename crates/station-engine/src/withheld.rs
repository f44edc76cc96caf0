//! Results that are secret: what a tool answers of which `tools.secret` says so.
//!
//! Whoever calls such a tool is told that it answered, and not what: neither a run's model nor the client of a gateway, which is a model's
//! as well. So the answer is in no journal, event, log or request to a provider, and the tool is lent no model to ask. A person who calls
//! it by hand sees it. What was said of a failure is withheld too, since it may hold what it failed with; so are the last words of a
//! server that went away within the call. What a server says while it is at work (progress, log lines, forms) is no answer.

use serde_json::{Value, json};
use station_mcp::{CallEnd, Passed, says_that_it_failed};

/// What a run is told of how a call of `tool` ended.
pub(crate) fn from_run(end: CallEnd, tool: &str) -> CallEnd {
    match end {
        CallEnd::Returned { is_error, .. } => CallEnd::Returned {
            text: told(tool, is_error),
            structured: None,
            is_error,
            cut_bytes: 0,
            images: Vec::new(),
        },
        CallEnd::Unknown { why, .. } => CallEnd::Unknown { why, sentence: lost(tool) },
        // The tool had no part in it.
        CallEnd::NotSent { sentence } => CallEnd::NotSent { sentence },
    }
}

/// What the client of a gateway is told of how a call of `tool` ended.
pub(crate) fn from_client(passed: Passed, tool: &str) -> Passed {
    match passed {
        // It asks something first, and has not answered.
        Passed::Answered(result) if result["resultType"] == "input_required" => Passed::Answered(result),
        Passed::Answered(result) => {
            // A task is no answer, and nobody fetches one from behind a gateway.
            let is_error = says_that_it_failed(&result) || result["resultType"] == "task";
            let content = json!([{ "type": "text", "text": told(tool, is_error) }]);
            let mut told = json!({ "content": content, "isError": is_error });
            // The newer revision of the protocol says of each result what it is.
            if result.get("resultType").is_some() {
                told["resultType"] = "complete".into();
            }
            Passed::Answered(told)
        }
        Passed::Refused(error) => {
            let code = error.get("code").cloned().unwrap_or(Value::Null);
            Passed::Refused(json!({ "code": code, "message": told(tool, true) }))
        }
        Passed::Unknown { why, .. } => Passed::Unknown { why, sentence: lost(tool) },
        Passed::NotSent { sentence } => Passed::NotSent { sentence },
    }
}

fn told(tool: &str, is_error: bool) -> String {
    let ended = if is_error { "failed" } else { "is done" };
    format!("The call {ended}. What `{tool}` answers is secret (`tools.secret`) and was not kept")
}

fn lost(tool: &str) -> String {
    format!("no answer of `{tool}` came; what its server said at the end is secret (`tools.secret`)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use station_core::run::Why;

    const CANARY: &str = "the-canary";

    #[test]
    fn nothing_of_an_answer_is_left() {
        for is_error in [false, true] {
            let end = CallEnd::Returned {
                text: CANARY.to_owned(),
                structured: Some(json!({ "token": CANARY })),
                is_error,
                cut_bytes: 9,
                images: Vec::new(),
            };
            let end = from_run(end, "mint");
            assert!(!format!("{end:?}").contains(CANARY), "{end:?}");
            assert!(matches!(end, CallEnd::Returned { is_error: told, .. } if told == is_error));
            let answered = json!({
                "content": [{ "type": "text", "text": CANARY }], "structuredContent": { "token": CANARY },
                "isError": is_error, "resultType": "complete", "_meta": { "token": CANARY },
            });
            let Passed::Answered(told) = from_client(Passed::Answered(answered), "mint") else {
                panic!("an answer stays one")
            };
            assert!(!told.to_string().contains(CANARY), "{told}");
            assert_eq!((&told["isError"], &told["resultType"]), (&json!(is_error), &json!("complete")));
        }
        let refused = Passed::Refused(json!({ "code": -32602, "message": CANARY, "data": CANARY }));
        let refused = from_client(refused, "mint");
        assert!(!format!("{refused:?}").contains(CANARY), "{refused:?}");
        assert!(matches!(refused, Passed::Refused(error) if error["code"] == -32602));
    }

    #[test]
    fn a_failure_is_told_as_one_however_it_is_written() {
        for answered in [json!({ "isError": "true" }), json!({ "resultType": "task", "taskId": "7" })] {
            let Passed::Answered(told) = from_client(Passed::Answered(answered), "mint") else {
                panic!("an answer stays one")
            };
            assert_eq!(told["isError"], true, "{told}");
            assert!(told.get("taskId").is_none() && told["resultType"] != "task", "{told}");
        }
    }

    #[test]
    fn what_is_no_answer_is_told_as_it_is() {
        let asks = Passed::Answered(json!({ "resultType": "input_required", "inputRequests": {} }));
        assert_eq!(from_client(asks.clone(), "mint"), asks);
        let sent = CallEnd::NotSent { sentence: "it cannot be started".to_owned() };
        assert_eq!(from_run(sent.clone(), "mint"), sent);
    }

    #[test]
    fn the_last_words_of_a_server_are_withheld() {
        let (why, sentence) = (Why::ConnectionLost, format!("it went away; it said last: {CANARY}"));
        let lost = from_run(CallEnd::Unknown { why, sentence: sentence.clone() }, "mint");
        assert!(
            matches!(&lost, CallEnd::Unknown { why: Why::ConnectionLost, sentence } if !sentence.contains(CANARY))
        );
        let lost = from_client(Passed::Unknown { why, sentence }, "mint");
        assert!(matches!(&lost, Passed::Unknown { sentence, .. } if !sentence.contains(CANARY)));
    }
}
