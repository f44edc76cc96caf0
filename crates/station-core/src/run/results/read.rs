//! Reading on in a long result, and searching it.

use super::Handle;
use crate::run::machine::Machine;
use crate::run::slot::State;
use crate::run::{GrantedTool, OwnTool, Target};
use crate::{BlobHash, ToolSpec};
use serde_json::{Map, Value, json};

/// The name of the tool, where nothing else of the agent has it.
pub const READER: &str = "read_result";

/// Lines found by one search at most: whoever finds more wants another word.
const FOUND_MAX: usize = 100;

/// Bytes shown on each side of what was found: lines of logs and of code are shorter, lines of JSON can be endless.
const AROUND_BYTES: usize = 150;

/// Where a result is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the journal itself.
    Text(String),
    /// Kept by hash.
    Blob(BlobHash),
}

/// A call of [`READER`], understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Where to read, or what to tell the model instead.
    pub source: Result<Source, String>,
    handle: String,
    offset: usize,
    length: usize,
    search: Option<String>,
}

/// The tool that reads long results, under a name that none of `taken` has.
#[must_use]
pub fn reader(taken: &[GrantedTool]) -> GrantedTool {
    let is_free = |name: &String| taken.iter().all(|tool| tool.spec.name != *name);
    let names = std::iter::once(READER.to_owned()).chain((1..).map(|n| format!("station__{READER}_{n}")));
    GrantedTool {
        spec: ToolSpec {
            name: names.into_iter().find(is_free).expect("names do not run out"),
            description:
                "Read on in a long result of an earlier call, by the handle that was told with it (e.g. \
                r3.1): from a byte offset on, or the lines that contain a text."
                    .to_owned(),
            input_schema: json!({
                "type": "object",
                "properties": {
                    "handle": {"type": "string", "description": "The handle, e.g. r3.1"},
                    "offset": {"type": "integer", "minimum": 0, "description": "The byte to begin at; 0 if left out"},
                    "length": {"type": "integer", "minimum": 1, "description": "How many bytes; as many as are told at once if left out"},
                    "search": {"type": "string", "description": "Only lines that contain this text, in capitals or not, each with its offset"},
                },
                "required": ["handle"],
            }),
        },
        target: Target::Own { tool: OwnTool::ReadResult },
        offline: false,
    }
}

impl Machine {
    /// What a call of [`READER`] with `arguments` reads.
    #[must_use]
    pub fn reading(&self, arguments: &Map<String, Value>) -> Reading {
        let number = |name: &str| {
            let value = arguments.get(name)?;
            let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())?;
            usize::try_from(number).ok()
        };
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
        let handle = text("handle").trim().to_owned();
        let most = usize::try_from(self.result_bytes_max("")).unwrap_or(usize::MAX);
        Reading {
            source: self.source(&handle),
            offset: number("offset").unwrap_or(0),
            length: number("length").unwrap_or(most).clamp(1, most),
            search: Some(text("search").to_owned()).filter(|text| !text.is_empty()),
            handle,
        }
    }

    /// The name of [`READER`] in this run; `None` in a run that began without it.
    pub(in crate::run) fn reader_name(&self) -> Option<&str> {
        let is_reader =
            |tool: &&GrantedTool| matches!(tool.target, Target::Own { tool: OwnTool::ReadResult });
        self.prepared().tools.iter().find(is_reader).map(|tool| tool.spec.name.as_str())
    }

    fn source(&self, handle: &str) -> Result<Source, String> {
        let place: Option<Handle> = handle.parse().ok();
        let state = place.and_then(|place| self.turns.get(place.turn - 1)?.slots.get(place.call - 1));
        match state.map(|slot| &slot.state) {
            Some(State::Done { whole: Some(whole), .. }) => Ok(Source::Blob(whole.blob.clone())),
            Some(State::Done { text, whole: None, .. }) => Ok(Source::Text(text.clone())),
            Some(_) => Err(format!("there is no result of `{handle}` yet")),
            None => Err(format!(
                "there is no result `{handle}` in this run; handles look like r2.1, the first call of turn 2, and stand where a result was shortened"
            )),
        }
    }
}

impl Reading {
    /// What the model is told of `whole`.
    ///
    /// # Errors
    /// In words for the model, too.
    pub fn read(&self, whole: &str) -> Result<String, String> {
        if self.offset >= whole.len() && self.offset > 0 {
            return Err(format!(
                "`{}` has {} bytes; there is nothing at {}",
                self.handle,
                whole.len(),
                self.offset
            ));
        }
        Ok(match &self.search {
            Some(search) => self.find(whole, search),
            None => self.page(whole),
        })
    }

    fn page(&self, whole: &str) -> String {
        let start = whole.floor_char_boundary(self.offset);
        // At least one character, so that reading on gets on.
        let end = whole.floor_char_boundary(start + self.length);
        let end = if end == start { whole.ceil_char_boundary(start + 1) } else { end };
        let then =
            if end < whole.len() { format!("go on with offset {end}") } else { "that is the end".to_owned() };
        format!(
            "[bytes {start} to {end} of {} of {}; {then}]\n{}",
            whole.len(),
            self.handle,
            &whole[start..end]
        )
    }

    fn find(&self, whole: &str, search: &str) -> String {
        // ASCII alone is folded, so that both texts have the same offsets.
        let (folded, needle) = (whole.to_ascii_lowercase(), search.to_ascii_lowercase());
        let (mut found, mut at, mut n) = (String::new(), whole.floor_char_boundary(self.offset), 0);
        let mut more = String::new();
        while let Some(next) = folded[at..].find(&needle).map(|place| at + place) {
            let line_start = whole[..next].rfind('\n').map_or(0, |place| place + 1);
            let line_end = whole[next..].find('\n').map_or(whole.len(), |place| next + place);
            let from = whole.floor_char_boundary(next.saturating_sub(AROUND_BYTES)).max(line_start);
            let to = whole
                .ceil_char_boundary(next + needle.len() + AROUND_BYTES)
                .min(line_end)
                .max(next + needle.len());
            let line = format!("{next}: {}\n", whole[from..to].trim_end());
            if n == FOUND_MAX || found.len() + line.len() > self.length {
                more = format!("; there are more: go on with offset {next}");
                break;
            }
            found.push_str(&line);
            n += 1;
            at = to.max(next + 1);
        }
        let times = if n == 1 { "found once".to_owned() } else { format!("found {n} times") };
        let head = format!(
            "[{search:?} was {times} in {} from byte {} on, {} bytes in all{more}]",
            self.handle,
            self.offset,
            whole.len()
        );
        format!("{head}\n{found}").trim_end().to_owned()
    }
}
