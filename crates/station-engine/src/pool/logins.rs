//! Tokens for remote servers: read from the store, renewed where that is due, by one process at a time.
//!
//! A refresh token can often be used once only. So whoever renews claims the login in the store first; others wait for
//! what comes of it. A renewal that was begun is finished and kept also where nobody waits for it any more.
//! **Invariant:** a token is shown to the address that the login was made for, and to no other.

use super::Reach;
use crate::Clock;
use station_core::oauth::{Challenge, Login, Standing};
use station_core::{Definition, Result, Secret, Tool};
use station_mcp::oauth::{NotRenewed, Web, renew};
use station_store::{KeptLogin, Store};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// How often is looked whether another process has renewed a login: an issuer takes about that long.
const LOOK: Duration = Duration::from_millis(100);

/// Longest wait for another process: a claim ends by then, and whoever waits takes it.
const WAIT_MAX: Duration = Duration::from_secs(90);

/// Where logins are kept.
#[derive(Clone)]
pub(crate) struct Logins {
    store: Store,
    clock: Clock,
    /// Renewals that were begun.
    tasks: TaskTracker,
}

impl Logins {
    /// `tasks` are waited for before `store` is closed.
    pub(super) fn new(store: Store, clock: Clock, tasks: TaskTracker) -> Self {
        Self { store, clock, tasks }
    }

    /// Whether a login at this server would be of use: it is remote, and its entry does not say who asks.
    pub(crate) fn concern(definition: &Definition) -> bool {
        match definition {
            Definition::Stdio { .. } => false,
            Definition::Http { headers, .. } => {
                !headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"))
            }
        }
    }

    /// The token to show; `None` where nobody is logged in, or the login is over. One that the server `refused` is renewed,
    /// unless somebody else has done that meanwhile.
    ///
    /// # Errors
    /// Where it is due to be renewed and the issuer is away, as a sentence.
    pub(super) async fn token(
        &self,
        reach: &Reach,
        refused: Option<&Secret>,
    ) -> Result<Option<Secret>, String> {
        let Definition::Http { url, .. } = &reach.definition else { return Ok(None) };
        let Some(kept) = self.read(reach).await?.filter(|kept| kept.login.url == *url) else {
            return Ok(None);
        };
        let is_refused = refused == Some(&kept.login.access);
        match (kept.login.standing(self.clock.now()), is_refused) {
            (Standing::Good, false) => Ok(Some(kept.login.access)),
            (Standing::Good | Standing::Due, _) if kept.login.refresh.is_some() => {
                self.renewed(reach, kept).await
            }
            _ => Ok(None),
        }
    }

    /// The token after a renewal, by us or by whoever has the turn.
    async fn renewed(&self, reach: &Reach, read: KeptLogin) -> Result<Option<Secret>, String> {
        let until = Instant::now() + WAIT_MAX;
        let mut kept = read.clone();
        while kept.revision == read.revision {
            let claimed = self.store.claim_login(reach.server, kept.revision).await;
            if claimed.map_err(|error| error.sentence().to_owned())? {
                let renewing = self.tasks.spawn(self.clone().renew(reach.clone(), kept));
                return renewing.await.map_err(|_| "the renewal of a login failed".to_owned())?;
            }
            if Instant::now() > until {
                return Err(format!("the login at server `{}` is being renewed without an end", reach.name));
            }
            tokio::time::sleep(LOOK).await;
            match self.read(reach).await? {
                Some(now) => kept = now,
                None => return Ok(None),
            }
        }
        let is_good = kept.login.standing(self.clock.now()) == Standing::Good;
        Ok(Some(kept.login.access).filter(|_| is_good))
    }

    /// Renews a login that is claimed.
    async fn renew(self, reach: Reach, kept: KeptLogin) -> Result<Option<Secret>, String> {
        let KeptLogin { login, revision } = kept;
        let web = Web::of(&login.url, reach.settings.oauth.allow_private);
        let answer = match web {
            Ok(web) => renew(&web, &login).await,
            Err(words) => Err(NotRenewed::Over(words)),
        };
        let now = self.clock.now();
        let kept = |login: Login| KeptLogin { login, revision };
        let failed = |error: station_core::Error| error.sentence().to_owned();
        match answer {
            Ok(answer) => {
                let login = login.renewed(answer, now);
                let token = login.access.clone();
                self.store.renew_login(reach.server, &kept(login), now).await.map_err(failed)?;
                Ok(Some(token))
            }
            Err(NotRenewed::Over(words)) => {
                tracing::info!(server = %reach.name, words, "a login is over");
                let over = Login { refresh: None, expires_at: Some(now), ..login };
                self.store.renew_login(reach.server, &kept(over), now).await.map_err(failed)?;
                Ok(None)
            }
            Err(NotRenewed::Away(words)) => {
                self.store.unclaim_login(reach.server, revision).await.map_err(failed)?;
                let is_over = login.expires_at.is_some_and(|at| at <= now);
                match is_over {
                    true => Err(format!("the login at server `{}` was not renewed: {words}", reach.name)),
                    false => Ok(Some(login.access)),
                }
            }
        }
    }

    /// Keeps what a server asks for, and says what a person can do about it.
    pub(super) async fn asked(&self, reach: &Reach, challenge: &Challenge) -> String {
        if let Err(error) = self.store.put_challenge(reach.server, challenge, self.clock.now()).await {
            tracing::warn!(%error, "what a server asks for was not kept");
        }
        let environment = self.store.environment_by_id(reach.environment).await.ok().flatten();
        let of = match environment {
            Some(environment) if environment.name != station_core::EnvironmentName::default() => {
                format!(" --env {}", environment.name)
            }
            _ => String::new(),
        };
        let has_headers = match &reach.definition {
            Definition::Http { headers, .. } => !headers.is_empty(),
            Definition::Stdio { .. } => false,
        };
        let command = format!("stn mcp login {}{of}", reach.name);
        let (name, more) =
            (&reach.name, if has_headers { ", or check the `headers` of its entry" } else { "" });
        match (&challenge.scope, challenge.needs_more) {
            (Some(scope), true) => format!(
                "server `{name}` asks for a login that is good for more (`{scope}`): `{command}` makes one"
            ),
            (None, true) => {
                format!("server `{name}` asks for a login that is good for more: `{command}` makes one")
            }
            _ => format!("server `{name}` asks for a login: `{command}` makes one{more}"),
        }
    }

    /// The server's tools as they were listed last.
    pub(super) async fn tools(&self, reach: &Reach) -> Result<Vec<Tool>, String> {
        self.store.tools_of(reach.server).await.map_err(|error| error.sentence().to_owned())
    }

    async fn read(&self, reach: &Reach) -> Result<Option<KeptLogin>, String> {
        self.store.login(reach.server).await.map_err(|error| error.sentence().to_owned())
    }
}
