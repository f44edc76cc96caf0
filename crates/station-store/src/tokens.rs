//! Texts that are given out and brought back: sealed, and bound to what they are for, so that whoever keeps them meanwhile
//! can neither read nor change them, nor bring them back elsewhere. Every instance with the same key opens them.

use crate::Store;
use crate::seal::Place;
use station_core::{Error, Result, Secret};

/// Where they stand, as far as sealing is concerned: in no row.
fn place<'a>(bound_to: &'a [&'a str]) -> Place<'a> {
    Place { table: "given_out", column: "text", row: bound_to }
}

impl Store {
    /// Seals `text`, bound to `bound_to`.
    ///
    /// # Errors
    /// Where the system has no random bytes.
    pub fn seal_text(&self, bound_to: &[&str], text: &str) -> Result<String> {
        let sealed = self.shared_context().sealer.seal_now(place(bound_to), &Secret::new(text))?;
        Ok(hex::encode(sealed))
    }

    /// The text that was sealed, bound to the same.
    ///
    /// # Errors
    /// `Invalid` where it is none of ours, was changed, or is bound to something else.
    pub fn open_text(&self, bound_to: &[&str], sealed: &str) -> Result<String> {
        let foreign = || Error::invalid("it was not given out here for this");
        let sealed = hex::decode(sealed).map_err(|_| foreign())?;
        let opened = self.shared_context().sealer.open(place(bound_to), &sealed).map_err(|_| foreign())?;
        Ok(opened.expose().to_owned())
    }
}
