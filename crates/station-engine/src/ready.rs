//! Whether this process can do its work: asked by whoever sends it some.
//!
//! What is asked is what nothing works without. A tool server that is down is not among it: its siblings work, and a process that
//! is taken out of service for it would help nobody.

use crate::Station;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long the database may take to answer: whoever asks has a limit too, of a second where nobody says another.
const ANSWER_WITHIN: Duration = Duration::from_millis(900);

/// What nothing works without, and whether it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// The database answers.
    pub database: bool,
    /// Its schema is one that this version can use.
    pub migrations: bool,
    /// It is sealed with the key that this process has.
    pub key: bool,
    /// The worker of this process takes runs up.
    pub workers: bool,
}

impl Readiness {
    /// Each by its name.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, bool); 4] {
        [
            ("database", self.database),
            ("migrations", self.migrations),
            ("key", self.key),
            ("workers", self.workers),
        ]
    }

    /// Whether nothing is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.parts().iter().all(|(_, is_there)| *is_there)
    }
}

impl Station {
    /// Whether this process can do its work now. What the database does not say in time is missing.
    pub async fn readiness(&self) -> Readiness {
        let workers = self.is_working().load(Ordering::Relaxed);
        match tokio::time::timeout(ANSWER_WITHIN, self.store().standing()).await {
            Ok(Ok(standing)) => {
                let (migrations, key) = (standing.is_migrated, standing.fits_key);
                Readiness { database: true, migrations, key, workers }
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, causes = ?error.causes(), "the database cannot be asked");
                Readiness { workers, ..Readiness::default() }
            }
            Err(_) => Readiness { workers, ..Readiness::default() },
        }
    }
}
