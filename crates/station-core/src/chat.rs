//! What is said between a run and a model, in our own words.
//!
//! These types are part of the journal, so they outlive any provider's client library: new fields are optional and
//! nothing is renamed. **Invariant:** a tool call's arguments stay the text the model wrote; reading them as JSON is
//! a decision that can fail, and its failure goes back to the model.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// Instructions that stand above the conversation.
    System {
        /// The text.
        text: String,
    },
    /// Somebody's words; also Station's own notes to the model.
    User {
        /// The text.
        text: String,
    },
    /// The model's words and what it wants called.
    Assistant {
        /// The text; empty where the model only calls.
        text: String,
        /// Calls in the model's order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<ToolCall>,
        /// What the model thought, for the model that thought it and for no other.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thinking: Option<Thinking>,
    },
    /// What one call returned.
    Tool {
        /// The `id` of the call.
        call: String,
        /// The wire name of the tool.
        name: String,
        /// What it returned, as text.
        text: String,
        /// Whether this is an error the model should react to.
        #[serde(default)]
        is_error: bool,
        /// Images it returned besides; the text names each of them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        images: Vec<Image>,
    },
}

/// An image of a tool's result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its media type, e.g. `image/png`.
    pub mime: String,
    /// Its bytes in base64.
    pub data: String,
}

impl Image {
    /// The media types that every provider with eyes takes.
    pub const MIMES: &[&str] = &["image/png", "image/jpeg", "image/gif", "image/webp"];
    /// Longest image, in characters of base64: Anthropic takes 5 MB, and the others take more.
    pub const CHARS_MAX: usize = 5_000_000;
    /// Most images of one result.
    pub const COUNT_MAX: usize = 8;
    /// Tokens that an image is taken for where nobody has counted: a large one at Anthropic, and about as much elsewhere.
    pub const TOKENS: u64 = 1_600;
}

/// What a model thought on the way to an answer, in the words of its provider, who wants it back as it was.
///
/// Most of it is sealed or signed: no other model can read it, and some refuse it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thinking {
    /// The model that was asked.
    pub by: ModelRef,
    /// The thoughts, in order.
    pub thoughts: Vec<Thought>,
}

/// One thought and its place in the answer: where a provider checks the order, it is the order in which it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thought {
    /// Bytes of the answer's text that stand before it.
    pub text: usize,
    /// Calls of the answer that stand before it.
    pub calls: usize,
    /// The thought in its provider's own words.
    pub block: Value,
}

/// A part of an answer, in the order in which the model wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// A thought, in its provider's own words.
    Thought(&'a Value),
    /// Some of the text; never empty.
    Text(&'a str),
    /// A call.
    Call(&'a ToolCall),
}

impl Thinking {
    /// Whether `model` may be given it: the same model at the same provider, dated or not.
    #[must_use]
    pub fn is_of(&self, model: &ModelRef) -> bool {
        self.by.provider == model.provider && family(&self.by.model) == family(&model.model)
    }

    /// The parts of the answer `text` and `calls` in the order in which they were written.
    #[must_use]
    pub fn parts<'a>(thinking: Option<&'a Self>, text: &'a str, calls: &'a [ToolCall]) -> Vec<Part<'a>> {
        let (mut parts, mut told, mut called) = (Vec::new(), 0, 0);
        let end = Thought { text: text.len(), calls: calls.len(), block: Value::Null };
        let thoughts = thinking.map_or(&[] as &[Thought], |thinking| thinking.thoughts.as_slice());
        for (at, thought) in thoughts.iter().chain([&end]).enumerate() {
            let to = text.floor_char_boundary(thought.text).max(told);
            parts.extend((to > told).then(|| Part::Text(&text[told..to])));
            told = to;
            let to = thought.calls.clamp(called, calls.len());
            parts.extend(calls[called..to].iter().map(Part::Call));
            called = to;
            parts.extend(thoughts.get(at).map(|thought| Part::Thought(&thought.block)));
        }
        parts
    }
}

/// A model's name without the date of its build: `claude-sonnet-4-5-20250929` and `gpt-5-2025-08-07` are those models.
fn family(model: &str) -> &str {
    let model = model.strip_suffix("-latest").unwrap_or(model);
    let is_date = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    for digits in [8, 10] {
        let Some((name, date)) =
            model.len().checked_sub(digits + 1).and_then(|at| model.split_at_checked(at))
        else {
            continue;
        };
        if date.starts_with("-20") && is_date(date) && !name.is_empty() {
            return name;
        }
    }
    model
}

/// A call that a model wants made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id for this call; unique within its turn.
    pub id: String,
    /// The name the model used, as it wrote it.
    pub name: String,
    /// The arguments as the model wrote them: JSON if all is well. Empty means no arguments.
    pub arguments: String,
}

/// A tool as a model is told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// The wire name: at most 64 of `[A-Za-z0-9_-]`, unique within the request.
    pub name: String,
    /// What the tool does, in words.
    pub description: String,
    /// JSON Schema of its arguments.
    pub input_schema: Value,
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The text; may be empty where there are calls.
    pub text: String,
    /// The calls, in the model's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ToolCall>,
    /// What the model thought on the way, where its provider wants that back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// Why the model stopped.
    pub stop: Stop,
    /// What it cost.
    pub usage: Usage,
    /// The model as the provider named it in its answer; the one asked for where it did not.
    pub model: String,
}

/// Why a model stopped talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// It was done, or it wants calls made.
    End,
    /// It reached its output limit: the text is cut.
    Length,
    /// It refused, or a filter did.
    Refused,
}

/// Tokens of one or more answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read, cached ones included.
    pub input: u64,
    /// Tokens written, reasoning included.
    pub output: u64,
    /// The part of `input` that came from the provider's cache.
    #[serde(default)]
    pub cached: u64,
    /// The part of `input` that the provider wrote into its cache, where it counts that apart.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_written: u64,
    /// The part of `output` that was reasoning.
    #[serde(default)]
    pub reasoning: u64,
}

/// Journals are as they were where a provider counts no such thing.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cached = self.cached.saturating_add(other.cached);
        self.cache_written = self.cache_written.saturating_add(other.cache_written);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
    }
}

/// A model at a provider, e.g. `openai/gpt-4o-mini`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ModelRef {
    /// The provider's word: `openai`, `openai-responses`, `anthropic`, `gemini`, `ollama`, `offline`.
    pub provider: String,
    /// The model's name at that provider; may contain `/`.
    pub model: String,
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.model.is_empty() || self.model == self.provider {
            return f.write_str(&self.provider);
        }
        write!(f, "{}/{}", self.provider, self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_goes_back_to_the_model_that_thought_and_to_no_other() {
        let at = |name: &str| {
            let (provider, model) = name.split_once('/').unwrap();
            ModelRef { provider: provider.to_owned(), model: model.to_owned() }
        };
        for (by, to, expected) in [
            ("anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4-5", true),
            ("anthropic/claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5", true),
            ("openai-responses/gpt-5-2025-08-07", "openai-responses/gpt-5", true),
            ("anthropic/claude-sonnet-4-5", "anthropic/claude-opus-4-5", false),
            ("anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4", false),
            ("openai-responses/gpt-5", "openai/gpt-5", false),
            ("gemini/gemini-2.5-pro", "gemini/gemini-2.5-flash", false),
            ("gateway/m-latest", "gateway/m", true),
            ("gateway/20250929", "gateway/x", false),
        ] {
            let thinking = Thinking { by: at(by), thoughts: Vec::new() };
            assert_eq!(thinking.is_of(&at(to)), expected, "{by} {to}");
        }
    }

    #[test]
    fn an_answer_is_told_in_the_order_in_which_it_was_written() {
        let call = |id: &str| ToolCall { id: id.to_owned(), name: String::new(), arguments: String::new() };
        let calls = [call("a"), call("b")];
        let check = |places: &[(usize, usize)], expected: &str| {
            let thoughts = places.iter().map(|&(text, calls)| Thought { text, calls, block: Value::Null });
            let by = ModelRef { provider: String::new(), model: String::new() };
            let thinking = Thinking { by, thoughts: thoughts.collect() };
            let parts = Thinking::parts(Some(&thinking), "önetwo", &calls);
            let shown: Vec<&str> = parts
                .iter()
                .map(|part| match part {
                    Part::Thought(_) => "*",
                    Part::Text(text) => *text,
                    Part::Call(call) => call.id.as_str(),
                })
                .collect();
            assert_eq!(shown.join(" "), expected, "{places:?}");
        };
        check(&[], "önetwo a b");
        check(&[(0, 0)], "* önetwo a b");
        check(&[(0, 0), (0, 0), (4, 0), (7, 1)], "* * öne * two a * b");
        check(&[(7, 2)], "önetwo a b *");
        // Places that cannot be are no reason to fail: inside a character, backwards, beyond the end.
        check(&[(1, 0), (4, 1), (0, 0), (99, 99)], "* öne a * * two b *");
    }

    #[test]
    fn tokens_that_no_provider_can_mean_do_not_end_station() {
        let all = |n| Usage { input: n, output: n, cached: n, cache_written: n, reasoning: n };
        let mut usage = all(u64::MAX - 1);
        usage += all(1);
        usage += all(u64::MAX);
        assert_eq!(usage, all(u64::MAX));
    }
}
