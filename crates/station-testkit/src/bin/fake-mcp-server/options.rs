//! What the fake server was told to be.

use std::path::PathBuf;

/// Which eras it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eras {
    Legacy,
    Modern,
    Both,
}

impl Eras {
    pub(crate) fn legacy(self) -> bool {
        self != Self::Modern
    }

    pub(crate) fn modern(self) -> bool {
        self != Self::Legacy
    }
}

/// All options; see the top of `main.rs`.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) eras: Eras,
    pub(crate) name: String,
    pub(crate) log: Option<PathBuf>,
    pub(crate) ledger: Option<PathBuf>,
    pub(crate) trace: Option<PathBuf>,
    pub(crate) echo_says: Option<PathBuf>,
    pub(crate) pids: Option<PathBuf>,
    pub(crate) tools: usize,
    pub(crate) exit_at_start: Option<u8>,
    pub(crate) full: bool,
    pub(crate) noise: bool,
    pub(crate) linger: bool,
    pub(crate) silent: bool,
    pub(crate) dies_at_probe: bool,
    pub(crate) grandchildren: bool,
    pub(crate) list_changed_after_call: bool,
    pub(crate) reach: bool,
    pub(crate) refuse: Option<String>,
    pub(crate) http: Option<PathBuf>,
    pub(crate) reply_sse: bool,
    pub(crate) old_http: bool,
    pub(crate) strays: bool,
    pub(crate) sessions: bool,
    pub(crate) forget: Option<PathBuf>,
    pub(crate) cut: bool,
    pub(crate) need_header: Option<String>,
    pub(crate) redirect_to: Option<String>,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self, String> {
        let mut options = Self {
            eras: Eras::Both,
            name: "fake".to_owned(),
            log: None,
            ledger: None,
            trace: None,
            echo_says: None,
            pids: None,
            tools: 0,
            exit_at_start: None,
            full: false,
            noise: false,
            linger: false,
            silent: false,
            dies_at_probe: false,
            grandchildren: false,
            list_changed_after_call: false,
            reach: false,
            refuse: None,
            http: None,
            reply_sse: false,
            old_http: false,
            strays: false,
            sessions: false,
            forget: None,
            cut: false,
            need_header: None,
            redirect_to: None,
        };
        let mut args = args.iter();
        while let Some(option) = args.next() {
            if options.flag(option) {
                continue;
            }
            let value = args.next().ok_or_else(|| format!("`{option}` is unknown or wants a value"))?;
            options.value(option, value)?;
        }
        Ok(options)
    }

    fn flag(&mut self, option: &str) -> bool {
        let flag = match option {
            "--full" => &mut self.full,
            "--noise" => &mut self.noise,
            "--linger" => &mut self.linger,
            "--silent" => &mut self.silent,
            "--dies-at-probe" => &mut self.dies_at_probe,
            "--grandchildren" => &mut self.grandchildren,
            "--list-changed-after-call" => &mut self.list_changed_after_call,
            "--reach" => &mut self.reach,
            "--reply-sse" => &mut self.reply_sse,
            "--old-http" => &mut self.old_http,
            "--strays" => &mut self.strays,
            "--sessions" => &mut self.sessions,
            "--cut" => &mut self.cut,
            _ => return false,
        };
        *flag = true;
        true
    }

    fn value(&mut self, option: &str, value: &str) -> Result<(), String> {
        let wrong = || format!("`{option}` cannot be `{value}`");
        match option {
            "--era" => {
                self.eras = match value {
                    "legacy" => Eras::Legacy,
                    "modern" => Eras::Modern,
                    "both" => Eras::Both,
                    _ => return Err(wrong()),
                }
            }
            "--name" => value.clone_into(&mut self.name),
            "--log" => self.log = Some(value.into()),
            "--ledger" => self.ledger = Some(value.into()),
            "--trace" => self.trace = Some(value.into()),
            "--echo-says" => self.echo_says = Some(value.into()),
            "--pids" => self.pids = Some(value.into()),
            "--http" => self.http = Some(value.into()),
            "--forget" => self.forget = Some(value.into()),
            "--refuse" => self.refuse = Some(value.to_owned()),
            "--need-header" => self.need_header = Some(value.to_owned()),
            "--redirect-to" => self.redirect_to = Some(value.to_owned()),
            "--tools" => self.tools = value.parse().map_err(|_| wrong())?,
            "--exit-at-start" => self.exit_at_start = Some(value.parse().map_err(|_| wrong())?),
            _ => return Err(format!("`{option}` is unknown")),
        }
        Ok(())
    }
}
