//! Logins at remote servers: tokens and clients, sealed; and who may renew one just now.
//!
//! A refresh token can often be used once only, so two processes must not use one twice: whoever renews takes a claim
//! first, for a while, and writes what it was given only over the revision that it renewed.

use crate::audit;
use crate::db::{Conn, Row, unreadable};
use crate::seal::Place;
use crate::sealer::Sealer;
use crate::turns::Reach;
use crate::{Context, ROWS_MAX, Store};
use serde_json::{Value as Json, json};
use station_core::oauth::{Challenge, Client, ClientAuth, Login};
use station_core::{Actor, Micros, Result, Secret, ServerId};
use std::collections::BTreeMap;

/// How long whoever renews a login has it to itself: longer than an issuer may take to answer.
const CLAIM_MICROS: i64 = 60_000_000;

/// Forgets what a server asked for.
const FORGET_CHALLENGE: &str = "delete from mcp_challenges where server_id = $1";

/// A login as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLogin {
    /// The login.
    pub login: Login,
    /// What it was read as: a renewal is of this.
    pub revision: i64,
}

/// What can be told of a login without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRow {
    /// Whom its token is from.
    pub issuer: String,
    /// What it is good for.
    pub scope: Option<String>,
    /// When the token ends.
    pub expires_at: Option<Micros>,
    /// Whether it is renewed by itself.
    pub renews: bool,
}

impl Store {
    /// The login at a server, where there is one.
    ///
    /// # Errors
    /// `Conflict` where it does not open under this key.
    pub async fn login(&self, server: ServerId) -> Result<Option<KeptLogin>> {
        read(&mut *self.read().await?, &self.context().sealer, server).await
    }

    /// Logins by server, of one or of all.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn logins(&self, server: Option<ServerId>) -> Result<BTreeMap<ServerId, LoginRow>> {
        const SQL: &str = "select server_id, issuer, scope, expires_at, renews from mcp_logins
            where cast($1 as bigint) is null or server_id = $1 order by server_id limit $2";
        let values = vec![server.map(|server| server.0).into(), ROWS_MAX.into()];
        let rows = self.read().await?.rows(SQL, values).await?;
        let read = |mut row: Row| -> Result<(ServerId, LoginRow)> {
            let server = ServerId(row.int()?);
            let (issuer, scope, expires_at) = (row.text()?, row.opt_text()?, row.opt_int()?.map(Micros));
            Ok((server, LoginRow { issuer, scope, expires_at, renews: row.int()? == 1 }))
        };
        rows.into_iter().map(read).collect()
    }

    /// Keeps a login that a person made; what the server had asked for is answered.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn put_login(
        &self,
        server: ServerId,
        login: &Login,
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<()> {
        let input = (self.shared_context(), server, login.clone(), actor.into(), now);
        self.write_reaching(Reach::Audit(None), input, |conn, (context, server, login, actor, now)| {
            Box::pin(async move {
                insert(conn, context, *server, login, *now).await?;
                conn.exec(FORGET_CHALLENGE, vec![server.0.into()]).await?;
                let detail = json!({
                    "server": name_of(conn, *server).await?, "issuer": login.issuer, "scope": login.scope,
                });
                let by = (&*actor, *now);
                audit::note(conn, &context.sealer, by, "login_server", format!("server {server}"), detail)
                    .await
            })
        })
        .await
    }

    /// Takes the turn to renew a login, if nobody has it and it is still as it was read.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn claim_login(&self, server: ServerId, revision: i64) -> Result<bool> {
        const SQL: &str = "update mcp_logins
            set claimed_until = coalesce(cast($3 as bigint), (select now from lease_clock)) + cast($5 as bigint),
                claimed_boot = $4
            where server_id = $1 and revision = $2
                and (claimed_until is null or claimed_boot <> $4
                    or claimed_until <= coalesce(cast($3 as bigint), (select now from lease_clock)))";
        self.write((self.shared_context(), server, revision), |conn, (context, server, revision)| {
            Box::pin(async move {
                let values = vec![
                    server.0.into(),
                    (*revision).into(),
                    context.leases.now()?,
                    context.leases.boot(),
                    CLAIM_MICROS.into(),
                ];
                Ok(conn.exec(SQL, values).await? == 1)
            })
        })
        .await
    }

    /// Keeps what a login was renewed to, and ends the claim; nothing is written where it has changed meanwhile.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn renew_login(&self, server: ServerId, renewed: &KeptLogin, now: Micros) -> Result<()> {
        const SQL: &str = "update mcp_logins set login = $3, scope = $4, expires_at = $5, renews = $6,
                revision = revision + 1, claimed_until = null, updated_at = $7
            where server_id = $1 and revision = $2";
        let input = (self.shared_context(), server, renewed.clone(), now);
        self.write(input, |conn, (context, server, renewed, now)| {
            Box::pin(async move {
                let login = &renewed.login;
                let values = vec![
                    server.0.into(),
                    renewed.revision.into(),
                    sealed(conn, context, *server, login).await?.into(),
                    login.scope.as_deref().into(),
                    login.expires_at.map(|at| at.0).into(),
                    i64::from(login.refresh.is_some()).into(),
                    now.0.into(),
                ];
                conn.exec(SQL, values).await.map(drop)
            })
        })
        .await
    }

    /// Ends a claim without a renewal.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn unclaim_login(&self, server: ServerId, revision: i64) -> Result<()> {
        const SQL: &str = "update mcp_logins set claimed_until = null where server_id = $1 and revision = $2";
        self.write((server, revision), |conn, (server, revision)| {
            Box::pin(async move { conn.exec(SQL, vec![server.0.into(), (*revision).into()]).await.map(drop) })
        })
        .await
    }

    /// Forgets the login at a server, on behalf of a person; whether there was one. Its clients stay, for the next.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn remove_login(&self, server: ServerId, actor: impl Into<Actor>, now: Micros) -> Result<bool> {
        const SQL: &str = "delete from mcp_logins where server_id = $1 returning issuer";
        let input = (self.shared_context(), server, actor.into(), now);
        self.write_reaching(Reach::Audit(None), input, |conn, (context, server, actor, now)| {
            Box::pin(async move {
                let Some(mut row) = conn.row(SQL, vec![server.0.into()]).await? else { return Ok(false) };
                conn.exec(FORGET_CHALLENGE, vec![server.0.into()]).await?;
                let detail = json!({ "server": name_of(conn, *server).await?, "issuer": row.text()? });
                let by = (&*actor, *now);
                audit::note(conn, &context.sealer, by, "logout_server", format!("server {server}"), detail)
                    .await?;
                Ok(true)
            })
        })
        .await
    }

    /// The client that was registered with `issuer` for a server.
    ///
    /// # Errors
    /// `Conflict` where it does not open under this key.
    pub async fn oauth_client(&self, server: ServerId, issuer: &str) -> Result<Option<Client>> {
        const SQL: &str = "select client from mcp_clients where server_id = $1 and issuer = $2";
        let row = self.read().await?.row(SQL, vec![server.0.into(), issuer.into()]).await?;
        let Some(mut row) = row else { return Ok(None) };
        let id = server.to_string();
        let text = self.context().sealer.open(place_of_client(&[&id, issuer]), &row.bytes()?)?;
        client_of(&parsed(&text)?).map(Some)
    }

    /// Keeps a client that was registered with `issuer` for a server.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn put_oauth_client(
        &self,
        server: ServerId,
        issuer: &str,
        client: &Client,
        now: Micros,
    ) -> Result<()> {
        const SQL: &str =
            "insert into mcp_clients (server_id, issuer, client, updated_at) values ($1, $2, $3, $4)
            on conflict (server_id, issuer) do update
                set client = excluded.client, updated_at = excluded.updated_at";
        let input = (self.shared_context(), server, issuer.to_owned(), client.clone(), now);
        self.write(input, |conn, (context, server, issuer, client, now)| {
            Box::pin(async move {
                let text = Secret::new(json_of_client(client).to_string());
                let id = server.to_string();
                let sealed = context.sealer.seal(conn, place_of_client(&[&id, issuer]), &text).await?;
                let values = vec![server.0.into(), issuer.as_str().into(), sealed.into(), now.0.into()];
                conn.exec(SQL, values).await.map(drop)
            })
        })
        .await
    }

    /// What a server asked for when it wanted a login last, and was not answered yet.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn challenge(&self, server: ServerId) -> Result<Option<Challenge>> {
        const SQL: &str =
            "select resource_metadata, scope, needs_more from mcp_challenges where server_id = $1";
        let row = self.read().await?.row(SQL, vec![server.0.into()]).await?;
        row.map(|mut row| {
            let (resource_metadata, scope) = (row.opt_text()?, row.opt_text()?);
            Ok(Challenge { resource_metadata, scope, needs_more: row.int()? == 1 })
        })
        .transpose()
    }

    /// Keeps what a server asks for.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn put_challenge(&self, server: ServerId, challenge: &Challenge, now: Micros) -> Result<()> {
        const SQL: &str = "insert into mcp_challenges
                (server_id, resource_metadata, scope, needs_more, noted_at) values ($1, $2, $3, $4, $5)
            on conflict (server_id) do update set resource_metadata = excluded.resource_metadata,
                scope = excluded.scope, needs_more = excluded.needs_more, noted_at = excluded.noted_at";
        self.write((server, challenge.clone(), now), |conn, (server, challenge, now)| {
            Box::pin(async move {
                let values = vec![
                    server.0.into(),
                    challenge.resource_metadata.as_deref().into(),
                    challenge.scope.as_deref().into(),
                    i64::from(challenge.needs_more).into(),
                    now.0.into(),
                ];
                conn.exec(SQL, values).await.map(drop)
            })
        })
        .await
    }
}

/// The server's name, as the audit tells it.
async fn name_of(conn: &mut Conn, server: ServerId) -> Result<Option<String>> {
    const SQL: &str = "select name from mcp_servers where id = $1";
    conn.row(SQL, vec![server.0.into()]).await?.map(|mut row| row.text()).transpose()
}

async fn insert(
    conn: &mut Conn,
    context: &Context,
    server: ServerId,
    login: &Login,
    now: Micros,
) -> Result<()> {
    const SQL: &str = "insert into mcp_logins
            (server_id, issuer, scope, expires_at, renews, login, revision, updated_at)
        values ($1, $2, $3, $4, $5, $6, 1, $7)
        on conflict (server_id) do update set issuer = excluded.issuer, scope = excluded.scope,
            expires_at = excluded.expires_at, renews = excluded.renews, login = excluded.login,
            revision = mcp_logins.revision + 1, claimed_until = null, updated_at = excluded.updated_at";
    let values = vec![
        server.0.into(),
        login.issuer.as_str().into(),
        login.scope.as_deref().into(),
        login.expires_at.map(|at| at.0).into(),
        i64::from(login.refresh.is_some()).into(),
        sealed(conn, context, server, login).await?.into(),
        now.0.into(),
    ];
    conn.exec(SQL, values).await.map(drop)
}

async fn read(conn: &mut Conn, sealer: &Sealer, server: ServerId) -> Result<Option<KeptLogin>> {
    const SQL: &str =
        "select issuer, scope, expires_at, login, revision from mcp_logins where server_id = $1";
    let Some(mut row) = conn.row(SQL, vec![server.0.into()]).await? else { return Ok(None) };
    let (issuer, scope, expires_at) = (row.text()?, row.opt_text()?, row.opt_int()?.map(Micros));
    let text = sealer.open(place_of_login(&[&server.to_string()]), &row.bytes()?)?;
    let kept = parsed(&text)?;
    let field = |name: &str| {
        kept[name].as_str().map(str::to_owned).ok_or_else(|| unreadable("a login without a part of it"))
    };
    let login = Login {
        url: field("url")?,
        issuer,
        resource: field("resource")?,
        token_endpoint: field("token_endpoint")?,
        revocation_endpoint: kept["revocation_endpoint"].as_str().map(str::to_owned),
        client: client_of(&kept["client"])?,
        access: Secret::new(field("access")?),
        refresh: kept["refresh"].as_str().map(Secret::new),
        scope,
        expires_at,
    };
    Ok(Some(KeptLogin { login, revision: row.int()? }))
}

async fn sealed(conn: &mut Conn, context: &Context, server: ServerId, login: &Login) -> Result<Vec<u8>> {
    let text = json!({
        "url": login.url,
        "resource": login.resource,
        "token_endpoint": login.token_endpoint,
        "revocation_endpoint": login.revocation_endpoint,
        "client": json_of_client(&login.client),
        "access": login.access.expose(),
        "refresh": login.refresh.as_ref().map(Secret::expose),
    });
    let text = Secret::new(text.to_string());
    context.sealer.seal(conn, place_of_login(&[&server.to_string()]), &text).await
}

fn json_of_client(client: &Client) -> Json {
    json!({
        "id": client.id,
        "secret": client.secret.as_ref().map(Secret::expose),
        "auth": client.auth.as_str(),
        "redirect": client.redirect,
        "scope": client.scope,
    })
}

fn client_of(kept: &Json) -> Result<Client> {
    let id = kept["id"].as_str().ok_or_else(|| unreadable("a client without an id"))?;
    let auth = kept["auth"].as_str().and_then(ClientAuth::from_word);
    Ok(Client {
        id: id.to_owned(),
        secret: kept["secret"].as_str().map(Secret::new),
        auth: auth.ok_or_else(|| unreadable("a client that proves itself in an unknown way"))?,
        redirect: kept["redirect"].as_str().map(str::to_owned),
        // What was kept before it was asked says nothing.
        scope: kept["scope"].as_str().map(str::to_owned),
    })
}

fn parsed(text: &Secret) -> Result<Json> {
    serde_json::from_str(text.expose()).map_err(|_| unreadable("a login that is not JSON"))
}

/// Where a login is sealed to.
pub(crate) fn place_of_login<'a>(row: &'a [&'a str]) -> Place<'a> {
    Place { table: "mcp_logins", column: "login", row }
}

/// Where a client is sealed to.
pub(crate) fn place_of_client<'a>(row: &'a [&'a str]) -> Place<'a> {
    Place { table: "mcp_clients", column: "client", row }
}
