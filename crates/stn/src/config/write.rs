//! config.yaml written: by `stn init` and `stn settings set`.

use super::Settings;
use station_core::Result;
use station_engine::settings;

impl Settings {
    /// Writes config.yaml in one step. The file is its owner's alone.
    ///
    /// # Errors
    /// `Invalid` where it cannot be written.
    pub(crate) fn write(&self, text: &str) -> Result<()> {
        settings::write(&self.file, text)
    }

    /// The text of config.yaml; empty where there is none.
    ///
    /// # Errors
    /// `Invalid` where it cannot be read.
    pub(crate) fn text(&self) -> Result<String> {
        settings::text(&self.file)
    }

    /// Writes what `edit` makes of config.yaml as it is now.
    ///
    /// # Errors
    /// As [`Settings::write`], and those of `edit`.
    pub(crate) fn change(&self, edit: impl FnOnce(&str) -> Result<String>) -> Result<()> {
        settings::change(&self.file, edit)
    }
}
