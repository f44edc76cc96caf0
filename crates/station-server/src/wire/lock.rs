//! What is different from the pinned tools of an environment.

use super::Word;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use station_core::BlobHash;
use station_core::lock::{Difference, FieldChange, What};

/// The lock of an environment's tools.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ToolLock {
    /// The environment's name.
    pub environment: String,
    /// The lock file, relative to the workspace; `null` where it stands in the store.
    pub path: Option<String>,
    /// Whether there is one.
    pub is_locked: bool,
    /// Whether it was written.
    pub written: bool,
    /// What is different, or was until it was written.
    pub differences: Vec<ToolDifference>,
    /// Tools that are pinned, or would be.
    pub pinned: usize,
    /// Servers that were never listed, or whose last listing failed.
    pub unlisted: Vec<String>,
    /// A name for what is different here: whoever pins it over HTTP says what they have seen.
    pub shown: String,
}

/// A tool that is not as it is pinned.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ToolDifference {
    /// Its server.
    pub server: String,
    /// Its name there.
    pub tool: String,
    /// `new`, `renamed`, `changed` or `gone`.
    pub what: Word,
    /// A pinned tool, as `server__tool`, for which a person would take a new one.
    pub looks_like: Option<String>,
    /// The pinned name of a renamed one.
    pub renamed_from: Option<String>,
    /// The parts of the definition that have changed.
    pub fields: Vec<ChangedField>,
}

/// A part of a definition, before and after.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ChangedField {
    /// `description`, `input_schema`, `output_schema` or `annotations`.
    pub field: Word,
    /// As it is pinned; JSON but for the description.
    pub before: String,
    /// As it is offered.
    pub after: String,
}

impl ToolLock {
    /// The shape of `lock`, which was `written` or only looked at.
    #[must_use]
    pub fn new(lock: &station_engine::ToolLock, written: bool) -> Self {
        let differences: Vec<ToolDifference> = lock.differences.iter().map(ToolDifference::from).collect();
        let told = serde_json::to_vec(&differences).expect("wire structs serialize");
        Self {
            shown: BlobHash::of(&told).to_string(),
            environment: lock.environment.name.to_string(),
            path: lock.path.clone(),
            is_locked: lock.is_locked || written,
            written,
            differences,
            pinned: lock.pinned,
            unlisted: lock.unlisted.clone(),
        }
    }
}

impl From<&Difference> for ToolDifference {
    fn from(it: &Difference) -> Self {
        let (what, looks_like, renamed_from, fields): (_, _, _, &[FieldChange]) = match &it.what {
            What::New { looks_like } => ("new", looks_like.clone(), None, &[]),
            What::Renamed { from } => ("renamed", None, Some(from.clone()), &[]),
            What::Changed { fields } => ("changed", None, None, fields),
            What::Gone => ("gone", None, None, &[]),
        };
        let field = |it: &FieldChange| ChangedField {
            field: it.field.into(),
            before: it.before.clone(),
            after: it.after.clone(),
        };
        Self {
            server: it.server.clone(),
            tool: it.tool.clone(),
            what: what.into(),
            looks_like,
            renamed_from,
            fields: fields.iter().map(field).collect(),
        }
    }
}
