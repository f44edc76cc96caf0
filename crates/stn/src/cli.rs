//! What can be typed, and the way from there to a command.

use crate::cmd::{
    agent, approvals, audit, budget, completions, config, demo, doctor, env, init, key, login, logout, man,
    mcp, model, runs, serve, settings, stdio, sync, test, user, variables,
};
use crate::config::Environment;
use crate::error::{self, Code, Result};
use crate::log::Faults;
use crate::out::{self, Form, Out};
use crate::reference;
use crate::remote::{OnlyHere, Target};
use crate::session::Session;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use station_core::Error;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

/// How long a command waits for threads of its own that are still at work, such as a name lookup that nobody needs
/// any more. Those that rest end at once.
const THREADS_END_MAX: Duration = Duration::from_secs(1);

/// Run AI agents that use real tools, with every step kept
///
/// Agents are files: a prompt, the tools it may use, the model it asks. Tools come from MCP servers. Every run is a
/// journal in an encrypted database that can be looked at, and driven on after a crash.
///
/// The answer is printed on stdout, everything else on stderr. Exit codes: 0 done; 1 you or an operator must act;
/// 2 wrong command line; 3 a run failed, was cancelled or timed out; 4 a sync was done in part; 5 a run waits for a
/// person; 70 Station failed; 75 busy, try again; 130 Ctrl-C.
///
/// With `--json`, stdout carries one JSON document however the command ends: a list is `{"<nouns>": [...], "count": n}`,
/// one thing is `{"<noun>": {...}}`, a failure is `{"error": {"kind", "message", "hints", "retry_after_s"}}`; a run that failed
/// has both `run` and `error`.
#[derive(Debug, Parser)]
#[command(name = "stn", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Global {
    /// Use this config.yaml, or the one in this folder, instead of STATION_CONFIG_DIR or ~/.config/station
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Ask the Station of this server, e.g. `https://station.example.com`, in place of that of this machine; STN_SERVER
    /// says the same, and `stn login` keeps a key for it
    #[arg(long = "server", id = "server_asked", global = true, value_name = "URL")]
    server: Option<String>,
    /// Speak to a server on another machine without TLS: whoever is in between reads what is sent, and the key
    #[arg(long, global = true)]
    plain_http: bool,
    /// Print JSON, in the shape of the API
    #[arg(long, global = true)]
    json: bool,
    /// Print no progress and no hints
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Use colours
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    color: Color,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Doctor(doctor::Args),
    Demo(demo::Args),
    Sync(sync::Args),
    #[command(subcommand)]
    Agent(agent::Command),
    #[command(subcommand)]
    Runs(runs::Command),
    #[command(subcommand)]
    Approvals(approvals::Command),
    #[command(subcommand)]
    Audit(audit::Command),
    Test(test::Args),
    Serve(serve::Args),
    Stdio(stdio::Args),
    #[command(subcommand)]
    Env(env::Command),
    #[command(subcommand)]
    Variables(variables::Command),
    #[command(subcommand)]
    Budget(budget::Command),
    #[command(subcommand)]
    User(user::Command),
    #[command(subcommand)]
    Mcp(mcp::Command),
    #[command(subcommand)]
    Model(model::Command),
    #[command(subcommand)]
    Key(key::Command),
    #[command(subcommand)]
    Config(config::Command),
    #[command(subcommand)]
    Settings(settings::Command),
    Login(login::Args),
    Logout(logout::Args),
    Completions(completions::Args),
    Man(man::Args),
    /// Print a reference as Markdown
    #[command(name = "__reference", hide = true)]
    Reference {
        /// Of the command line, or of config.yaml
        #[arg(value_enum)]
        of: reference::Of,
    },
}

/// Reads the command line and does what it says.
pub(crate) fn run() -> Code {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match cli.global.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let out = Out::new(if cli.global.json { Form::Json } else { Form::People }, cli.global.quiet);
    cli.command.run(&out, &cli.global).unwrap_or_else(|failure| error::tell(&out, &failure))
}

impl Command {
    fn run(self, out: &Out, global: &Global) -> Result {
        let config = global.config.as_deref();
        if let Self::Reference { of } = self {
            out.answer(&of.text(Cli::command()))?;
            return Ok(Code::Done);
        }
        if let Self::Completions(args) = self {
            return args.run(out);
        }
        if let Self::Man(args) = self {
            return args.run(out);
        }
        let environment = Environment::read();
        let server = match &self {
            // It speaks for whoever started it.
            Self::Stdio(args) if args.handed => None,
            _ => Target::chosen(global.server.as_deref(), global.plain_http, &environment)?,
        };
        if global.plain_http && server.is_none() && !matches!(self, Self::Login(_)) {
            return Err(Error::invalid("`--plain-http` says how a server is spoken to, and none is named")
                .with_hint("name it with `--server`")
                .into());
        }
        if let (Some(target), Some(only)) = (&server, self.only_here()) {
            return Err(only.refusal(&typed(), target).into());
        }
        if let Self::Doctor(args) = self {
            return in_runtime(Box::pin(args.run(out, config, environment)));
        }
        if let Self::Config(config::Command::Edit(args)) = self {
            return in_runtime(Box::pin(args.run(out, config, environment)));
        }
        let makes_home = matches!(self, Self::Init(_) | Self::Demo(_));
        if let Some(path) = config.filter(|path| !makes_home && !path.exists()) {
            let sentence = format!("--config names {}, and there is nothing", path.display());
            return Err(Error::not_found(sentence)
                .with_hint("name a config.yaml or its folder; `stn --config PATH init` makes one there")
                .into());
        }
        let mut session = match &self {
            Self::Stdio(args) if args.handed => Session::handed(out)?,
            Self::Stdio(_) => Session::new(out, config, environment, Faults::Logged)?,
            Self::Config(_) | Self::Settings(_) => Session::mending(out, config, environment)?,
            Self::Serve(_) => Session::counted(out, config, environment)?,
            _ => Session::new(out, config, environment, Faults::Untold)?,
        };
        session.server = server;
        session.plain_http = global.plain_http;
        in_runtime(Box::pin(self.go(&session)))
    }

    /// Why it is carried out on this machine alone; `None` where a server does it as well.
    fn only_here(&self) -> Option<OnlyHere> {
        match self {
            Self::Init(_) => Some(OnlyHere::INIT),
            Self::Doctor(_) => Some(OnlyHere::DOCTOR),
            Self::Demo(_) => Some(OnlyHere::DEMO),
            Self::Test(_) => Some(OnlyHere::TEST),
            Self::Serve(_) => Some(OnlyHere::SERVE),
            Self::Stdio(_) => Some(OnlyHere::STDIO),
            Self::Key(_) => Some(OnlyHere::KEY),
            Self::Config(_) => Some(OnlyHere::CONFIG),
            Self::Mcp(command) => command.only_here(),
            Self::Agent(_)
            | Self::Runs(_)
            | Self::Budget(_)
            | Self::Model(_)
            | Self::Sync(_)
            | Self::Audit(_)
            | Self::Env(_)
            | Self::Variables(_)
            | Self::User(_)
            | Self::Approvals(_)
            | Self::Settings(_)
            | Self::Login(_)
            | Self::Logout(_)
            | Self::Man(_)
            | Self::Completions(_)
            | Self::Reference { .. } => None,
        }
    }

    async fn go(self, session: &Session<'_>) -> Result {
        match self {
            Self::Init(args) => args.run(session).await,
            Self::Demo(args) => args.run(session).await,
            Self::Sync(args) => args.run(session).await,
            Self::Test(args) => args.run(session).await,
            Self::Serve(args) => args.run(session).await,
            Self::Stdio(args) => args.run(session).await,
            Self::Agent(command) => command.run(session).await,
            Self::Runs(command) => command.run(session).await,
            Self::Approvals(command) => command.run(session).await,
            Self::Audit(command) => command.run(session).await,
            Self::Env(command) => command.run(session).await,
            Self::Variables(command) => command.run(session).await,
            Self::Budget(command) => command.run(session).await,
            Self::User(command) => command.run(session).await,
            Self::Mcp(command) => command.run(session).await,
            Self::Model(command) => command.run(session).await,
            Self::Key(command) => command.run(session).await,
            Self::Login(args) => args.run(session).await,
            Self::Logout(args) => args.run(session).await,
            Self::Settings(command) => command.run(session).await,
            Self::Config(command) => command.run(session).await,
            Self::Doctor(_) | Self::Completions(_) | Self::Man(_) | Self::Reference { .. } => Ok(Code::Done),
        }
    }
}

/// The command that was typed, as `stn agent run`.
fn typed() -> String {
    let matches = Cli::command().get_matches();
    let mut words = vec!["stn"];
    let mut below = matches.subcommand();
    while let Some((word, matches)) = below {
        words.push(word);
        below = matches.subcommand();
    }
    words.join(" ")
}

/// Does `work` on one thread: a command waits for models and tools far more than it computes, and starts sooner so.
///
/// Boxed and of one type: the runtime polls what it is given in several places, and each would get a copy of every command.
fn in_runtime(work: Pin<Box<dyn Future<Output = Result> + '_>>) -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::internal("starting the runtime", cause))?;
    let done = runtime.block_on(work);
    // Its threads used OpenSSL, which takes itself down when the process exits: one that is still ending then
    // crashes the process after its work was done.
    runtime.shutdown_timeout(THREADS_END_MAX);
    done
}

/// The whole command line.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

/// Help and version end well; anything else clap says is a usage error.
fn refuse(error: &clap::Error) -> Code {
    let json = std::env::args_os().any(|word| word == "--json");
    let code = if error.use_stderr() { Code::Usage } else { Code::Done };
    match out::usage(error, if json { Form::Json } else { Form::People }) {
        Ok(()) => code,
        Err(failure) => error::tell(&Out::new(Form::People, false), &failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
