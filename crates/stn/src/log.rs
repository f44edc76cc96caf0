//! The log: what goes there, how it looks, and how both are chosen.
//!
//! One subscriber for the process. Lines are for people, or JSON for machines, on stderr; each carries the spans that it belongs to
//! (request, run, call), so that what belongs together is found together. Levels may differ by module, and are read again at SIGHUP.
//! **Invariant:** nothing reaches the log but through [`Clean`], which takes out the secrets that the settings hold, and what looks like one
//! or is called one.
//! Commands that say what went wrong themselves have no log unless one is asked for: setting one up would only make them slower.

use crate::config::Settings;
use crate::otlp::Tracing;
use crate::out;
use station_core::content::CONTENT;
use station_core::file::config::{LEVELS_HINT, LogFormat};
use station_core::{Error, Redaction, Result, redact};
use station_engine::Metrics;
use std::io;
use std::sync::Arc;
use tracing::Metadata;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

/// Where faults are seen that end no command, while no level is set for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Faults {
    /// Nowhere: whoever waits for the command hears what it comes to.
    Untold,
    /// In the log: nobody waits for a worker.
    Logged,
}

impl Faults {
    /// What is told where nobody says how much.
    fn level(self) -> Option<&'static str> {
        match self {
            Self::Untold => None,
            Self::Logged => Some("warn"),
        }
    }
}

/// The log that was set up.
pub(crate) struct Log {
    levels: reload::Handle<EnvFilter, Registry>,
    faults: Faults,
}

impl Log {
    /// Sets the log up, where one is wanted, and has spans counted, and taken for a collector.
    ///
    /// # Errors
    /// `Invalid` where levels cannot be understood.
    pub(crate) fn set_up(
        settings: &Settings,
        faults: Faults,
        measured: Option<(&Metrics, Option<Tracing>)>,
    ) -> Result<Option<Self>> {
        let Some(levels) = levels(settings, faults)? else { return Ok(None) };
        let (levels, handle) = reload::Layer::new(levels);
        let wanted = filter_fn(is_always_told).or(levels).and(filter_fn(is_for_logs));
        // Lines have no colours: what stands between a name and its value would hide both from whoever looks for secrets.
        let known = Arc::new(settings.secrets());
        let lines = fmt::layer()
            .with_ansi(false)
            .with_writer(move || Clean { known: Arc::clone(&known), to: out::log_stream() });
        let lines = match format(settings)? {
            LogFormat::Text => lines.with_filter(wanted).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).with_filter(wanted).boxed(),
        };
        let (metrics, spans) = measured.unzip();
        let spans = spans.flatten().map(Tracing::layer);
        Registry::default().with(lines).with(metrics.map(Metrics::layer)).with(spans).init();
        Ok(Some(Self { levels: handle, faults }))
    }

    /// Takes levels from settings that were read anew; what they are now.
    ///
    /// # Errors
    /// `Invalid` where levels cannot be understood: then they stay.
    pub(crate) fn change(&self, settings: &Settings) -> Result<String> {
        let levels = levels(settings, self.faults)?.unwrap_or_default();
        let told = levels.to_string();
        self.levels
            .reload(levels)
            .map_err(|cause| Error::internal("changing the levels of the log", cause))?;
        Ok(told)
    }
}

/// The one way into the log. A line is written whole, so that nothing is cut in the middle of a secret.
struct Clean<W> {
    known: Arc<Redaction>,
    to: W,
}

impl<W: io::Write> io::Write for Clean<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.to.write_all(redact(&self.known.apply(&text)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// What the command itself says, and spans of ours that say what a line belongs to. Statements are not among them: there are many,
/// and they say nothing of the kind.
fn is_always_told(metadata: &Metadata<'_>) -> bool {
    if !metadata.is_span() {
        return metadata.target() == out::TOLD;
    }
    metadata.target().starts_with("station_") && metadata.name() != "store.query"
}

/// Not what was said, at whatever level: neither by us nor by the library that speaks MCP, whose lines hold whole messages.
fn is_for_logs(metadata: &Metadata<'_>) -> bool {
    metadata.target() != CONTENT && !metadata.target().starts_with("rmcp")
}

/// The levels that are wanted, and where that is said.
pub(crate) fn said(settings: &Settings) -> Option<(&str, &'static str)> {
    let config = &settings.config;
    let debug = (config.debug == Some(true)).then_some(("debug", "config.yaml"));
    let environment = settings.environment.get("STN_LOG_LEVEL").map(|level| (level, "STN_LOG_LEVEL"));
    environment.or(config.log_level.as_deref().map(|level| (level, "config.yaml"))).or(debug)
}

/// What its lines are.
///
/// # Errors
/// `Invalid` where the variable says something else.
pub(crate) fn format(settings: &Settings) -> Result<LogFormat> {
    let Some(text) = settings.environment.get("STN_LOG_FORMAT") else {
        return Ok(settings.config.log_format.unwrap_or_default());
    };
    LogFormat::parse(text)
        .ok_or_else(|| Error::invalid(format!("STN_LOG_FORMAT is `{text}`, and must be `text` or `json`")))
}

/// Whether a log can be set up as the settings say.
///
/// # Errors
/// `Invalid` where levels, or what lines are to be, cannot be understood.
pub(crate) fn check(settings: &Settings) -> Result<()> {
    levels(settings, Faults::Untold)?;
    format(settings).map(drop)
}

/// # Errors
/// `Invalid` where they cannot be understood.
fn levels(settings: &Settings, faults: Faults) -> Result<Option<EnvFilter>> {
    let said = said(settings);
    let place = said.map_or("", |(_, place)| place);
    let Some(level) = said.map(|(level, _)| level).or(faults.level()) else { return Ok(None) };
    let level = level.to_ascii_lowercase();
    // A bare level is ours: other libraries then say only what worries them.
    let is_bare = level.chars().all(|c| c.is_ascii_alphanumeric());
    let directives = if is_bare { bare(&level) } else { level.clone() };
    let read = EnvFilter::builder().parse(directives).map_err(|cause| {
        Error::invalid(format!("`{level}` in {place} says no levels of the log"))
            .with_cause(cause)
            .with_hint(LEVELS_HINT)
    });
    Ok(Some(read?))
}

fn bare(level: &str) -> String {
    let ours = [
        "stn",
        "station_core",
        "station_store",
        "station_llm",
        "station_mcp",
        "station_engine",
        "station_server",
    ];
    let rows: Vec<String> = ours.iter().map(|target| format!("{target}={level}")).collect();
    format!("{},warn", rows.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use station_core::file::config;

    fn settings(yaml: &str, level: Option<&str>) -> Settings {
        let environment =
            Environment::of(&[("HOME", "/nowhere"), ("STN_LOG_LEVEL", level.unwrap_or_default())]);
        let mut settings = Settings::at(None, environment).unwrap();
        settings.config = config::read(yaml, "config.yaml").0.unwrap();
        settings
    }

    #[test]
    fn a_line_reaches_the_log_without_the_secrets_that_are_known_and_those_that_look_like_one() {
        use std::io::Write as _;
        let mut settings = settings("ai_api_key: my-own-provider-key", None);
        settings.environment = Environment::of(&[("GITHUB_TOKEN", "no-shape-at-all"), ("EDITOR", "vi")]);
        let mut log = Clean { known: Arc::new(settings.secrets()), to: Vec::new() };
        let line = "with my-own-provider-key and no-shape-at-all, Bearer 0123456789abcdef, in vi\n";
        log.write_all(line.as_bytes()).unwrap();
        let told = String::from_utf8(log.to).unwrap();
        assert_eq!(told, "with [secret] and [secret], Bearer [secret], in vi\n");
    }

    #[test]
    fn levels_are_taken_from_the_nearest_place_that_says_any() {
        let check = |yaml: &str, level: Option<&str>, faults: Faults, expected: &str| {
            let levels = match levels(&settings(yaml, level), faults) {
                Ok(levels) => levels.map(|levels| levels.to_string()).unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            let shown =
                levels.split(',').find(|row| row.starts_with("station_engine") || row.starts_with('`'));
            assert_eq!(shown.unwrap_or_default(), expected, "{yaml} {level:?}");
        };
        check("", None, Faults::Untold, "");
        check("", None, Faults::Logged, "station_engine=warn");
        check("debug: true", None, Faults::Untold, "station_engine=debug");
        check("debug: true\nlog_level: info", None, Faults::Untold, "station_engine=info");
        check("log_level: info", Some("ERROR"), Faults::Logged, "station_engine=error");
        check("log_level: warn,station_engine=trace", None, Faults::Logged, "station_engine=trace");
        check("", Some("loud"), Faults::Logged, "`loud` in STN_LOG_LEVEL says no levels of the log");
        check(
            "log_level: station_engine=loud",
            None,
            Faults::Untold,
            "`station_engine=loud` in config.yaml says no levels of the log",
        );
    }
}
