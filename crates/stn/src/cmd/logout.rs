//! `stn logout`

use crate::error::{Code, Result};
use crate::out::Tone;
use crate::remote::{Address, Logins, Server, Target};
use crate::session::{Session, install_tls};
use serde_json::{Value, json};
use station_core::Error;

/// Forget the API key of a server
///
/// A key that `stn login` made there is revoked as well; one that was given to it stays good for whoever else has it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's address; the one of `--server` or STN_SERVER, or the only one there is, if left out
    url: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let logins = Logins::of(&session.settings.environment)?;
        let address = self.address(session, &logins)?;
        let Some(login) = logins.find(&address)? else {
            return Err(Error::not_found(format!("no key for {address} is kept here"))
                .with_hint(kept(&logins)?)
                .into());
        };
        logins.forget(&address)?;
        let revoked = match login.made {
            Some(id) => {
                install_tls();
                let target = Target {
                    address: address.clone(),
                    is_of_environment: false,
                    plain_http: login.plain_http,
                };
                let revoked = async {
                    let server = Server::with(&target, Some(&login.key()))?;
                    server.ask::<Value>("revoke_api_key", json!({ "key": id.to_string() })).await
                };
                Some(revoked.await)
            }
            None => None,
        };
        if let Some(Err(error)) = &revoked {
            session
                .out
                .warning(&format!("the key was not revoked, and is still good for whoever has it: {error}"));
            session.out.hint(&format!(
                "an administrator revokes it: `stn user key revoke {}`",
                login.made.unwrap_or_default()
            ));
        }
        let is_revoked = matches!(revoked, Some(Ok(_)));
        if session.out.is_json() {
            session.out.json(&json!({ "logout": { "server": address.to_string(), "user": login.user, "revoked": is_revoked } }))?;
            return Ok(Code::Done);
        }
        let how = if is_revoked { ", and revoked there" } else { "" };
        session
            .out
            .note(Tone::Good, &format!("The key of `{}` for {address} is forgotten{how}.", login.user));
        Ok(Code::Done)
    }

    fn address(&self, session: &Session<'_>, logins: &Logins) -> Result<Address> {
        if let Some(url) = &self.url {
            return Ok(Address::parse(url)?);
        }
        if let Some(target) = &session.server {
            return Ok(target.address.clone());
        }
        match &logins.all()?[..] {
            [one] => Ok(Address::parse(&one.server)?),
            _ => Err(Error::invalid("name the server whose key is to be forgotten")
                .with_hint(kept(logins)?)
                .into()),
        }
    }
}

/// For which servers keys are kept.
fn kept(logins: &Logins) -> Result<String> {
    let all: Vec<String> = logins.all()?.into_iter().map(|login| login.server).collect();
    Ok(match all.is_empty() {
        true => "there is none for any server".to_owned(),
        false => format!("there are keys for {}", all.join(", ")),
    })
}
