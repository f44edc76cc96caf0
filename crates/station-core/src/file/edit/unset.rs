//! One key of a YAML text taken out, with its value and the comment on its line.

use super::page::{Cut, Form, Page, entry};
use super::quote::line_end;
use super::set::{carried_out, marked, path, refusal, whole_lines};
use crate::file::Problem;
use crate::file::prompt::to_json;
use crate::file::sheet::Fault;
use crate::file::tree::{Member, Node, Value as Tree};
use serde_json::{Map, Value};

/// `text`, an agent's file, without `key` of its front matter; without a change where it has none. A mapping that
/// would be left empty goes with its last key. Comments on lines of their own stay.
///
/// # Errors
/// As [`super::set_field`].
pub fn unset_field(text: &str, key: &str) -> Result<String, Problem> {
    marked(text, |text| edit(Form::Prompt, text, &path(key)))
}

/// As [`unset_field`] for a file that is YAML from beginning to end.
///
/// # Errors
/// As [`super::set_field`].
pub fn unset_key(text: &str, path: &[&str]) -> Result<String, Problem> {
    marked(text, |text| whole_lines(text, |text| edit(Form::Plain, text, path)))
}

fn edit(form: Form, text: &str, path: &[&str]) -> Result<String, Fault> {
    let Some(root) = form.read(text)? else { return Ok(text.to_owned()) };
    let page = Page { text, front_end: form.end(text)?, end: line_end(text) };
    let mut expected = to_json(&root);
    let n_stay = page.commented(&root, path);
    if !without(&mut expected, path, n_stay) {
        return Ok(text.to_owned());
    }
    let cut = page.take(&root, path, n_stay).ok_or_else(|| refusal(path))?;
    carried_out(form, &page, vec![cut], &expected).ok_or_else(|| refusal(path))
}

/// Takes the key out of `value`, and every mapping that is empty afterwards but for the first `n_stay`, which then say
/// nothing. Whether it was there.
fn without(value: &mut Value, path: &[&str], n_stay: usize) -> bool {
    let (Value::Object(fields), Some((key, below))) = (value, path.split_first()) else { return false };
    if below.is_empty() {
        return fields.remove(*key).is_some();
    }
    let Some(child) = fields.get_mut(*key) else { return false };
    let found = without(child, below, n_stay.saturating_sub(1));
    if found && child.as_object().is_some_and(Map::is_empty) {
        if n_stay > 0 {
            *child = Value::Null;
        } else {
            fields.remove(*key);
        }
    }
    found
}

impl Page<'_> {
    /// How many keys of `path`, from the first, stay for a comment between them and the last: it was not written for that
    /// one alone.
    fn commented(&self, root: &Node, path: &[&str]) -> usize {
        let (mut members, mut map) = (Vec::new(), root);
        for key in path {
            let Some(member) = entry(map, key) else { return 0 };
            members.push(member);
            map = &member.node;
        }
        let Some((last, above)) = members.split_last() else { return 0 };
        let has_comment = |member: &&Member| {
            let between = self.text.get(member.at..self.line_start(last.at)).unwrap_or_default();
            between.contains('#') && !self.is_flow(&member.node)
        };
        above.iter().rposition(has_comment).map_or(0, |at| at + 1)
    }

    /// The bytes of the outermost entry that goes.
    fn take(&self, map: &Node, path: &[&str], n_stay: usize) -> Option<Cut> {
        let (key, below) = path.split_first()?;
        let member = entry(map, key)?;
        if below.is_empty() || (n_stay == 0 && leads_to_it_alone(&member.node, below)) {
            return self.whole(map, member);
        }
        self.take(&member.node, below, n_stay.saturating_sub(1))
    }

    fn whole(&self, map: &Node, member: &Member) -> Option<Cut> {
        let end = self.colon(member)?.max(self.end_of(&member.node));
        if !self.is_flow(map) {
            self.indent(member.at)?;
            let after = self.line_after(end);
            // A text on lines of its own ends for the parser behind its last line.
            let after = if self.text[..end].ends_with('\n') { end } else { after };
            return Some((self.line_start(member.at)..after, String::new()));
        }
        let behind = self.text[end..].trim_start();
        if let Some(next) = behind.strip_prefix(',') {
            let next = next.trim_start_matches([' ', '\t']);
            return Some((member.at..self.text.len() - next.len(), String::new()));
        }
        let before = self.text[..member.at].trim_end();
        let start = before.strip_suffix(',').map_or(member.at, str::len);
        Some((start..end, String::new()))
    }
}

/// Whether a mapping holds nothing but the key that `path` leads to.
fn leads_to_it_alone(node: &Node, path: &[&str]) -> bool {
    match (&node.value, path.split_first()) {
        (Tree::Map(members), Some((key, below))) => {
            matches!(&members[..], [only] if only.key == *key && leads_to_it_alone(&only.node, below))
        }
        (_, None) => true,
        _ => false,
    }
}
