//! What can be seen of a message that cannot be read: whose answer it is.
//!
//! Not every text of JSON's grammar is one that a reader takes: nested too deep, a number beyond all bounds. Where such
//! is an answer, whoever waits for it must hear that at once and not wait out its time. Brackets and quotes are counted
//! here and nothing is understood, so this ends on any text, in one pass and without recursion.

use rmcp::model::RequestId;

/// What stands between the outermost brackets of `text`, cut at its commas: members of an object, elements of a list. A
/// text that breaks off has its last piece as far as that goes.
pub(super) fn pieces(text: &[u8]) -> Vec<&[u8]> {
    let (mut depth, mut quoted, mut escaped, mut start) = (0_usize, false, false, 0);
    let mut pieces = Vec::new();
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => {
                depth += 1;
                start = if depth == 1 { at + 1 } else { start };
            }
            b'}' | b']' if depth <= 1 => {
                pieces.push(text[start..at].trim_ascii());
                return pieces;
            }
            b'}' | b']' => depth -= 1,
            b',' if depth == 1 => {
                pieces.push(text[start..at].trim_ascii());
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.extend((depth > 0).then(|| text[start..].trim_ascii()));
    pieces
}

/// The request that `text`, an object, is the answer to, if it is one.
pub(super) fn answered(text: &[u8]) -> Option<RequestId> {
    let pieces = pieces(text);
    let members = pieces.iter().filter_map(|piece| member(piece));
    let (mut id, mut has_outcome) = (None, false);
    for (name, value) in members {
        match name {
            b"method" => return None,
            b"result" | b"error" => has_outcome = true,
            b"id" => id = serde_json::from_slice(value).ok(),
            _ => {}
        }
    }
    id.filter(|_| has_outcome)
}

/// A member's name, without its quotes, and its value.
fn member(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let piece = piece.strip_prefix(b"\"")?;
    // Names of the protocol have nothing escaped in them.
    let end = piece.iter().position(|byte| *byte == b'"')?;
    let value = piece[end + 1..].trim_ascii_start().strip_prefix(b":")?;
    Some((&piece[..end], value.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_cannot_be_read_is_still_somebodys() {
        let check = |text: &str, id: Option<&str>| {
            let found = answered(text.as_bytes()).map(|id| serde_json::to_string(&id).unwrap());
            assert_eq!(found.as_deref(), id, "{text}");
        };
        check(r#"{"jsonrpc":"2.0","id":3,"result":{"x":1e999}}"#, Some("3"));
        check(r#"{"result" : {"id":4, "method":"m"} , "id" : "a,b" }"#, Some("\"a,b\""));
        check(r#"{"id":3,"error":{"message":"\"},{\"id\":4"}}"#, Some("3"));
        check(r#"{"id":3,"id":4,"result":1e999}"#, Some("4"));
        // One that breaks off.
        check(r#"{"id":3,"result":{"text":"half"#, Some("3"));
        check(r#"{"result":{"text":"half"#, None);
        // A question, a notification, nobody's answer, and what is none of these.
        check(r#"{"id":3,"method":"roots/list","params":{"x":1e999}}"#, None);
        check(r#"{"method":"notifications/progress","params":{"result":1}}"#, None);
        check(r#"{"id":null,"result":1e999}"#, None);
        check(r#"{"id":3,"outcome":1e999}"#, None);
        check("{not json", None);
        check("}]{\"id\":3,\"result\":1", None);
        check("", None);
    }

    #[test]
    fn a_list_is_taken_apart_and_any_depth_is_survived() {
        let found: Vec<&[u8]> = pieces(br#" [{"a":[1,2]}, "x,]", 3 ]"#);
        assert_eq!(found, [&br#"{"a":[1,2]}"#[..], br#""x,]""#, b"3"]);
        let deep = format!(r#"{{"id":9,"result":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(answered(deep.as_bytes()), Some(RequestId::Number(9)));
        assert_eq!(answered("]".repeat(100_000).as_bytes()), None);
    }
}
