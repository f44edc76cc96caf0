//! Settings: keys of config.yaml.

use super::Word;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A setting as config.yaml has it.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct FileSetting {
    /// From the root of the file on, with dots.
    pub name: String,
    /// What the file says; `null` where it says nothing, and for a secret.
    pub value: Option<String>,
    /// Whether the file says it.
    pub is_set: bool,
    /// Whether its value is told to nobody.
    pub is_secret: bool,
    /// What holds where nothing says otherwise; empty where nothing does.
    pub default: Word,
    /// What it takes.
    pub takes: String,
    /// What it is for.
    pub about: Word,
}

impl From<&station_engine::FileSetting> for FileSetting {
    fn from(setting: &station_engine::FileSetting) -> Self {
        Self {
            name: setting.name.clone(),
            value: setting.value.clone(),
            is_set: setting.is_set,
            is_secret: setting.is_secret(),
            default: setting.key.default.into(),
            takes: setting.key.shape.shown(),
            about: setting.key.about.into(),
        }
    }
}
