//! What a refusal means, in whichever dialect it is told, and how it is told. **Invariant:** no key is in a sentence: a wrong key's answer is not
//! repeated at all, and other messages are searched for it.

pub(crate) use crate::ask::Failed;
use crate::choose::Endpoint;
use crate::dialect::Dialect;
use serde_json::Value;
use station_core::run::AskFailure;
use std::time::Duration;

/// Most characters repeated of a provider's own words.
const TOLD_CHARS_MAX: usize = 300;

/// Words by which servers say that the conversation is too long; there is no status for it.
const OVERFLOW: &[&str] = &[
    "context_length_exceeded",
    "context length",
    "context window",
    "context size",
    "maximum context",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "reduce the length",
    "exceeds the maximum number of tokens",
    "exceed context limit",
];

/// Words by which Google says that a key is not one; the status is that of any mistake.
const NO_KEY: &[&str] = &["API_KEY_INVALID", "API key not valid"];

/// Words by which providers say that waiting a while does not help: an account without money, a quota of the day.
const USED_UP: &[&str] = &["insufficient_quota", "credit balance is too low", "PerDay"];

/// What the status `status` with `body` means.
pub(crate) fn of_status(endpoint: &Endpoint, status: u16, body: &str, after: Option<Duration>) -> Failed {
    let told = told(endpoint, body);
    let after = after.or_else(|| retry_delay(body));
    let says = |words: &[&str]| words.iter().any(|word| body.contains(word));
    let model = &endpoint.model;
    let with_reason = |what: &str| {
        if told.is_empty() {
            format!("model `{model}` answered {status}: {what}")
        } else {
            format!("model `{model}` answered {status}: {told}")
        }
    };
    match status {
        401 | 403 => bad_key(endpoint, status),
        400 if says(NO_KEY) => bad_key(endpoint, status),
        400 | 429 if says(USED_UP) => {
            Failed::new(AskFailure::RateLimited, with_reason("the account's quota is used up"))
                .with_hint("check the plan and billing of the account the key belongs to")
                .for_good()
        }
        _ if (400..500).contains(&status) && (status == 413 || is_overflow(body)) => overflow(endpoint),
        404 => Failed::new(AskFailure::Rejected, with_reason("there is no such model or address"))
            .with_hint(missing(endpoint)),
        408 => Failed::new(AskFailure::TimedOut, with_reason("it took too long")).with_after(after),
        429 => Failed::new(AskFailure::RateLimited, with_reason("too many requests")).with_after(after),
        500.. => Failed::new(AskFailure::Unavailable, with_reason("it is not available")).with_after(after),
        300..=399 => Failed::new(AskFailure::Rejected, with_reason("it points to another address"))
            .with_hint("set `STN_AI_BASE_URL` to the address itself: redirects are not followed"),
        _ => Failed::new(AskFailure::Rejected, with_reason("it refused the request")),
    }
}

/// What an error told inside a stream means.
pub(crate) fn of_stream(endpoint: &Endpoint, error: &Value) -> Failed {
    let body = error.to_string();
    let kind = format!("{} {}", error["type"], error["code"]).to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    let status = error["code"].as_u64().or_else(|| error["code"].as_str()?.parse().ok());
    if let Some(status @ 400..600) = status {
        return of_status(endpoint, u16::try_from(status).unwrap_or(500), &body, None);
    }
    if says(&["rate_limit", "quota", "resource_exhausted"]) {
        return of_status(endpoint, 429, &body, None);
    }
    if says(&["invalid_api_key", "authentication", "permission"]) {
        return bad_key(endpoint, 401);
    }
    if is_overflow(&body) {
        return overflow(endpoint);
    }
    let model = &endpoint.model;
    if says(&["invalid_request", "invalid_prompt"]) {
        let sentence = format!("model `{model}` refused the request: {}", told(endpoint, &body));
        return Failed::new(AskFailure::Rejected, sentence);
    }
    let sentence = match told(endpoint, &body) {
        why if why.is_empty() => format!("model `{model}` broke off its answer and said no reason"),
        why => format!("model `{model}` broke off its answer: {why}"),
    };
    Failed::new(AskFailure::Unavailable, sentence)
}

/// An answer came that is not one.
pub(crate) fn garbled(endpoint: &Endpoint, what: &str) -> Failed {
    Failed::new(AskFailure::Garbled, format!("model `{}` {what}", endpoint.model))
}

/// The stream ended before the answer did.
pub(crate) fn truncated(endpoint: &Endpoint) -> Failed {
    let sentence = format!("model `{}` broke off in the middle of its answer", endpoint.model);
    Failed::new(AskFailure::Truncated, sentence)
}

/// Nothing came for too long.
pub(crate) fn silent(endpoint: &Endpoint, idle: Duration) -> Failed {
    let sentence = format!("model `{}` was silent for {idle:?}", endpoint.model);
    Failed::new(AskFailure::TimedOut, sentence)
}

/// It could not be reached.
pub(crate) fn unreachable(endpoint: &Endpoint) -> Failed {
    let host = endpoint.url.split('/').nth(2).unwrap_or_default();
    // A name and password in the address are secrets.
    let host = host.rsplit('@').next().unwrap_or_default();
    let hint = match endpoint.dialect {
        Dialect::Ollama => "start it with `ollama serve`, or set `OLLAMA_HOST` to where it listens",
        Dialect::Chat | Dialect::Responses | Dialect::Anthropic | Dialect::Gemini => {
            "check the network, and `STN_AI_BASE_URL` if it is set"
        }
    };
    Failed::new(AskFailure::Unreachable, format!("model `{}` cannot be reached at `{host}`", endpoint.model))
        .with_hint(hint)
}

/// What to try where there is no such model or address.
fn missing(endpoint: &Endpoint) -> String {
    match endpoint.dialect {
        Dialect::Ollama => format!(
            "get the model with `ollama pull {}`, or name one that `ollama list` shows",
            endpoint.model.model
        ),
        Dialect::Chat | Dialect::Responses | Dialect::Anthropic | Dialect::Gemini => {
            "check the model's name in `model:`, `ai_model` or `models:` of config.yaml, and `STN_AI_BASE_URL`"
                .to_owned()
        }
    }
}

/// How long Google wants to be left alone: a `retryDelay` among the details of the error, in seconds.
fn retry_delay(body: &str) -> Option<Duration> {
    let body: Value = serde_json::from_str(body).ok()?;
    let body = body.get(0).unwrap_or(&body);
    let details = body["error"]["details"].as_array()?;
    let delay = details.iter().find_map(|detail| detail["retryDelay"].as_str())?;
    Duration::try_from_secs_f64(delay.strip_suffix('s')?.parse().ok()?).ok()
}

fn bad_key(endpoint: &Endpoint, status: u16) -> Failed {
    let (model, variables) = (&endpoint.model, &endpoint.key_variables);
    let sentence = match (&endpoint.key, status) {
        (None, _) => format!("model `{model}` wants a key ({status})"),
        (Some(_), 403) => format!("model `{model}` does not allow this to its key ({status})"),
        (Some(_), _) => format!("model `{model}` does not accept its key ({status})"),
    };
    Failed::new(AskFailure::BadKey, sentence)
        .with_hint(format!("set {variables} to a key that is valid for it"))
}

fn overflow(endpoint: &Endpoint) -> Failed {
    let sentence = format!("the conversation is longer than model `{}` takes", endpoint.model);
    Failed::new(AskFailure::ContextOverflow, sentence)
        .with_hint("let tools return less, or name a model with a longer context after it in `model:`")
}

fn is_overflow(body: &str) -> bool {
    let body = body.to_lowercase();
    OVERFLOW.iter().any(|words| body.contains(words))
}

/// The provider's own words out of `body`: its message where it is JSON, nothing where it is a web page; one line,
/// bounded, without the key.
fn told(endpoint: &Endpoint, body: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let message = match &parsed {
        Some(value) => {
            // Some gateways wrap the object in a list.
            let value = value.get(0).unwrap_or(value);
            [&value["error"]["message"], &value["message"], &value["error"], &value["detail"], value]
                .into_iter()
                .find_map(Value::as_str)
                .unwrap_or_default()
        }
        None if body.trim_start().starts_with('<') => "",
        None => body,
    };
    let hidden = match &endpoint.key {
        Some(key) if !key.expose().is_empty() => message.replace(key.expose(), "…"),
        _ => message.to_owned(),
    };
    let is_key = |word: &str| {
        let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
        ["sk-", "AIza"].iter().any(|prefix| word.starts_with(prefix))
    };
    let words: Vec<&str> =
        hidden.split_whitespace().map(|word| if is_key(word) { "…" } else { word }).collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    let cut: String = line.chars().take(TOLD_CHARS_MAX).collect();
    let cut = cut.trim_end_matches('.');
    if cut.len() < line.trim_end_matches('.').len() { format!("{cut}…") } else { cut.to_owned() }
}
