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
    },
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
    /// The part of `output` that was reasoning.
    #[serde(default)]
    pub reasoning: u64,
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cached = self.cached.saturating_add(other.cached);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
    }
}

/// A model at a provider, e.g. `openai/gpt-4o-mini`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ModelRef {
    /// The provider's word: `openai`, `anthropic`, `gemini`, `ollama`, `offline`.
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
    fn tokens_that_no_provider_can_mean_do_not_end_station() {
        let all = |n| Usage { input: n, output: n, cached: n, reasoning: n };
        let mut usage = all(u64::MAX - 1);
        usage += all(1);
        usage += all(u64::MAX);
        assert_eq!(usage, all(u64::MAX));
    }
}
