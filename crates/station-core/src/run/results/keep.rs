//! Keeping long results: what is told of them, and what is kept by hash.

use super::Handle;
use crate::run::machine::Machine;
use crate::run::slot::{Slot, State};
use crate::run::{Event, GrantedTool, Target};
use crate::{BlobHash, EffectId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A body by its hash.
type Body = (BlobHash, Vec<u8>);

/// Bytes of one result that stand in the conversation where nothing else is said: about 16,000 tokens.
pub const RESULT_BYTES_MAX: u64 = 64 * 1024;

/// What is always shown of a result: less would not even hold the note that there is more.
const SHOWN_BYTES_MIN: u64 = 256;

/// The whole of a text of which only a part is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    /// The body.
    pub blob: BlobHash,
    /// How long it is.
    pub bytes: u64,
    /// What the model calls it: `r3.1`.
    pub handle: String,
}

impl Machine {
    /// A result as it is appended: its beginning and its end where it is longer than may be told at once, and the whole
    /// of it, to be kept. Other events, and all of a run without [`READER`](super::READER), pass as they are.
    #[must_use]
    pub fn shorten(&self, event: Event) -> (Event, Option<Body>) {
        match event {
            Event::Returned { id, text, structured, is_error, cut_bytes, whole: None, images, ms } => {
                let (text, structured) = self.with_structured(id, text, structured);
                let (text, kept) = self.fit(id, text);
                let (whole, body) = kept.unzip();
                (Event::Returned { id, text, structured, is_error, cut_bytes, whole, images, ms }, body)
            }
            Event::ChildEnded { id, run, status, text, whole: None, ms } => {
                let (text, kept) = self.fit(id, text);
                let (whole, body) = kept.unzip();
                (Event::ChildEnded { id, run, status, text, whole, ms }, body)
            }
            other => (other, None),
        }
    }

    /// Puts a structured result that is itself too long for the journal behind the text, where the text does not say
    /// the same.
    fn with_structured(
        &self,
        id: EffectId,
        text: String,
        structured: Option<Value>,
    ) -> (String, Option<Value>) {
        let Some(value) = structured else { return (text, None) };
        let told = value.to_string();
        if self.reader_name().is_none()
            || self.handle_of(id).is_none()
            || told.len() as u64 <= self.limit_of(id)
        {
            return (text, Some(value));
        }
        let is_same = serde_json::from_str::<Value>(&text).is_ok_and(|said| said == value);
        if is_same { (text, None) } else { (format!("{text}\n{told}"), None) }
    }

    fn fit(&self, id: EffectId, text: String) -> (String, Option<(Whole, Body)>) {
        let (Some(reader), Some(handle)) = (self.reader_name(), self.handle_of(id)) else {
            return (text, None);
        };
        let most = self.limit_of(id);
        if text.len() as u64 <= most || self.is_own(id) {
            return (text, None);
        }
        let told = excerpt(&text, most, &handle.to_string(), reader);
        let body = text.into_bytes();
        let blob = BlobHash::of(&body);
        let whole = Whole { blob: blob.clone(), bytes: body.len() as u64, handle: handle.to_string() };
        (told, Some((whole, (blob, body))))
    }

    fn handle_of(&self, id: EffectId) -> Option<Handle> {
        let slots = &self.turns.last()?.slots;
        // What a look for a lost call finds is judged whole.
        let is_out = |slot: &Slot| matches!(slot.state, State::Out { .. } | State::Spawned { .. });
        let call = slots.iter().position(|slot| slot.state.id() == Some(id) && is_out(slot))? + 1;
        Some(Handle { turn: self.turns.len(), call })
    }

    fn tool_of(&self, id: EffectId) -> Option<&GrantedTool> {
        let slot = self.turns.last()?.slots.iter().find(|slot| slot.state.id() == Some(id))?;
        self.prepared().tools.get(slot.tool?)
    }

    fn is_own(&self, id: EffectId) -> bool {
        self.tool_of(id).is_some_and(|tool| matches!(tool.target, Target::Own { .. }))
    }

    fn limit_of(&self, id: EffectId) -> u64 {
        match self.tool_of(id).map(|tool| &tool.target) {
            Some(Target::Tool { server_name, .. }) => self.result_bytes_max(server_name),
            _ => self.result_bytes_max(""),
        }
    }

    pub(super) fn result_bytes_max(&self, server: &str) -> u64 {
        let context = self.inputs().map(|inputs| &inputs.context);
        let own = context.and_then(|context| context.servers.get(server).copied());
        own.or_else(|| context?.result_bytes_max).unwrap_or(RESULT_BYTES_MAX).max(SHOWN_BYTES_MIN)
    }
}

/// The beginning and the end of `text`, with a note between them; about `bytes_max` long.
fn excerpt(text: &str, bytes_max: u64, handle: &str, reader: &str) -> String {
    let most = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    // Most of the beginning, and enough of the end: what went wrong stands in the last lines of a log.
    let head = text.floor_char_boundary(most / 4 * 3);
    let tail = text.ceil_char_boundary(text.len() - most / 4);
    let left_out = tail - head;
    format!(
        "{}\n[Station: {left_out} of {} bytes are left out here. `{reader}` with {{\"handle\": \"{handle}\", \"offset\": {head}}} reads on; with \"search\" it finds lines.]\n{}",
        &text[..head],
        text.len(),
        &text[tail..]
    )
}
