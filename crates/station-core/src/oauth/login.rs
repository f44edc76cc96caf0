//! A login that was made: what is kept of it, and whether it is still good.

use super::{Client, TokenAnswer};
use crate::{Micros, Secret};

/// A token is renewed so long before its end: a call that is sent with it must still arrive.
const MARGIN_MS: u64 = 60_000;

/// A login at one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The address that it is for, as it was when it was made: the token is shown nowhere else.
    pub url: String,
    /// Whom its token is from.
    pub issuer: String,
    /// What the token is for.
    pub resource: String,
    /// Where it is renewed.
    pub token_endpoint: String,
    /// Where it is given back.
    pub revocation_endpoint: Option<String>,
    /// As which client it was made.
    pub client: Client,
    /// What is shown to the server.
    pub access: Secret,
    /// What a new one is asked for with.
    pub refresh: Option<Secret>,
    /// What it is good for.
    pub scope: Option<String>,
    /// When the token ends; `None` where nobody said.
    pub expires_at: Option<Micros>,
}

/// What can be done with a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its token is shown.
    Good,
    /// Its token is renewed first.
    Due,
    /// It is over: a person must log in.
    Over,
}

impl Standing {
    /// What can be done at `now` with a login whose token ends at `expires_at`, and that can be renewed or not.
    #[must_use]
    pub fn of(renews: bool, expires_at: Option<Micros>, now: Micros) -> Self {
        let ends = |margin_ms: u64| expires_at.is_some_and(|at| at <= now.plus_ms(margin_ms));
        match renews {
            true if ends(MARGIN_MS) => Self::Due,
            false if ends(0) => Self::Over,
            _ => Self::Good,
        }
    }
}

impl Login {
    /// What can be done with it at `now`.
    #[must_use]
    pub fn standing(&self, now: Micros) -> Standing {
        Standing::of(self.refresh.is_some(), self.expires_at, now)
    }

    /// With what was given out for it at `now`. A renewal that brings no new refresh token leaves the old one.
    #[must_use]
    pub fn renewed(self, answer: TokenAnswer, now: Micros) -> Self {
        Self {
            expires_at: expiry(answer.expires_in_s, now),
            access: answer.access,
            refresh: answer.refresh.or(self.refresh),
            scope: answer.scope.or(self.scope),
            ..self
        }
    }
}

/// The end of a token that was given out at `now`.
pub(super) fn expiry(seconds: Option<u64>, now: Micros) -> Option<Micros> {
    Some(now.plus_ms(seconds?.saturating_mul(1_000)))
}
