//! The token that is shown to a remote server, and what the server said about it.
//!
//! Shared by a connection and whoever holds it: a token is renewed while the connection stays open, and a server asks for
//! a login in the middle of one. It is shown only where the entry's own headers say nothing of `Authorization`.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use station_core::oauth::Challenge;
use station_core::{Redaction, Secret};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

/// A handle; clones share the token.
#[derive(Clone, Default)]
pub struct Bearer {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    token: Option<Secret>,
    asked: Option<Challenge>,
}

impl Bearer {
    /// Shows `token` from now on; what was asked for before is answered by that.
    pub fn show(&self, token: Option<Secret>) {
        let mut state = self.state();
        state.token = token;
        state.asked = None;
    }

    /// What the server asked for since a token was shown to it last.
    #[must_use]
    pub fn asked(&self) -> Option<Challenge> {
        self.state().asked.clone()
    }

    /// Notes once more what the server asked for, where nothing was found to answer it with.
    pub fn ask(&self, challenge: Challenge) {
        self.state().asked = Some(challenge);
    }

    /// The token that is shown.
    #[must_use]
    pub fn token(&self) -> Option<Secret> {
        self.state().token.clone()
    }

    /// `redaction`, and the token as well.
    #[must_use]
    pub fn redaction(&self, redaction: &Redaction) -> Redaction {
        match &self.state().token {
            Some(token) => redaction.and(token),
            None => redaction.clone(),
        }
    }

    /// Adds the token to the headers of a request.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        if headers.contains_key(AUTHORIZATION) {
            return;
        }
        let token = self.state().token.clone();
        let value = token.and_then(|token| HeaderValue::try_from(format!("Bearer {}", token.expose())).ok());
        if let Some(mut value) = value {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
    }

    /// Heeds an answer to a request that was sent with `own` headers of the entry. Whether it asks for a login.
    pub(super) fn heed(&self, own: &HeaderMap, status: u16, answered: &HeaderMap) -> bool {
        if own.contains_key(AUTHORIZATION) {
            return false;
        }
        let told = answered.get_all(WWW_AUTHENTICATE).into_iter().filter_map(|value| value.to_str().ok());
        let challenge = Challenge::read(status, told);
        let is_asked = challenge.is_some();
        if is_asked {
            self.state().asked = challenge;
        }
        is_asked
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding the token")
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").field("has_token", &self.state().token.is_some()).finish_non_exhaustive()
    }
}
