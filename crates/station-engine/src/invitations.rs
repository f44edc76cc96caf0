//! Invitations: links by which users choose a password themselves, so that whoever made them never knows it.
//!
//! A link is good once, for a while, and until the next one is made for the same user. What it says has 256 bits and is kept as a hash;
//! it stands behind the `#` of an address, which no browser sends to anybody.

use crate::sign_ins::SESSION_VALID_FOR;
use crate::users::{hash_of, whole};
use crate::{Key, Station, UserRef};
use station_core::{Action, Caller, Error, Kind, Micros, Result, Secret};
use station_store::{Acceptance, User};
use std::time::Duration;

/// How long an invitation is good where nobody says.
pub const INVITATION_VALID_FOR: Duration = Duration::from_secs(24 * 3600);

/// An invitation that was made.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Whom it is for.
    pub user: User,
    /// What its link says, told this once.
    pub secret: Secret,
    /// When it ends.
    pub expires_at: Micros,
}

impl Station {
    /// Invites a user to choose a password: the first one, or another where it was forgotten. What there was before stays good until the
    /// invitation is accepted.
    ///
    /// # Errors
    /// `Forbidden` for anybody but an administrator; `NotFound`.
    pub async fn invite_user(&self, by: &Caller, user: &UserRef, valid_for: Duration) -> Result<Invitation> {
        by.may(Action::ManageUsers)?;
        whole(by)?;
        let user = self.show_user(by, user).await?;
        let secret = Key::generate()?.to_hex();
        let now = self.now();
        let expires_at = now.plus_ms(crate::lease::millis(valid_for));
        let hash = hash_of(secret.expose());
        self.store().create_invitation(user.id, hash, expires_at, by.actor(), now).await?;
        Ok(Invitation { user, secret, expires_at })
    }

    /// Accepts an invitation with a password: who signed in by it, and what the cookie is to say. `by` is nobody yet, at an address.
    ///
    /// # Errors
    /// `Unauthenticated` where it was used, replaced, or is over; `Invalid` where the password is no good: then it is still good.
    pub async fn accept_invitation(
        &self,
        by: &Caller,
        secret: &Secret,
        password: &Secret,
    ) -> Result<(Caller, Secret)> {
        let over = || {
            Error::new(Kind::Unauthenticated, "the invitation was used, replaced by another, or is over")
                .with_hint("ask an administrator for another: `stn user invite <name>`")
        };
        let invitation = hash_of(secret.expose());
        // Before anything is hashed for a stranger.
        self.store().invitation(&invitation, self.now()).await?.ok_or_else(over)?;
        let password = self.passwords().hash(password).await?;
        let cookie = Key::generate()?.to_hex();
        let now = self.now();
        let until = now.plus_ms(crate::lease::millis(SESSION_VALID_FOR));
        let (session, from) = (hash_of(cookie.expose()), by.actor().from);
        let accepted = Acceptance { invitation, password, session, until, from };
        let user = self.store().accept_invitation(accepted, now).await?.ok_or_else(over)?;
        let caller = self.caller_of(user).await?.ok_or_else(over)?;
        Ok((caller.at(by.from.clone()), cookie))
    }
}
