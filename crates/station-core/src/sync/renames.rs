//! Which agents were renamed: a file that is gone, and one that is new and says the same.
//!
//! Nobody tells us that a file was renamed; `git mv` and an editor leave two names. It is concluded only where it is
//! proved: the new file says byte for byte what is stored of the one that is gone, but for the name where the text says
//! it; no other file that is gone or new says the same; and no agent ever had the new name, since a name that returns has
//! the row that it had. Anything less is a removal and a new agent, as it was before.

use super::Stored;
use crate::file::edit::rename_agent;
use std::collections::BTreeMap;

/// What both texts are made to say for a name, so that they can be compared.
const NO_NAME: &str = "no name";

/// The old name of each new one.
pub(super) fn renames<'a>(
    stored: &'a Stored,
    gone: &[&'a str],
    new: &[(&'a str, &str)],
) -> BTreeMap<&'a str, &'a str> {
    // What cannot be read is like nothing but itself.
    let nameless = |text: &str| rename_agent(text, NO_NAME).unwrap_or_else(|_| text.to_owned());
    let mut alike: BTreeMap<String, (Vec<&'a str>, Vec<&'a str>)> = BTreeMap::new();
    for old in gone {
        alike.entry(nameless(&stored.agents[*old].source)).or_default().0.push(old);
    }
    for (name, text) in new.iter().filter(|(name, _)| !stored.removed_agents.contains(*name)) {
        alike.entry(nameless(text)).or_default().1.push(name);
    }
    let alone = |(old, new): (Vec<&'a str>, Vec<&'a str>)| match (&old[..], &new[..]) {
        ([old], [name]) => Some((*name, *old)),
        _ => None,
    };
    alike.into_values().filter_map(alone).collect()
}
