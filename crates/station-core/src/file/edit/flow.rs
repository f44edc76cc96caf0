//! A list on one line, or in brackets over several, with other items: those that stay keep their spelling, and every
//! comment stays.

use super::page::Page;
use super::quote::quoted;
use crate::file::prompt::to_json;
use crate::file::tree::{Node, Scalar};
use crate::file::yaml;

/// The list `node` as `wanted` says; `None` where nothing of it stays. What is to stand in another
/// order is written anew.
pub(super) fn items(page: &Page<'_>, node: &Node, items: &[Node], wanted: &[String]) -> Option<String> {
    let close = page.end_of(node).checked_sub(1)?;
    let shown: Vec<String> =
        items.iter().map(|item| item.scalar().map(Scalar::shown)).collect::<Option<_>>()?;
    let mut left = wanted.iter().peekable();
    let stays: Vec<bool> = shown.iter().map(|name| left.next_if(|next| *next == name).is_some()).collect();
    let last = stays.iter().rposition(|stays| *stays)?;
    let mut out = page.text.get(node.at..items.first()?.at)?.to_owned();
    for (index, item) in items.iter().enumerate() {
        let end = page.end_of(item);
        let gap = page.text.get(end..items.get(index + 1).map_or(close, |next| next.at))?;
        if stays[index] {
            out.push_str(page.text.get(item.at..end)?);
            if index == last {
                left.by_ref().for_each(|new| out.push_str(&format!(", {}", quoted(new))));
            }
            out.push_str(&if index == last { without_comma(gap) } else { gap.to_owned() });
        } else if gap.contains('#') {
            out.push_str(without_comma(gap).trim_start_matches([' ', '\t']));
        }
    }
    if last + 1 < items.len() && !out.contains('#') {
        out.truncate(out.trim_end().len());
    }
    out.push(']');
    // What people write in brackets is more than is known here: it is kept only where it says what is wanted.
    let said = yaml::parse(&out).ok().flatten().map(|list| to_json(&list));
    (said? == serde_json::json!(wanted)).then_some(out)
}

/// A gap between two items without its comma, which stands before any comment.
fn without_comma(gap: &str) -> String {
    match (gap.find(','), gap.find('#')) {
        (Some(comma), comment) if comment.is_none_or(|comment| comma < comment) => gap.replacen(',', "", 1),
        _ => gap.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::file::edit::{Field, set_field};

    #[test]
    fn a_list_in_brackets_keeps_comments_and_spelling() {
        for (before, wanted, after) in [
            ("[a, b, # why\n  c]", "a c", "[a, # why\n  c]"),
            ("[a, b, # why\n  c]", "a b", "[a, b # why\n  ]"),
            ("[a, 'b', \"c\"]", "'b c d", "[\"'b\", \"c\", \"d\"]"),
            ("[a, 'b', \"c\"]", "b c d", "['b', \"c\", \"d\"]"),
            ("[a, b]", "a", "[a]"),
            ("[a, b]", "b", "[b]"),
            ("[a, b, c]", "a", "[a]"),
            ("[\n  a, # one\n  b # two\n]", "a b c", "[\n  a, # one\n  b, \"c\" # two\n]"),
            ("[\n  a, # one\n  b # two\n]", "b", "[\n  # one\n  b # two\n]"),
            ("[a, b]", "b a", "[b, \"a\"]"),
            ("[a, b]", "c", "[\"c\"]"),
        ] {
            let file = |list: &str| format!("---\ntools: {list} # end\n---\nx\n");
            let wanted: Vec<String> = wanted.split(' ').map(str::to_owned).collect();
            let edited = set_field(&file(before), "tools", &Field::List(&wanted));
            assert_eq!(edited, Ok(file(after)), "{before} as {wanted:?}");
        }
    }
}
