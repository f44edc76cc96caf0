//! The prompt of an agent's file replaced.

use super::new::{body_of, system_of};
use super::quote::line_end;
use super::set::marked;
use crate::file::Problem;
use crate::file::prompt::split;
use crate::file::render::{self, tags};

/// `text`, an agent's file, with another prompt; its front matter stays byte for byte. A plain prompt becomes the system
/// prompt, as in [`super::new_agent`], and the turns behind it stay; one with marks of its own is the whole body. Lines
/// end as in the rest of the file.
///
/// # Errors
/// A problem (without a path) where the file has no front matter.
pub fn set_body(text: &str, prompt: &str) -> Result<String, Problem> {
    marked(text, |text| {
        let parts = split(text)?;
        let front = &text[..parts.body];
        let end = line_end(text);
        // A file may end with its second `---`.
        let gap = if front.ends_with('\n') { "" } else { end };
        let turns = turns_of(&text[parts.body..]);
        let body = turns.and_then(|turns| with_turns(prompt, turns)).unwrap_or_else(|| body_of(prompt));
        let body = body.replace("\r\n", "\n");
        let body = if end == "\n" { body } else { body.replace('\n', end) };
        Ok(format!("{front}{gap}{body}"))
    })
}

/// The part of a body behind its system prompt: from the first mark of the history or of another role on.
fn turns_of(body: &str) -> Option<&str> {
    let is_turn = |inside: &str| match inside.split_whitespace().collect::<Vec<_>>()[..] {
        ["history", ..] => true,
        ["role", role, ..] => role.trim_matches(['"', '\'']) != "system",
        _ => false,
    };
    let first = tags::of(body).find(|tag| tag.inside.is_some_and(|inside| is_turn(inside.trim_end())))?;
    Some(&body[first.at..])
}

/// A plain prompt before turns that were written for another; `None` where they do not stand without that one.
fn with_turns(prompt: &str, turns: &str) -> Option<String> {
    let body = format!("{}{turns}", system_of(prompt)?);
    render::check(&body).is_ok().then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_turns_behind_a_prompt_stay() {
        for (body, expected) in [
            (
                "{{role \"system\"}}\nOld.\n{{history}}\n{{role \"user\"}}\nDo: {{userInput}} now\n",
                "{{role \"system\"}}\nNew.\n\n{{history}}\n{{role \"user\"}}\nDo: {{userInput}} now\n",
            ),
            (
                "Old.\n{{role \"user\"}}{{userInput}}",
                "{{role \"system\"}}\nNew.\n\n{{role \"user\"}}{{userInput}}",
            ),
            // Turns within a block do not stand without it.
            (
                "{{#if a}}{{role \"user\"}}{{userInput}}{{/if}}",
                "{{role \"system\"}}\nNew.\n\n{{role \"user\"}}\n{{userInput}}\n",
            ),
        ] {
            let file = |body: &str| format!("---\nmodel: a\n---\n{body}");
            assert_eq!(set_body(&file(body), "New."), Ok(file(expected)), "{body}");
        }
    }

    #[test]
    fn the_front_matter_stays() {
        for (text, expected) in [
            (
                "---\n# c\nmodel: a\n---\n\nold\n---\n",
                "---\n# c\nmodel: a\n---\n{{role \"system\"}}\nNew.\n\n{{role \"user\"}}\n{{userInput}}\n",
            ),
            (
                "\u{feff}---\r\nmodel: a\r\n---\r\nold",
                "\u{feff}---\r\nmodel: a\r\n---\r\n{{role \"system\"}}\r\nNew.\r\n\r\n{{role \"user\"}}\r\n{{userInput}}\r\n",
            ),
            ("---\n---", "---\n---\n{{role \"system\"}}\nNew.\n\n{{role \"user\"}}\n{{userInput}}\n"),
        ] {
            assert_eq!(set_body(text, "New.").as_deref(), Ok(expected), "{text:?}");
        }
        assert_eq!(
            set_body("---\n---\nold", "Say {{userInput}}").as_deref(),
            Ok("---\n---\nSay {{userInput}}\n")
        );
        assert!(set_body("old", "new").is_err());
    }
}
