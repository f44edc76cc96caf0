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
    let says_the_same = |old: &str, text: &str| {
        let source = &stored.agents[old].source;
        let nameless = |text| rename_agent(text, NO_NAME).ok();
        source == text || nameless(source).is_some_and(|source| nameless(text) == Some(source))
    };
    let new = new.iter().filter(|(name, _)| !stored.removed_agents.contains(*name));
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for (name, text) in new {
        pairs.extend(gone.iter().filter(|old| says_the_same(old, text)).map(|old| (*old, *name)));
    }
    let is_alone = |(old, name): &(&str, &str)| {
        pairs.iter().filter(|(other, _)| other == old).count() == 1
            && pairs.iter().filter(|(_, other)| other == name).count() == 1
    };
    pairs.iter().filter(|pair| is_alone(pair)).map(|(old, name)| (*name, *old)).collect()
}
