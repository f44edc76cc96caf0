//! The open connection of a slot, or a new one, with the token that is shown over it.

use super::logins::Logins;
use super::slot::{Failed, Open, Opened, Slot};
use super::{BACKOFF, BACKOFF_MAX, Pool, Reach};
use station_core::{RunId, Transport};
use station_mcp::sandbox::Confine;
use station_mcp::{ConnectError, Launch};
use std::time::{Duration, Instant};

/// How long what the store says of a login is taken for true: another process may log in or out.
const LOOKED_FOR: Duration = Duration::from_secs(5);

impl Pool {
    /// The open connection, or a new one. One caller connects, the others wait for it.
    pub(super) async fn connection(
        &self,
        slot: &Slot,
        reach: &Reach,
        run: Option<RunId>,
    ) -> Result<Opened, String> {
        let mut open = slot.open.lock().await;
        self.authorize(slot, reach).await?;
        if let Some(opened) = &open.connection {
            if slot.is_alive(&opened.connection).await {
                return Ok(opened.clone());
            }
            // Only let go of: a call that is still out keeps it until its own time is over.
            open.connection = None;
        }
        if let Some(failed) = open.failed.as_ref().filter(|failed| failed.retry_at > Instant::now()) {
            return Err(failed.sentence.clone());
        }
        match self.connect(slot, reach, run).await {
            Ok(opened) => {
                *open = Open { connection: Some(opened.clone()), failed: None, listed: 0 };
                Ok(opened)
            }
            Err(sentence) => {
                let backoff =
                    open.failed.as_ref().map_or(BACKOFF, |failed| (failed.backoff * 2).min(BACKOFF_MAX));
                open.failed =
                    Some(Failed { sentence: sentence.clone(), retry_at: Instant::now() + backoff, backoff });
                Err(sentence)
            }
        }
    }

    async fn connect(&self, slot: &Slot, reach: &Reach, run: Option<RunId>) -> Result<Opened, String> {
        let place = std::sync::Arc::new(self.place(reach, run).await?);
        let mut connected = station_mcp::connect(self.launch(slot, reach)).await;
        if connected.is_err() && self.may_try_again(slot, reach).await? {
            connected = station_mcp::connect(self.launch(slot, reach)).await;
        }
        match connected {
            Ok(connection) => {
                if let Some(logins) = &self.shared.logins
                    && connection.mirrors_arguments()
                {
                    let tools = logins.tools(reach).await?;
                    connection.know_tools(tools.iter().map(|tool| (tool.name.as_str(), &tool.input_schema)));
                }
                Ok(Opened { connection, place })
            }
            Err(error) => Err(self.told(slot, reach, said(&error, slot, reach)).await),
        }
    }

    /// Shows the token that is good now. What a server asked for before is looked at anew.
    async fn authorize(&self, slot: &Slot, reach: &Reach) -> Result<(), String> {
        let Some(logins) = self.logins(reach) else { return Ok(()) };
        let asked = slot.bearer.asked();
        let was_refused = asked.as_ref().is_some_and(|challenge| !challenge.needs_more);
        if asked.is_none() && slot.looked().is_some_and(|at| at.elapsed() < LOOKED_FOR) {
            return Ok(());
        }
        let refused = slot.bearer.token().filter(|_| was_refused);
        let token = logins.token(reach, refused.as_ref()).await?;
        slot.bearer.show(token);
        slot.note_look();
        Ok(())
    }

    /// Whether a refusal was one of the token, and there is another one now.
    pub(super) async fn may_try_again(&self, slot: &Slot, reach: &Reach) -> Result<bool, String> {
        let asked = slot.bearer.asked().filter(|challenge| !challenge.needs_more);
        let (Some(challenge), Some(_)) = (asked, slot.bearer.token()) else { return Ok(false) };
        self.authorize(slot, reach).await?;
        if slot.bearer.token().is_some() {
            return Ok(true);
        }
        // There is none: what was asked for stays so.
        slot.bearer.ask(challenge);
        Ok(false)
    }

    /// What is said of a failure: where the server asks for a login, how that is made.
    pub(super) async fn told(&self, slot: &Slot, reach: &Reach, sentence: String) -> String {
        match (self.logins(reach), slot.bearer.asked()) {
            (Some(logins), Some(challenge)) => logins.asked(reach, &challenge).await,
            _ => sentence,
        }
    }

    /// The logins, where one is of use for this server.
    fn logins(&self, reach: &Reach) -> Option<&Logins> {
        self.shared.logins.as_ref().filter(|_| Logins::concern(&reach.definition))
    }

    /// Time the server may take to start and to list what it offers.
    pub(super) fn connect_timeout(&self, reach: &Reach) -> Duration {
        reach.settings.timeout_s.map_or(self.shared.launch.connect_timeout, Duration::from_secs)
    }

    /// Bytes of a result that are kept.
    pub(crate) fn output_bytes_max(&self, reach: &Reach) -> u64 {
        reach.settings.output_bytes_max.unwrap_or(self.shared.output_bytes_max)
    }

    fn launch(&self, slot: &Slot, reach: &Reach) -> Launch {
        let base = &self.shared.launch;
        let own = self.shared.own_server.as_ref().filter(|_| reach.definition.is_station());
        Launch {
            server: reach.name.clone(),
            definition: own.map_or_else(|| reach.definition.clone(), |own| own.definition(&reach.definition)),
            handed: own.map(|own| own.handed(reach.token.clone())),
            shim: base.shim.clone(),
            inherited: base.inherited.clone(),
            child_env: base.child_env.clone(),
            folder: base.folder.clone(),
            confine: match own {
                Some(_) => Confine::Station,
                None => Confine::Kept {
                    sandbox: reach.settings.sandbox.clone(),
                    private: Box::new(base.private.clone()),
                },
            },
            era: reach.era,
            connect_timeout: self.connect_timeout(reach),
            output_bytes_max: self.output_bytes_max(reach),
            answers: reach.settings.answers.clone(),
            bearer: slot.bearer.clone(),
            asks: reach.asks,
            news: self.shared.news.clone(),
        }
    }
}

/// Why a server could not be reached, with its last words and without its secrets.
pub(super) fn said(error: &ConnectError, slot: &Slot, reach: &Reach) -> String {
    let mut text = error.sentence.clone();
    if !error.stderr.is_empty() {
        text.push_str("; it said: ");
        text.push_str(&error.stderr.join(" / "));
    }
    if reach.definition.transport() == Transport::Stdio
        && let Some(hint) = reach.settings.sandbox.hint(&text)
    {
        text.push_str("; ");
        text.push_str(hint);
    }
    redacted(&text, slot, reach)
}

/// Sentences of failures are public.
pub(super) fn redacted(sentence: &str, slot: &Slot, reach: &Reach) -> String {
    slot.bearer.redaction(&reach.definition.redaction()).apply(sentence)
}
