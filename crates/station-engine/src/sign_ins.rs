//! Who somebody is: by an API key, by an access token, by name and password, by the cookie of a browser that signed in, by the run that acts for them.
//!
//! Each answer is a [`Caller`] with what its user may at this moment; nothing is kept between two requests, so what was revoked is
//! refused at the next one.

use crate::users::{NAME_CHARS_MAX, hash_of, is_over, secret_of};
use crate::{Key, Station};
use station_core::oauth::AccessToken;
use station_core::{
    Action, Caller, EnvironmentId, EnvironmentName, Error, Kind, KnownBy, Micros, Result, Role, RunToken,
    Scope, Secret, UserId,
};
use station_store::{ApiKey, Deed};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a browser stays signed in.
pub const SESSION_VALID_FOR: Duration = Duration::from_secs(12 * 3600);

impl Station {
    /// Who shows this API key, at this address.
    ///
    /// # Errors
    /// `Unauthenticated` where it is none, was revoked, or is over.
    pub async fn know_key(&self, key: &Secret, from: &str) -> Result<Caller> {
        let wrong = || Error::new(Kind::Unauthenticated, "the API key is wrong, was revoked, or is over");
        let secret = secret_of(key).ok_or_else(wrong)?;
        let found = self.store().api_key(&hash_of(secret)).await?.filter(|key| !is_over(key, self.now()));
        let found = found.ok_or_else(wrong)?;
        let caller = self.caller_of(found.user).await?.ok_or_else(wrong)?;
        let caller = by_key(caller.at(from), &found);
        self.store().use_api_key(&found, caller.actor(), from, self.now()).await?;
        Ok(caller)
    }

    /// Who shows this access token, which its issuer has signed and which is for us: the user that it names, made here before.
    ///
    /// # Errors
    /// `Unauthenticated` where there is no such user, or not any more; `Forbidden` where the token is good for nothing here.
    pub async fn know_token(&self, token: &AccessToken) -> Result<Caller> {
        let caller = match self.store().user_named(&token.user).await? {
            Some((user, _)) => self.caller_of(user).await?,
            None => None,
        };
        let caller = caller.ok_or_else(|| {
            Error::new(Kind::Unauthenticated, "the access token is good, and names no user of this Station")
                .with_hint("an administrator makes one by the name that the token has: `stn user create`")
        })?;
        let caller = by_token(caller, &token.scopes, Some(token.expires_at));
        // With none of our scopes it is for something else of the issuer's.
        caller.may(Action::ReadEnvironments).map(|()| caller)
    }

    /// Signs a browser in: who it is, and what its cookie is to say. `by` is nobody yet, at the address that is told in the audit.
    ///
    /// # Errors
    /// `Unauthenticated`, the same for a wrong password and an unknown user; `Busy` where too many were wrong.
    pub async fn create_session(
        &self,
        by: &Caller,
        name: &str,
        password: &Secret,
    ) -> Result<(Caller, Secret)> {
        // What can be nobody's name.
        let name = if name.chars().count() > NAME_CHARS_MAX || name.contains('\0') { "" } else { name };
        let (user, hash) = match self.store().user_named(name).await? {
            Some((user, hash)) => (Some(user), hash),
            None => (None, None),
        };
        let is_right = self
            .passwords()
            .is_right(&format!("{} {name}", by.from), password, hash, self.since_boot())
            .await?;
        let caller = match user.filter(|_| is_right) {
            Some(user) => self.caller_of(user).await?,
            None => None,
        };
        let now = self.now();
        let Some(caller) = caller else {
            // The name that was tried is no more than text of a stranger's; it may be a password typed in the wrong place.
            let subject = user.map_or_else(|| "nobody".to_owned(), |user| format!("user {user}"));
            // In groups: nobody who is unknown holds the audit's turn.
            let deed = Deed {
                at: now,
                actor: by.actor(),
                action: "refuse_session",
                subject,
                detail: "{}".to_owned(),
            };
            self.deeds().note(self.store(), deed).await?;
            return Err(Error::new(Kind::Unauthenticated, "the name or the password is wrong"));
        };
        let cookie = Key::generate()?.to_hex();
        let until = now.plus_ms(crate::lease::millis(SESSION_VALID_FOR));
        let caller = caller.at(by.from.clone());
        self.store()
            .create_session(caller.user, hash_of(cookie.expose()), until, caller.actor(), now)
            .await?;
        Ok((caller, cookie))
    }

    /// Whose browser shows this cookie.
    ///
    /// # Errors
    /// `Unauthenticated` where nobody is signed in by it.
    pub async fn know_session(&self, cookie: &Secret) -> Result<Caller> {
        let over = || Error::new(Kind::Unauthenticated, "nobody is signed in, or not any more");
        let user = self.store().session(&hash_of(cookie.expose()), self.now()).await?;
        self.caller_of(user.ok_or_else(over)?).await?.ok_or_else(over)
    }

    /// Signs a browser out.
    ///
    /// # Errors
    /// The store's.
    pub async fn delete_session(&self, cookie: &Secret) -> Result<()> {
        self.store().delete_session(&hash_of(cookie.expose())).await
    }

    /// Signs every browser of a user out; how many there were. An administrator anybody's, others their own.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`.
    pub async fn delete_sessions(&self, by: &Caller, user: &crate::UserRef) -> Result<u64> {
        let user = self.show_user(by, user).await?;
        self.store().delete_sessions(user.id, by.actor(), self.now()).await
    }

    /// The caller for whom a run acts, with what that user may now: `by`, where it is theirs.
    ///
    /// # Errors
    /// `Unauthenticated` where the token has expired, or its user was removed.
    pub async fn act_for(&self, by: &Caller, token: RunToken) -> Result<Caller> {
        token.check(self.now())?;
        if token.user == by.user {
            return Ok(by.clone().acting(token));
        }
        let caller = self.caller_of(token.user).await?.ok_or_else(|| {
            let sentence = format!("whoever started run {} may not use Station any more", token.run);
            Error::new(Kind::Unauthenticated, sentence)
        })?;
        Ok(caller.acting(token).asking_as(by))
    }

    /// A caller as it is now: its user, its key, or what the user may for whom a run acts, may have been changed since it was found.
    ///
    /// # Errors
    /// `Unauthenticated` where its user was removed, its key was revoked or is over, or its token's or the run's time is.
    pub async fn caller_now(&self, by: &Caller) -> Result<Caller> {
        if let Some(token) = &by.acting {
            return self.act_for(&Caller::local().asking_as(by), token.clone()).await;
        }
        if by.user == Caller::LOCAL_USER {
            return Ok(by.clone());
        }
        let over = || Error::new(Kind::Unauthenticated, "whoever asked is not known any more");
        let caller = self.caller_of(by.user).await?.ok_or_else(over)?.asking_as(by);
        match by.known_by {
            KnownBy::Itself => Ok(caller),
            KnownBy::Key(id) => {
                let key = self.store().api_key_of(id).await?.filter(|key| !is_over(key, self.now()));
                Ok(by_key(caller, &key.ok_or_else(over)?))
            }
            KnownBy::Token if by.until.is_some_and(|until| until <= self.now()) => Err(over()),
            KnownBy::Token => Ok(by_token(caller, &by.scopes, by.until)),
        }
    }

    /// A user as a caller, where it was not removed.
    pub(crate) async fn caller_of(&self, id: UserId) -> Result<Option<Caller>> {
        if id == Caller::LOCAL_USER {
            return Ok(Some(Caller::local()));
        }
        Ok(self.store().user(id).await?.map(|user| Caller {
            user: user.id,
            role: user.role,
            realm: user.realm(),
            name: user.name,
            scopes: Scope::all(),
            known_by: KnownBy::Itself,
            until: None,
            acting: None,
            trace: None,
            from: String::new(),
        }))
    }

    /// The role of a user in an environment; `None` where it may run nothing there.
    pub(crate) async fn role_in(&self, user: UserId, environment: EnvironmentId) -> Result<Option<Role>> {
        let caller = self.caller_of(user).await?.filter(|caller| caller.may(Action::RunAgents).is_ok());
        let Some(caller) = caller else { return Ok(None) };
        if caller.sees(environment) {
            return Ok(Some(caller.role));
        }
        // Station's own agents work for whoever asks them.
        let row = self.store().environment_by_id(environment).await?;
        let is_own = row.is_some_and(|row| row.name == EnvironmentName::built_in());
        Ok(is_own.then_some(caller.role))
    }
}

/// `caller`, known by an API key.
fn by_key(caller: Caller, key: &ApiKey) -> Caller {
    Caller { known_by: KnownBy::Key(key.id), until: key.expires_at, ..caller.within(&key.scopes) }
}

/// `caller`, known by an access token.
fn by_token(caller: Caller, scopes: &BTreeSet<Scope>, until: Option<Micros>) -> Caller {
    Caller { known_by: KnownBy::Token, until, ..caller.within(scopes) }
}
