//! `stn init`

use crate::config::Settings;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::question::question;
use crate::session::{Session, make_folder};
use serde_json::json;
use station_core::file::config::check_base_url;
use station_core::file::edit::append_key;
use station_core::{EnvironmentName, Error, Kind};
use station_engine::{FolderLock, KeyState, Models, Station, check_provider};
use std::io::IsTerminal as _;

/// The provider and model that are written where none is given.
const OFFLINE: &str = "offline";
/// The provider that needs a server and a download, and no key.
const OLLAMA: &str = "ollama";
/// The variable that holds the configured provider's key, whichever that is: the provider's own is the better hint.
const ANY_KEY: &str = "STN_AI_API_KEY";

/// Set Station up: configuration, key, database, and the environment `default`
///
/// What is there already stays as it is. Without `--provider` the built-in offline model is written: it works by rules
/// and without a network, for first steps. Keys are not written: set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The model provider: openai, openai-responses, anthropic, gemini, ollama or offline; or a name of your own with --base-url
    #[arg(long)]
    provider: Option<String>,
    /// The model where an agent names none, e.g. gpt-4o-mini or claude-sonnet-4-5
    #[arg(long)]
    model: Option<String>,
    /// The address of the provider, or of one that is OpenAI-compatible, e.g. http://127.0.0.1:8000/v1
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Ask nothing
    #[arg(long, short)]
    yes: bool,
}

impl Args {
    pub(crate) async fn run(mut self, session: &Session<'_>) -> Result {
        let settings = &session.settings;
        let is_new = !settings.file.exists();
        let given = self.provider.is_some() || self.model.is_some() || self.base_url.is_some();
        if is_new && !given && !self.yes && std::io::stdin().is_terminal() && !session.out.is_json() {
            self.ask(session).await?;
        }
        self.check()?;
        make_folder(&settings.folder)?;
        let mut made: Vec<String> = self.configure(settings)?.into_iter().collect();
        // With what was just written.
        let session = Session::bare(session.out, settings.reread()?, session.by.clone());
        made.extend(set_up(&session).await?);
        tell(&session, &made)
    }

    /// Refuses what no run could use, before anything is written.
    fn check(&self) -> Result<()> {
        if let Some(url) = &self.base_url {
            check_base_url(url)?;
        }
        if let Some(provider) = &self.provider {
            check_provider(provider, self.base_url.is_some()).map_err(|error| {
                error.with_hint("one that speaks like OpenAI has an address: add `--base-url URL`")
            })?;
        }
        Ok(())
    }

    /// Writes config.yaml; gives back what was made. Another command may be at it, so it is read again under the lock.
    fn configure(&self, settings: &Settings) -> Result<Option<String>> {
        let _lock = FolderLock::wait(&settings.folder);
        let is_new = !settings.file.exists();
        let settings = settings.reread()?;
        let added = write_config(&settings, &self.keys(is_new))?;
        let file = settings.file.display();
        Ok(match is_new {
            true => Some(format!("configuration {file}")),
            false => (!added.is_empty()).then(|| format!("{} in {file}", added.join(", "))),
        })
    }

    /// The keys of config.yaml that this command line asks for.
    fn keys(&self, is_new: bool) -> Vec<(&'static str, String)> {
        let nothing = self.provider.is_none() && self.model.is_none() && self.base_url.is_none();
        let given = if nothing && is_new {
            [Some(OFFLINE.to_owned()), Some(OFFLINE.to_owned()), None]
        } else {
            let is_offline = self.provider.as_deref() == Some(OFFLINE);
            let model = self.model.clone().or_else(|| is_offline.then(|| OFFLINE.to_owned()));
            [self.provider.clone(), model, self.base_url.clone()]
        };
        ["ai_provider", "ai_model", "ai_base_url"]
            .into_iter()
            .zip(given)
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }

    async fn ask(&mut self, session: &Session<'_>) -> Result<()> {
        let provider = question(
            session,
            "Model provider (openai, anthropic, gemini, ollama, …; empty: the built-in offline model):",
        )
        .await?;
        if provider.is_empty() || provider == OFFLINE {
            return Ok(());
        }
        let model =
            question(session, "Model (e.g. gpt-4o-mini, claude-sonnet-4-5, gemini-2.5-flash):").await?;
        self.provider = Some(provider);
        self.model = Some(model).filter(|model| !model.is_empty());
        Ok(())
    }
}

/// Adds `keys` to config.yaml; gives back those that it did not have. What it says stays.
fn write_config(settings: &Settings, keys: &[(&'static str, String)]) -> Result<Vec<&'static str>> {
    let config = &settings.config;
    let mut missing = Vec::new();
    for (key, value) in keys {
        let written = match *key {
            "ai_provider" => config.ai_provider.as_ref(),
            "ai_model" => config.ai_model.as_ref(),
            _ => config.ai_base_url.as_ref(),
        };
        match written {
            None => missing.push((*key, value)),
            Some(written) if written == value => {}
            Some(written) => {
                let sentence = format!("{} says `{key}: {written}` already", settings.file.display());
                return Err(Error::conflict(sentence)
                    .with_hint(format!("change that line to `{key}: {value}`"))
                    .into());
            }
        }
    }
    if missing.is_empty() && settings.file.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&settings.file).unwrap_or_default();
    let text = missing.iter().fold(text, |text, (key, value)| append_key(&text, key, value));
    station_engine::settings::write(&settings.file, &text)?;
    Ok(missing.into_iter().map(|(key, _)| key).collect())
}

/// Makes key, database and the environment `default` where they are missing; gives back what was made. Of a new key
/// the session tells, whichever command makes it.
async fn set_up(session: &Session<'_>) -> Result<Vec<String>> {
    let (location, _) = session.settings.location()?;
    let had_database = match &location {
        station_engine::Location::Sqlite(path) => path.exists(),
        station_engine::Location::Postgres(_) => true,
    };
    session
        .with(async |station| {
            let mut made = Vec::new();
            if !had_database && let station_engine::Location::Sqlite(path) = &location {
                made.push(format!("database {}", path.display()));
            }
            let name = EnvironmentName::default();
            let environments = station.list_environments(&session.by).await?;
            if environments.iter().all(|it| it.name != name) {
                made.extend(create(session, station, &name).await?);
            }
            Ok(made)
        })
        .await
}

/// Makes an environment; `None` where another command did so meanwhile.
async fn create(session: &Session<'_>, station: &Station, name: &EnvironmentName) -> Result<Option<String>> {
    match station.create_environment(&session.by, name, "").await {
        Ok(new) => {
            let folder = new.folder.map(|folder| format!(" in {}", folder.display())).unwrap_or_default();
            Ok(Some(format!("environment `{name}`{folder}")))
        }
        Err(error) if error.kind() == Kind::Conflict => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn tell(session: &Session<'_>, made: &[String]) -> Result {
    let (out, settings) = (session.out, &session.settings);
    let models = settings.models();
    if out.is_json() {
        out.json(&json!({ "init": {
            "folder": settings.folder, "config": settings.file, "made": made,
            "ai_provider": models.provider, "ai_model": models.model,
        } }))?;
        return Ok(Code::Done);
    }
    if made.is_empty() {
        out.lines(&[(
            Tone::Plain,
            format!("Station is set up already in {}; nothing was changed.", settings.folder.display()),
        )])?;
        return Ok(Code::Done);
    }
    let mut lines = vec![(Tone::Good, format!("Station is set up in {}", settings.folder.display()))];
    lines.extend(made.iter().map(|what| (Tone::Plain, format!("  made {what}"))));
    out.lines(&lines)?;
    hints(session, models.provider.as_deref());
    Ok(Code::Done)
}

/// What is still to be done before the configured model answers.
fn hints(session: &Session<'_>, provider: Option<&str>) {
    let out = session.out;
    if provider == Some(OFFLINE) {
        out.note(Tone::Plain, "The model is `offline`: built-in rules without a network, for first steps.");
        out.hint("for a real model change `ai_provider` and `ai_model` in config.yaml");
    }
    let models = Models::new(session.settings.models());
    let configured = models.offers().into_iter().find(|offer| offer.configured);
    match configured.map(|offer| (offer.key, models.choices(&[]))) {
        Some((KeyState::Missing(mut variables), _)) => {
            variables.retain(|name| name != ANY_KEY);
            out.hint(&format!("set {}: it is read from the environment", variables.join(" or ")));
        }
        Some((KeyState::NotNeeded, Ok(_))) if session.settings.models().base_url.is_some() => {
            out.hint(&format!("if that address wants a key, set {ANY_KEY}: it is read from the environment"));
        }
        Some((_, Err(error))) => {
            out.note(Tone::Bad, &format!("The model cannot be asked yet: {error}."));
            error.hints().iter().for_each(|hint| out.hint(hint));
        }
        Some((_, Ok(choices))) if choices.usable.iter().any(|it| it.model.provider == OLLAMA) => {
            let model = choices.usable.first().map(|it| it.model.model.as_str()).unwrap_or_default();
            out.hint(&format!(
                "Ollama must be running (`ollama serve`) and have the model: `ollama pull {model}`"
            ));
        }
        Some((_, Ok(_))) | None => {}
    }
    if session.settings.models().model.is_none() {
        out.hint("name a model: `ai_model` in config.yaml, or `model:` in the agent's file");
    } else if provider.is_some_and(|provider| provider != OFFLINE) {
        out.hint("see whether it answers with `stn model test`");
    }
    out.hint("make an agent with `stn agent create NAME DESCRIPTION`, or see one at work with `stn demo`");
}
