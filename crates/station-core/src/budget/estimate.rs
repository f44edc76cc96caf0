//! What a request to a model will cost, before it is sent, and what one costs that failed.

use super::Amounts;
use crate::run::{AskFailure, Prepared};
use crate::{Answer, Image, Message, Usage};

/// Bytes of one token, on the low side: English has four, code and other scripts fewer.
const BYTES_PER_TOKEN: u64 = 3;

/// Bytes of what surrounds each message and each tool.
const FRAME_BYTES: u64 = 16;

/// Tokens that a model may write in one answer under a limit of tokens or money, where the agent's `max_tokens` does not
/// say. They are sent with the request, so that what was reserved holds: a long answer, seldom the longest.
pub const OUTPUT_TOKENS: u32 = 4_096;

/// The tokens of a request: its bytes by three, and all that the answer may take.
#[must_use]
pub fn estimate(messages: &[Message], prepared: &Prepared) -> Usage {
    let said: u64 = messages.iter().map(message_bytes).sum();
    let tools = prepared.tools.iter().map(|tool| {
        let spec = &tool.spec;
        let text = spec.name.len() + spec.description.len() + spec.input_schema.to_string().len();
        text as u64 + FRAME_BYTES
    });
    let schema = prepared.output_schema.as_ref().map_or(0, |schema| schema.to_string().len() as u64);
    let bytes = said + tools.sum::<u64>() + schema;
    let output = prepared.settings.max_output_tokens.unwrap_or(OUTPUT_TOKENS);
    Usage { input: bytes.div_ceil(BYTES_PER_TOKEN), output: u64::from(output), ..Usage::default() }
}

fn message_bytes(message: &Message) -> u64 {
    let text = match message {
        Message::System { text } | Message::User { text } => text.len(),
        Message::Assistant { text, calls, thinking } => {
            let calls = calls.iter().map(|call| call.id.len() + call.name.len() + call.arguments.len());
            let thoughts = thinking.iter().flat_map(|it| &it.thoughts).map(|it| it.block.to_string().len());
            text.len() + calls.sum::<usize>() + thoughts.sum::<usize>()
        }
        Message::Tool { call, name, text, images, .. } => {
            let seen = images.len() as u64 * Image::TOKENS * BYTES_PER_TOKEN;
            return seen + (call.len() + name.len() + text.len()) as u64 + FRAME_BYTES;
        }
    };
    text as u64 + FRAME_BYTES
}

/// What is charged for a request that failed, of what was `reserved` for it: nothing where the provider refused it, all
/// where it may have read and written as much.
#[must_use]
pub fn charged_for(failure: AskFailure, reserved: Amounts) -> Amounts {
    match failure {
        AskFailure::RateLimited
        | AskFailure::Unavailable
        | AskFailure::ContextOverflow
        | AskFailure::Unreachable
        | AskFailure::BadKey
        | AskFailure::Rejected => Amounts::default(),
        AskFailure::TimedOut | AskFailure::Truncated | AskFailure::Garbled => reserved,
    }
}

/// The tokens of an answer: as the provider counted them, or by `estimate` and the length of the answer where it did not.
#[must_use]
pub fn usage_of(answer: &Answer, estimate: Usage) -> Usage {
    if answer.usage.input > 0 || answer.usage.output > 0 {
        return answer.usage;
    }
    let calls = answer.calls.iter().map(|call| call.name.len() + call.arguments.len());
    let bytes = (answer.text.len() + calls.sum::<usize>()) as u64;
    Usage { output: bytes.div_ceil(BYTES_PER_TOKEN), ..estimate }
}
