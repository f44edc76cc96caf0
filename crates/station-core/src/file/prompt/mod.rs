//! An agent's file: YAML front matter between `---` lines, then a Handlebars body (dotprompt).
//!
//! `split` finds the two parts, `read` turns the front matter into a [`Prompt`] and says everything that is wrong with
//! the file at once, keys without effect included (`schema` reads the schemas among them). The body is only checked here; `file::render` fills it.
//! To give a key an effect: a field of [`Prompt`] and an arm in `read`.

mod asked;
mod read;
mod schema;
mod split;
#[cfg(test)]
mod tests;

pub use read::{Prompt, Schedule, read};

pub(super) use read::{CRON_HINT, is_cron, to_json};
pub(super) use split::split;
