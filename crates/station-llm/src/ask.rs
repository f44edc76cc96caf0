//! Asking one model: time limits, retries, and what a failure is called.

use crate::choose::Route;
use crate::cooling::Cooling;
use crate::dialect::Dialect;
use crate::ollama::Seeing;
use crate::transport::Transport;
use crate::{Config, Script, offline, send};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use serde_json::Value;
use station_core::content::{self, CONTENT};
use station_core::run::{AskFailure, GrantedTool, Settings};
use station_core::{Answer, Message, ModelRef, Trace};
use std::time::Duration;
use tracing::field::Empty;
use tracing::{Instrument as _, Level};

/// Longest wait before a request is sent again. A provider that asks for more has failed for this request, and the
/// run's next model is asked instead.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Longest wait for all repetitions of a request together.
const WAITS_MAX: Duration = Duration::from_secs(120);

/// The same where another model can be asked instead.
const SWITCH_AFTER: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The conversation so far; a system message stands first.
    pub messages: &'a [Message],
    /// What the model may call.
    pub tools: &'a [GrantedTool],
    /// Sampling and limits.
    pub settings: &'a Settings,
    /// JSON Schema the answer must fit.
    pub output_schema: Option<&'a Value>,
    /// After which failures it is sent again.
    pub repeat: Repeat,
    /// What it belongs to: sent as the header `traceparent`.
    pub trace: Option<Trace>,
}

impl Request<'_> {
    fn has_images(&self) -> bool {
        let shows = |message: &Message| matches!(message, Message::Tool { images, .. } if !images.is_empty());
        self.messages.iter().any(shows)
    }
}

/// After which failures a request is sent again by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// After each that may be gone in a moment.
    #[default]
    Any,
    /// Only where nothing was written for it: an answer that was cut off has cost as much as a whole one, and a budget
    /// has made room for one.
    Unbilled,
    /// After none: what is asked is whether it answers.
    Never,
}

impl Repeat {
    fn allows(self, failure: AskFailure) -> bool {
        match self {
            Self::Any => true,
            Self::Unbilled => !matches!(failure, AskFailure::Truncated | AskFailure::Garbled),
            Self::Never => false,
        }
    }
}

/// How long may be waited, for all repetitions of one request together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patience {
    /// The run has no other model to ask.
    #[default]
    Long,
    /// It has: whoever waits longer than a few seconds for this one would have had an answer from that one.
    Short,
}

impl Patience {
    fn wait_max(self) -> Duration {
        match self {
            Self::Long => WAITS_MAX,
            Self::Short => SWITCH_AFTER,
        }
    }
}

/// What happens while a model answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// More text.
    Text(String),
    /// The request is sent again: text that came so far is void.
    Retry {
        /// Which attempt begins: 2 for the first repetition.
        attempt: u32,
        /// How long is waited before it.
        after: Duration,
        /// The sort of failure.
        failure: AskFailure,
        /// The public sentence of what failed.
        reason: String,
    },
}

/// A model did not answer, after all retries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct AskError {
    /// The sort of failure.
    pub failure: AskFailure,
    /// The public sentence: no key, no internal cause.
    pub sentence: String,
    /// What to try.
    pub hint: Option<String>,
}

impl AskError {
    /// The whole answer did not come in time.
    #[must_use]
    pub fn too_slow(model: &ModelRef, limit: Duration) -> Self {
        let sentence = format!("model `{model}` did not finish its answer within {limit:?}");
        Self { failure: AskFailure::TimedOut, sentence, hint: None }
    }
}

/// One attempt failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: AskError,
    /// Whether the same request may do better in a moment.
    pub(crate) again: bool,
    /// How long the provider wants to be left alone.
    pub(crate) after: Option<Duration>,
}

impl Failed {
    /// A failure that is repeated if its sort says so.
    pub(crate) fn new(failure: AskFailure, sentence: impl Into<String>) -> Self {
        let again = match failure {
            AskFailure::RateLimited
            | AskFailure::Unavailable
            | AskFailure::Truncated
            | AskFailure::Unreachable
            | AskFailure::Garbled => true,
            // A time-out has cost minutes already; the others would fail again.
            AskFailure::TimedOut
            | AskFailure::ContextOverflow
            | AskFailure::BadKey
            | AskFailure::Rejected => false,
        };
        Self { error: AskError { failure, sentence: sentence.into(), hint: None }, again, after: None }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.error.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_after(mut self, after: Option<Duration>) -> Self {
        self.after = after;
        self
    }

    pub(crate) fn for_good(mut self) -> Self {
        self.again = false;
        self
    }
}

/// The models Station can ask.
#[derive(Debug)]
pub struct Models {
    pub(crate) config: Config,
    pub(crate) script: Option<Script>,
    /// Whether every name that is written means the script, known or not, with key or without.
    pub(crate) is_replay: bool,
    cooling: Cooling,
    pub(crate) transport: Transport,
    pub(crate) seeing: Seeing,
}

impl Models {
    /// Models as configured. Opens no connection.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            script: None,
            is_replay: false,
            cooling: Cooling::default(),
            transport: Transport::default(),
            seeing: Seeing::default(),
        }
    }

    /// Models of which the configured one, and every bare name, is `script`. Nothing is retried.
    #[must_use]
    pub fn scripted(script: Script) -> Self {
        let config = Config {
            provider: Some(crate::choose::SCRIPT.to_owned()),
            model: Some(crate::choose::SCRIPT.to_owned()),
            retries: 0,
            ..Config::default()
        };
        Self { script: Some(script), ..Self::new(config) }
    }

    /// The same models, of which every name that an agent writes is the script: a replay asks nobody.
    #[must_use]
    pub fn for_every_name(self) -> Self {
        Self { is_replay: true, ..self }
    }

    /// The same models, with other windows: names, also as globs → tokens that they read at most.
    #[must_use]
    pub fn with_windows(mut self, windows: impl IntoIterator<Item = (String, u64)>) -> Self {
        self.config.windows = windows.into_iter().collect();
        self
    }

    /// How long `model` should still be left alone because it failed a moment ago.
    #[must_use]
    pub fn cooling(&self, model: &ModelRef) -> Option<Duration> {
        self.cooling.left(model)
    }

    /// Asks `model`; tells `on_delta` what happens meanwhile. Dropping the future ends the request.
    ///
    /// # Errors
    /// What failed, after all retries.
    pub async fn ask(
        &self,
        model: &ModelRef,
        request: &Request<'_>,
        on_delta: &(dyn Fn(Delta) + Send + Sync),
    ) -> Result<Answer, AskError> {
        self.ask_within(model, request, Patience::Long, &|| Duration::ZERO, on_delta).await
    }

    /// As [`Models::ask`], where each repetition takes its turn: `turn` says how long to wait for it.
    ///
    /// # Errors
    /// As [`Models::ask`].
    pub async fn ask_in_turn(
        &self,
        model: &ModelRef,
        request: &Request<'_>,
        turn: &(dyn Fn() -> Duration + Send + Sync),
        on_delta: &(dyn Fn(Delta) + Send + Sync),
    ) -> Result<Answer, AskError> {
        self.ask_within(model, request, Patience::Long, turn, on_delta).await
    }

    /// As [`Models::ask_in_turn`], waiting no longer between repetitions than `patience` has it.
    ///
    /// # Errors
    /// As [`Models::ask`].
    pub async fn ask_within(
        &self,
        model: &ModelRef,
        request: &Request<'_>,
        patience: Patience,
        turn: &(dyn Fn() -> Duration + Send + Sync),
        on_delta: &(dyn Fn(Delta) + Send + Sync),
    ) -> Result<Answer, AskError> {
        let span = tracing::info_span!(
            "model.request",
            provider = model.provider,
            model = model.model,
            outcome = Empty,
            error = Empty,
            retries = Empty,
            span_id = request.trace.map(|trace| trace.span_id()),
            input_tokens = Empty,
            output_tokens = Empty,
        );
        let is_told = tracing::enabled!(target: CONTENT, Level::TRACE);
        if is_told {
            let (instructions, input) = content::conversation(request.messages);
            tracing::trace!(target: CONTENT, parent: &span, instructions, input);
        }
        let asked =
            self.ask_repeatedly(model, request, patience, turn, on_delta).instrument(span.clone()).await;
        match &asked {
            Ok(answer) => {
                span.record("outcome", "answered");
                span.record("input_tokens", answer.usage.input).record("output_tokens", answer.usage.output);
                if is_told {
                    tracing::trace!(target: CONTENT, parent: &span, output = content::answer(answer));
                }
            }
            Err(error) => {
                span.record("outcome", "failed").record("error", error.failure.as_str());
            }
        }
        asked
    }

    async fn ask_repeatedly(
        &self,
        model: &ModelRef,
        request: &Request<'_>,
        patience: Patience,
        turn: &(dyn Fn() -> Duration + Send + Sync),
        on_delta: &(dyn Fn(Delta) + Send + Sync),
    ) -> Result<Answer, AskError> {
        let mut route = self.route(model).map_err(|error| AskError {
            failure: AskFailure::Rejected,
            sentence: error.sentence().to_owned(),
            hint: error.hints().first().cloned(),
        })?;
        if let Route::Remote(endpoint) = &mut route
            && endpoint.dialect == Dialect::Ollama
            && request.has_images()
        {
            endpoint.sees_images = self.sees_images(endpoint).await;
        }
        let mut waits = ExponentialBuilder::new()
            .with_min_delay(self.config.backoff)
            .with_max_delay(WAIT_MAX)
            .with_max_times(usize::try_from(self.config.retries).unwrap_or(usize::MAX))
            .with_jitter()
            .build();
        let (mut attempt, mut left) = (1, patience.wait_max());
        loop {
            let failed = match self.attempt(&route, model, request, on_delta).await {
                Ok(answer) => {
                    self.cooling.answered(model);
                    return Ok(answer);
                }
                Err(failed) => failed,
            };
            tracing::debug!(%model, attempt, failure = ?failed.error.failure, "a model did not answer");
            let again = failed.again && request.repeat.allows(failed.error.failure);
            let wait = if again { waits.next() } else { None };
            let wait =
                wait.map(|wait| failed.after.unwrap_or(wait)).filter(|wait| *wait <= WAIT_MAX.min(left));
            let wait = wait.map(|wait| wait.max(turn()));
            let Some(after) = wait else {
                self.cooling.failed(model, failed.error.failure, failed.after);
                return Err(failed.error);
            };
            tracing::Span::current().record("retries", attempt);
            attempt += 1;
            left = left.saturating_sub(after);
            let AskError { failure, sentence: reason, .. } = failed.error;
            on_delta(Delta::Retry { attempt, after, failure, reason });
            tokio::time::sleep(after).await;
        }
    }

    async fn attempt(
        &self,
        route: &Route<'_>,
        model: &ModelRef,
        request: &Request<'_>,
        on_delta: &(dyn Fn(Delta) + Send + Sync),
    ) -> Result<Answer, Failed> {
        match route {
            Route::Remote(endpoint) => {
                let limit = self.config.request_timeout;
                let asked = send::ask(endpoint, request, self.config.idle_timeout, &self.transport, on_delta);
                tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| {
                    let AskError { failure, sentence, .. } = AskError::too_slow(model, limit);
                    Err(Failed::new(failure, sentence))
                })
            }
            Route::Offline => {
                let answer = offline::answer(request);
                if !answer.text.is_empty() {
                    on_delta(Delta::Text(answer.text.clone()));
                }
                Ok(answer)
            }
            Route::Script(script) => script.ask(model, request, on_delta).await,
        }
    }
}
