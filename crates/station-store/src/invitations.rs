//! Links by which users choose their password: kept by the hash of what they say, used once.

use crate::Store;
use crate::credentials::insert_session;
use crate::db::Conn;
use crate::turns::Reach;
use crate::users::{end_sessions, note};
use serde_json::json;
use station_core::{Actor, Micros, Result, Secret, UserId};

/// What comes of a link that is used.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// SHA-256 of what the link says, as hex.
    pub invitation: String,
    /// Hash of the password that was chosen (argon2, PHC string).
    pub password: Secret,
    /// SHA-256 of what the cookie of the new session says, as hex.
    pub session: String,
    /// When that session ends.
    pub until: Micros,
    /// The address of whoever used it.
    pub from: Option<String>,
}

impl Store {
    /// Keeps a link for a user, in place of the one before.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn create_invitation(
        &self,
        user: UserId,
        hash: String,
        expires_at: Micros,
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<()> {
        const SQL: &str =
            "insert into invitations (hash, user_id, created_at, expires_at) values ($1, $2, $3, $4)";
        let input = (self.shared_context(), user, (hash, expires_at), actor.into(), now);
        self.write_reaching(
            Reach::Audit(None),
            input,
            |conn, (context, user, (hash, expires_at), actor, now)| {
                Box::pin(async move {
                    end_invitation(conn, *user).await?;
                    let values = vec![hash.as_str().into(), user.0.into(), now.0.into(), expires_at.0.into()];
                    conn.exec(SQL, values).await?;
                    let detail = json!({ "expires_at": expires_at.0 });
                    note(conn, &context.sealer, "invite_user", *user, detail, (actor, *now)).await
                })
            },
        )
        .await
    }

    /// Whom a link is for, where it was not used and is not over.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn invitation(&self, hash: &str, now: Micros) -> Result<Option<UserId>> {
        const SQL: &str = "select i.user_id from invitations i join users u on u.id = i.user_id
            where i.hash = $1 and i.expires_at > $2 and u.removed_at is null";
        let row = self.read().await?.row(SQL, vec![hash.into(), now.0.into()]).await?;
        row.map(|mut row| row.int().map(UserId)).transpose()
    }

    /// Uses a link up: sets its user's password, ends the sessions that there were, and begins one. Whose it was; `None` where
    /// somebody was faster, or it is over.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn accept_invitation(&self, accepted: Acceptance, now: Micros) -> Result<Option<UserId>> {
        let input = (self.shared_context(), accepted, now);
        self.write_reaching(Reach::Audit(None), input, |conn, (context, accepted, now)| {
            Box::pin(async move {
                const USE: &str =
                    "delete from invitations where hash = $1 and expires_at > $2 returning user_id";
                const SET: &str = "update users set password_hash = $2 where id = $1 and removed_at is null
                    returning name";
                let used = conn.row(USE, vec![accepted.invitation.as_str().into(), now.0.into()]).await?;
                let Some(user) = used.map(|mut row| row.int().map(UserId)).transpose()? else {
                    return Ok(None);
                };
                let values = vec![user.0.into(), accepted.password.expose().into()];
                let Some(mut row) = conn.row(SET, values).await? else { return Ok(None) };
                let actor = Actor { name: row.text()?, from: accepted.from.clone() };
                end_sessions(conn, user).await?;
                insert_session(conn, user, &accepted.session, accepted.until, *now).await?;
                let sealer = &context.sealer;
                note(conn, sealer, "accept_invitation", user, json!({}), (&actor, *now)).await?;
                Ok(Some(user))
            })
        })
        .await
    }
}

/// Makes the link of a user good for nothing, where there is one.
pub(crate) async fn end_invitation(conn: &mut Conn, user: UserId) -> Result<()> {
    conn.exec("delete from invitations where user_id = $1", vec![user.0.into()]).await.map(drop)
}
