//! Errors, sorted by who must act, once for all doors.
//!
//! An error is a public sentence (what is wrong, where, what to try) and, where something below failed, a private
//! cause for the log. **Invariant:** the cause is never part of `Display`, so that no door can leak it.

use crate::Scope;
use crate::file::Position;
use std::fmt;
use std::path::{Path, PathBuf};

/// Who must act: this decides HTTP status, exit code and the answer of a management tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The user's input is wrong.
    Invalid,
    /// The thing named does not exist, or not for this caller.
    NotFound,
    /// The thing is in a state that forbids this.
    Conflict,
    /// No or wrong credentials.
    Unauthenticated,
    /// Known, and not allowed.
    Forbidden,
    /// Full for now: come back later.
    Busy,
    /// It took longer than was allowed.
    Timeout,
    /// A model or a tool server failed: the operator must act.
    Upstream,
    /// We failed.
    Internal,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Invalid,
        Self::NotFound,
        Self::Conflict,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::Busy,
        Self::Timeout,
        Self::Upstream,
        Self::Internal,
    ];

    /// Reads that word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The stable word for this kind in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::Upstream => "upstream",
            Self::Internal => "internal",
        }
    }
}

/// What every verb of Station returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A failure with a sentence that a user can act on.
pub struct Error {
    kind: Kind,
    sentence: String,
    hints: Vec<String>,
    retry_after_s: Option<u32>,
    lacks: Option<Scope>,
    place: Option<Box<(PathBuf, Position)>>,
    cause: Option<Cause>,
}

impl Error {
    /// An error of `kind`; `sentence` is lower case, without a full stop, names in backticks.
    pub fn new(kind: Kind, sentence: impl Into<String>) -> Self {
        Self {
            kind,
            sentence: sentence.into(),
            hints: Vec::new(),
            retry_after_s: None,
            lacks: None,
            place: None,
            cause: None,
        }
    }

    /// The user's input is wrong.
    pub fn invalid(sentence: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, sentence)
    }

    /// The thing named does not exist.
    pub fn not_found(sentence: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, sentence)
    }

    /// The thing is in a state that forbids this.
    pub fn conflict(sentence: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, sentence)
    }

    /// A model or a tool server failed.
    pub fn upstream(sentence: impl Into<String>) -> Self {
        Self::new(Kind::Upstream, sentence)
    }

    /// We failed while `doing` (a participle: "reading the key file").
    pub fn internal(doing: impl fmt::Display, cause: impl Into<Cause>) -> Self {
        Self::new(Kind::Internal, format!("something went wrong while {doing}")).with_cause(cause)
    }

    /// Adds a line that says what to try. Several are kept in order.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Says when it may be tried again: HTTP's `Retry-After`.
    #[must_use]
    pub fn with_retry_after_s(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Says which scope another access token would need: HTTP's `insufficient_scope`.
    #[must_use]
    pub fn with_lacking(mut self, scope: Scope) -> Self {
        self.lacks = Some(scope);
        self
    }

    /// The scope that another access token would need, where one would help.
    #[must_use]
    pub fn lacks(&self) -> Option<Scope> {
        self.lacks
    }

    /// Says where in a file what is wrong stands, so that a door can show the line.
    #[must_use]
    pub fn with_place(mut self, file: PathBuf, at: Position) -> Self {
        self.place = Some(Box::new((file, at)));
        self
    }

    /// Where in a file what is wrong stands, where that is known.
    #[must_use]
    pub fn place(&self) -> Option<(&Path, Position)> {
        self.place.as_deref().map(|(file, at)| (file.as_path(), *at))
    }

    /// Keeps the private cause for the log.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Who must act.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The public sentence.
    #[must_use]
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// What to try, in order.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// After how many seconds it may be tried again, where that is known.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u32> {
        self.retry_after_s
    }

    /// The chain of private causes, outermost first, for the log only.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        let mut chain = Vec::new();
        let mut next: Option<&(dyn std::error::Error + 'static)> = match &self.cause {
            Some(cause) => Some(cause.as_ref()),
            None => None,
        };
        while let Some(cause) = next {
            chain.push(cause.to_string());
            next = cause.source();
        }
        chain
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("sentence", &self.sentence)
            .field("hints", &self.hints)
            .field("causes", &self.causes())
            .finish()
    }
}

impl std::error::Error for Error {}
