//! The prompt of an agent's file replaced.

use super::new::body_of;
use super::quote::line_end;
use super::set::marked;
use crate::file::Problem;
use crate::file::prompt::split;

/// `text`, an agent's file, with another prompt; its front matter stays byte for byte. A plain prompt becomes the system
/// prompt, as in [`super::new_agent`]. Lines end as in the rest of the file.
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
        let body = body_of(prompt).replace("\r\n", "\n");
        let body = if end == "\n" { body } else { body.replace('\n', end) };
        Ok(format!("{front}{gap}{body}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
