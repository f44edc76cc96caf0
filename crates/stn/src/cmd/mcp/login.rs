//! `stn mcp login`

use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::question::typed_meanwhile;
use crate::session::Session;
use station_core::oauth::LoginWay;
use station_core::{Error, Kind, plural};
use station_engine::{EnvironmentRef, LoggedIn, LoginStep, OWN_SECRETS, PendingLogin};
use station_mcp::oauth::open_browser;
use station_server::wire;
use std::time::Duration;

/// How long a person may take in a browser: to find a password, and the second factor.
const PATIENCE: Duration = Duration::from_secs(600);

/// What opens the preferred browser of a desktop.
const DESKTOP: &str = "xdg-open";

/// Log in at a remote server, in a browser
///
/// Opens `$BROWSER`, or the desktop's own, and waits until it comes back. Where there is none, a code for another device is
/// shown if the server offers that, else an address: open it anywhere, and type in here what the browser is sent to.
/// Tokens are kept sealed, and renewed by themselves.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's id or name
    server: String,
    /// The environment of a name [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    /// Show a code to type in on another device
    #[arg(long, conflicts_with_all = ["paste", "browser"])]
    device: bool,
    /// Show the address, and read what the browser is sent to from standard input
    #[arg(long, conflicts_with = "browser")]
    paste: bool,
    /// Open a browser, also where none seems to be there
    #[arg(long)]
    browser: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let browser = browser(session);
        session
            .with(async |station| {
                let (server, environment) = session.server(station, &self.server, self.env.as_ref()).await?;
                let problems = station.apply_changed_files(&environment).await?;
                session.tell_errors(&problems);
                let begun = station.begin_login(&session.by, &server, self.way(), browser.is_some()).await?;
                let answer = self.answer(session, &begun, browser.as_deref()).await?;
                let done = station.finish_login(&session.by, begun, &answer).await?;
                told(session, &done)
            })
            .await
    }

    fn way(&self) -> Option<LoginWay> {
        match (self.device, self.paste, self.browser) {
            (true, _, _) => Some(LoginWay::Device),
            (_, true, _) => Some(LoginWay::Paste),
            (_, _, true) => Some(LoginWay::Browser),
            _ => None,
        }
    }

    /// Shows a person what to do, and waits for what comes of it.
    async fn answer(
        &self,
        session: &Session<'_>,
        begun: &PendingLogin,
        browser: Option<&str>,
    ) -> Result<String> {
        let out = session.out;
        let scope = begun.scope().map(|scope| format!(" for `{scope}`")).unwrap_or_default();
        out.note(Tone::Plain, &format!("Logging in at `{}` with {}{scope}.", begun.server(), begun.issuer()));
        let waiting = async {
            match begun.step() {
                LoginStep::Browser(address) => {
                    let opened = open_browser(browser.unwrap_or(DESKTOP), &address, &OWN_SECRETS);
                    let words = if opened { "A browser was opened; if none is seen" } else { "Here" };
                    out.note(Tone::Plain, &format!("{words}, open this address:"));
                    out.note(Tone::Plain, &address);
                    Ok(begun.brought().await?)
                }
                LoginStep::Paste(address) => {
                    out.note(Tone::Plain, "Open this address in a browser:");
                    out.note(Tone::Plain, &address);
                    out.ask("The address that it is sent to in the end:");
                    tokio::select! {
                        brought = begun.brought() => Ok(brought?),
                        typed = typed_meanwhile() => typed,
                    }
                }
                LoginStep::Device { code, address } => {
                    out.note(Tone::Plain, &format!("Open {address} on any device, and type in {code}"));
                    Ok(String::new())
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| {
            let minutes = PATIENCE.as_secs() / 60;
            Err(Error::new(Kind::Timeout, format!("nobody came back within {minutes} minutes")).into())
        })
    }
}

/// What opens a browser here, where something does.
fn browser(session: &Session<'_>) -> Option<String> {
    let environment = &session.settings.environment;
    if let Some(browser) = environment.get("BROWSER") {
        return Some(browser.to_owned());
    }
    environment.first(&["DISPLAY", "WAYLAND_DISPLAY"]).map(|_| DESKTOP.to_owned())
}

fn told(session: &Session<'_>, done: &LoggedIn) -> Result {
    if session.out.is_json() {
        session.out.json(&wire::LoggedIn::from(done))?;
    } else {
        let server = &done.server.server.name;
        match done.listed.as_ref().map(|listed| &listed.result) {
            Some(Ok(tools)) => {
                let offered = plural(tools, "tool");
                session.out.note(Tone::Good, &format!("Logged in at `{server}`: it offers {offered}."));
            }
            Some(Err(why)) => {
                session.out.note(Tone::Good, &format!("Logged in at `{server}`."));
                session.out.warning(&format!("its tools could not be listed: {why}"));
            }
            None => session.out.note(Tone::Good, &format!("Logged in at `{server}`.")),
        }
    }
    let whole = done.listed.as_ref().is_none_or(|listed| listed.result.is_ok());
    Ok(if whole { Code::Done } else { Code::Partial })
}
