//! Reading long results: a call that is answered by Station itself, from what the run has kept.

use crate::Station;
use crate::lease::millis;
use station_core::EffectId;
use station_core::run::{Event, Reading, Source};
use std::time::Instant;

/// Answers a call of the reader. It reads what is stored and nothing else, so it may be repeated, and cannot fail:
/// what went wrong is told to the model.
pub(crate) async fn read(station: &Station, id: EffectId, reading: &Reading) -> Event {
    let started = Instant::now();
    let told = match &reading.source {
        Ok(Source::Text(text)) => reading.read(text),
        Ok(Source::Blob(hash)) => match station.store().blob(hash).await {
            Ok(body) => reading.read(&String::from_utf8_lossy(&body)),
            Err(error) => {
                tracing::error!(%error, causes = ?error.causes(), "a kept result could not be read");
                Err(format!("the result could not be read: {error}"))
            }
        },
        Err(sentence) => Err(sentence.clone()),
    };
    let is_error = told.is_err();
    let (Ok(text) | Err(text)) = told;
    let ms = millis(started.elapsed());
    let (structured, images) = (None, Vec::new());
    Event::Returned { id, text, structured, is_error, cut_bytes: 0, whole: None, images, ms }
}
