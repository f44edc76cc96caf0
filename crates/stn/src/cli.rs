//! What can be typed, and the way from there to a command.

use crate::cmd::{
    agent, approvals, audit, budget, completions, config, demo, doctor, env, init, key, man, mcp, model,
    runs, serve, settings, stdio, sync, test, user, variables,
};
use crate::error::{self, Code, Result};
use crate::log::Faults;
use crate::out::{self, Form, Out};
use crate::reference;
use crate::session::Session;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use station_core::Error;
use std::path::{Path, PathBuf};
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
    cli.command.run(&out, cli.global.config.as_deref()).unwrap_or_else(|failure| error::tell(&out, &failure))
}

impl Command {
    fn run(self, out: &Out, config: Option<&Path>) -> Result {
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
        if let Self::Doctor(args) = self {
            return in_runtime(Box::pin(args.run(out, config)));
        }
        if let Self::Config(config::Command::Edit(args)) = self {
            return in_runtime(Box::pin(args.run(out, config)));
        }
        let makes_home = matches!(self, Self::Init(_) | Self::Demo(_));
        if let Some(path) = config.filter(|path| !makes_home && !path.exists()) {
            let sentence = format!("--config names {}, and there is nothing", path.display());
            return Err(Error::not_found(sentence)
                .with_hint("name a config.yaml or its folder; `stn --config PATH init` makes one there")
                .into());
        }
        let session = match &self {
            Self::Stdio(args) if args.handed => Session::handed(out)?,
            Self::Stdio(_) => Session::new(out, config, Faults::Logged)?,
            Self::Serve(_) => Session::counted(out, config)?,
            _ => Session::new(out, config, Faults::Untold)?,
        };
        match self {
            Self::Config(command) => command.run(&session),
            Self::Settings(command) => command.run(&session),
            other => in_runtime(Box::pin(other.go(&session))),
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
            Self::Config(command) => command.run(session),
            Self::Settings(command) => command.run(session),
            Self::Doctor(_) | Self::Completions(_) | Self::Man(_) | Self::Reference { .. } => Ok(Code::Done),
        }
    }
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
