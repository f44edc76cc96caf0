//! Logging in and out at remote servers.
//!
//! A login has two halves, because a person acts in between: [`Station::begin_login`] finds out whom to ask and gives the
//! address to open, [`Station::finish_login`] takes what came back. Who shows the address, and how, is the door's.

use crate::pool::{Logins, Reach};
use crate::rights::reach_of;
use crate::servers::{ServerDetails, ServerRef};
use crate::variables::Values;
use crate::{Discovered, Station};
use station_core::oauth::{
    self, Client, ClientWay, IssuerDocument, Login, LoginWay, TokenAnswer, code_of, login_way,
};
use station_core::{Action, Caller, Definition, Error, Result, Secret};
use station_mcp::oauth::{
    Asked, Device, Found, Redirect, Web, ask, ask_device, exchange, find, give_back, register, wait_device,
};
use std::collections::BTreeMap;

/// A login that a person has to agree to.
#[derive(Debug)]
pub struct PendingLogin {
    details: ServerDetails,
    url: String,
    web: Web,
    found: Found,
    client: Client,
    scope: Option<String>,
    redirect: Redirect,
    waits: Waits,
}

/// What a login waits for.
#[derive(Debug)]
enum Waits {
    Answer(LoginWay, Asked),
    Device(Device),
}

/// What a person is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginStep {
    /// An address to open in a browser of this machine.
    Browser(String),
    /// An address to open in any browser; what that one is sent to is typed in here.
    Paste(String),
    /// A code to type in at an address.
    Device {
        /// The code.
        code: String,
        /// The address.
        address: String,
    },
}

/// A login that was made.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// Where.
    pub server: ServerDetails,
    /// With whom.
    pub issuer: String,
    /// For what.
    pub scope: Option<String>,
    /// What the server offers to whoever is logged in.
    pub listed: Option<Discovered>,
}

/// A login that was ended.
#[derive(Clone, Debug)]
pub struct LoggedOut {
    /// Where.
    pub server: ServerDetails,
    /// Why the issuer may still take its tokens.
    pub warning: Option<String>,
}

impl PendingLogin {
    /// What a person is shown.
    #[must_use]
    pub fn step(&self) -> LoginStep {
        match &self.waits {
            Waits::Answer(LoginWay::Paste, asked) => LoginStep::Paste(asked.address.to_string()),
            Waits::Answer(_, asked) => LoginStep::Browser(asked.address.to_string()),
            Waits::Device(device) => LoginStep::Device {
                code: device.user_code.clone(),
                address: device.complete.clone().unwrap_or_else(|| device.address.clone()),
            },
        }
    }

    /// The server's name.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.details.server.name
    }

    /// With whom a person logs in.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.found.issuer.issuer
    }

    /// For what; `None` where the issuer decides.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Waits until a browser comes back to this machine, and gives what it brought; never ends where nothing is expected
    /// from one.
    ///
    /// # Errors
    /// Where this machine cannot be listened on.
    pub async fn brought(&self) -> Result<String> {
        match &self.waits {
            Waits::Answer(_, asked) => self
                .redirect
                .wait(&asked.state)
                .await
                .map_err(|cause| Error::internal("waiting for the browser", cause)),
            Waits::Device(_) => std::future::pending().await,
        }
    }
}

impl Station {
    /// Begins a login at a server: by the way that was `asked` for, or by one that there is.
    ///
    /// # Errors
    /// `Invalid` where the server is no remote one, or nobody can log in that way; `Conflict` where its entry says who
    /// asks; `Upstream` where it says nothing of logins, or who gives out its tokens is not believed.
    pub async fn begin_login(
        &self,
        by: &Caller,
        server: &ServerRef,
        asked: Option<LoginWay>,
        has_browser: bool,
    ) -> Result<PendingLogin> {
        by.may(Action::ManageServers)?;
        let details = self.find_server(by, server).await?;
        let (reach, url) = self.reach_to_log_in(&details).await?;
        let name = details.server.name.as_str();
        // Asked as it is asked now, so that it can say what it wants.
        let tried = self.pool().list(&reach).await;
        let challenge = self.store().challenge(details.server.id).await?;
        if let (Err(sentence), None) = (&tried, &challenge) {
            return Err(Error::upstream(sentence.clone()));
        }
        let kept = self.store().login(details.server.id).await?.map(|kept| kept.login);
        let settings = &reach.settings.oauth;
        let web = Web::of(&url, settings.allow_private).map_err(|words| of_server(name, &words))?;
        let found = find(&web, name, &challenge.clone().unwrap_or_default()).await;
        let found = found.map_err(|sentence| match (&tried, &challenge) {
            (Ok(_), None) => Error::conflict(format!("server `{name}` asks for no login, and offers none")),
            _ => Error::upstream(sentence),
        })?;
        let issuer = &found.issuer;
        let way = login_way(asked, has_browser, issuer.device.is_some())
            .map_err(|words| Error::invalid(format!("issuer `{}` {words}", issuer.issuer)))?;
        let before = kept.filter(|login| login.issuer == issuer.issuer && login.url == url);
        let before = before.and_then(|login| login.scope);
        let challenge = challenge.unwrap_or_default();
        let scope = oauth::scope(&settings.scopes, &challenge, &found.resource, issuer, before.as_deref());
        let kept = self.store().oauth_client(details.server.id, &issuer.issuer).await?;
        let redirect = listen(settings.redirect_port, kept.as_ref()).await?;
        let client = match oauth::client_way(settings, kept, issuer, redirect.address(), scope.as_deref()) {
            Ok(ClientWay::Known(client)) => client,
            Ok(ClientWay::Register) => {
                let client = register(&web, issuer, redirect.address(), scope.as_deref()).await;
                let client = client.map_err(Error::upstream)?;
                let (id, now) = (details.server.id, self.now());
                self.store().put_oauth_client(id, &issuer.issuer, &client, now).await?;
                client
            }
            Err(words) => return Err(Error::upstream(format!("issuer `{}` {words}", issuer.issuer))),
        };
        let waits = match way {
            LoginWay::Device => {
                let device = ask_device(&web, issuer, &client, &found.resource, scope.as_deref()).await;
                Waits::Device(device.map_err(Error::upstream)?)
            }
            LoginWay::Browser | LoginWay::Paste => {
                let asked = ask(issuer, &client, redirect.address(), &found.resource, scope.as_deref());
                Waits::Answer(way, asked.map_err(|cause| Error::internal("asking for random bytes", cause))?)
            }
        };
        Ok(PendingLogin { details, url, web, found, client, scope, redirect, waits })
    }

    /// Finishes a login with what came back: what the browser brought, or a person typed in. A login by another device is
    /// waited for, and needs no answer.
    ///
    /// # Errors
    /// `Conflict` where the answer is not taken; `Upstream` where there are no tokens for it.
    pub async fn finish_login(&self, by: &Caller, pending: PendingLogin, answer: &str) -> Result<LoggedIn> {
        by.may(Action::ManageServers)?;
        let PendingLogin { details, url, web, found, client, scope, waits, .. } = pending;
        let Found { resource, issuer } = found;
        let tokens = match waits {
            Waits::Answer(_, asked) => {
                let code = code_of(answer, &asked.state, &issuer).map_err(Error::conflict)?;
                exchange(&web, &issuer, &client, &asked, &code, &resource).await
            }
            Waits::Device(device) => wait_device(&web, &issuer, &client, device, &resource).await,
        };
        let tokens = tokens.map_err(Error::upstream)?;
        let now = self.now();
        let login = login(url, &issuer, resource.resource, client, scope, &tokens).renewed(tokens, now);
        let id = details.server.id;
        self.store().put_login(id, &login, by.actor(), now).await?;
        self.pool().end_server(id).await;
        let listed = self.discover(&details.environment, &|server| server.id == id).await?;
        let listed = listed.servers.into_iter().next();
        Ok(LoggedIn { server: details, issuer: login.issuer, scope: login.scope, listed })
    }

    /// Ends the login at a server: its tokens are given back where the issuer takes them, and forgotten here.
    ///
    /// # Errors
    /// `Conflict` where nobody is logged in.
    pub async fn logout_server(&self, by: &Caller, server: &ServerRef) -> Result<LoggedOut> {
        by.may(Action::ManageServers)?;
        let details = self.find_server(by, server).await?;
        let (id, name) = (details.server.id, &details.server.name);
        let nobody = || {
            Error::conflict(format!("nobody is logged in at server `{name}`"))
                .with_hint("`stn mcp status` shows who is logged in where")
        };
        let kept = self.store().login(id).await?.ok_or_else(nobody)?;
        // Another may have been faster.
        if !self.store().remove_login(id, by.actor(), self.now()).await? {
            return Err(nobody());
        }
        self.pool().end_server(id).await;
        let allow_private = match self.reach_to_log_in(&details).await {
            Ok((reach, _)) => reach.settings.oauth.allow_private,
            Err(_) => false,
        };
        let given = match Web::of(&kept.login.url, allow_private) {
            Ok(web) => give_back(&web, &kept.login).await,
            Err(words) => Err(words),
        };
        let warning = given.err().map(|words| format!("its tokens may still be good: {words}"));
        Ok(LoggedOut { server: details, warning })
    }

    /// How a remote server is reached at which a login makes sense, and its address.
    async fn reach_to_log_in(&self, details: &ServerDetails) -> Result<(Reach, String)> {
        let name = &details.server.name;
        let values = Values::read(self, details.environment.id, BTreeMap::new()).await?;
        let reach = reach_of(self, &details.server, &values).await?.map_err(Error::invalid)?;
        let Definition::Http { url, .. } = &reach.definition else {
            return Err(Error::invalid(format!("server `{name}` is a program that is started here"))
                .with_hint("it logs in by itself, with what its entry gives it in `env`"));
        };
        if !Logins::concern(&reach.definition) {
            let sentence =
                format!("the entry of server `{name}` says who asks: it has a header `Authorization`");
            return Err(Error::conflict(sentence).with_hint("take it out of `headers` to log in instead"));
        }
        let url = url.clone();
        Ok((reach, url))
    }
}

/// Listens where the entry says; else where a client that was registered before came back to; else anywhere.
async fn listen(written: Option<u16>, kept: Option<&Client>) -> Result<Redirect> {
    let unusable = |port: u16, cause| {
        Error::invalid(format!(
            "port {port} of this machine, to which the browser is to come back, is in use"
        ))
        .with_hint("end what uses it, or change `station.oauth.redirect_port` of the server's entry")
        .with_cause(cause)
    };
    if let Some(port) = written {
        return Redirect::bind(Some(port)).await.map_err(|cause| unusable(port, cause));
    }
    let before = kept.and_then(|client| client.redirect.as_deref()).and_then(port);
    if let Some(before) = before
        && let Ok(redirect) = Redirect::bind(Some(before)).await
    {
        return Ok(redirect);
    }
    Redirect::bind(None).await.map_err(|cause| Error::internal("listening for the browser", cause))
}

/// The port of an address of this machine.
fn port(address: &str) -> Option<u16> {
    address.rsplit_once(':')?.1.split('/').next()?.parse().ok()
}

fn login(
    url: String,
    issuer: &IssuerDocument,
    resource: String,
    client: Client,
    scope: Option<String>,
    tokens: &TokenAnswer,
) -> Login {
    Login {
        url,
        issuer: issuer.issuer.clone(),
        resource,
        token_endpoint: issuer.token.to_string(),
        revocation_endpoint: issuer.revocation.as_ref().map(ToString::to_string),
        client,
        access: Secret::default(),
        refresh: None,
        // What is not told is as it was asked for (RFC 6749, section 5.1).
        scope: tokens.scope.clone().or(scope),
        expires_at: None,
    }
}

fn of_server(name: &str, words: &str) -> Error {
    Error::upstream(format!("server `{name}` {words}"))
}
