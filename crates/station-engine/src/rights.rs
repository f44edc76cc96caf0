//! What one agent may see and call now: its grants, the catalog, and the rules over them, in one reading.
//!
//! Listing at the start of a run and the check at each call use this same reading, made anew each time: rights are
//! not frozen with a run's inputs. **Invariant:** everything here is of the agent's own environment.

use crate::Station;
use crate::pool::Reach;
use crate::variables::Values;
use station_core::budget::Limits;
use station_core::file::rules::EnvironmentRules;
use station_core::file::{rules, servers};
use station_core::grant::{self, Denied, Verdict, Who};
use station_core::lock::Policy;
use station_core::tool::definition_hash;
use station_core::verify::VerifyRule;
use station_core::{
    Agent, EnvironmentId, Error, Result, Role, Server, ServerId, ServerSettings, Tool, UserId,
};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// An agent's tools as they are now.
pub(crate) struct Rights {
    pub(crate) tools: Vec<Allowed>,
    /// Written grants that no tool stands behind now.
    pub(crate) unlinked: Vec<String>,
    /// What there is to say of granted tools that are not as `mcp.lock` pins them.
    pub(crate) unpinned: Vec<String>,
    /// What runs of the environment may spend.
    pub(crate) limits: Limits,
    /// The role of whoever started the run; `None` where they may run nothing here any more.
    pub(crate) role: Option<Role>,
    servers: BTreeMap<ServerId, Known>,
}

/// A granted tool, judged.
pub(crate) struct Allowed {
    /// The grant as written.
    pub(crate) written: String,
    pub(crate) tool: Tool,
    pub(crate) verdict: Verdict,
    /// How it is found out whether a call took effect, or why that cannot be found out as it is written.
    pub(crate) look: Option<Result<VerifyRule, String>>,
}

/// A server of an environment: how it is reached, or why it cannot be.
pub(crate) struct Known {
    pub(crate) settings: ServerSettings,
    pub(crate) reach: Result<Reach, String>,
}

impl Rights {
    /// Reads what `agent` may do now. `values` resolves the variables of the servers behind its grants.
    pub(crate) async fn read(
        station: &Station,
        agent: &Agent,
        user: UserId,
        approve: &[String],
        values: &Values,
    ) -> Result<Self> {
        let store = station.store();
        let grants = store.granted(agent.id).await?;
        let (mut granted, mut unlinked, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (written, tool) in grants {
            match tool {
                None => unlinked.push(written),
                Some(tool) if seen.insert(tool.id) => granted.push((written, tool)),
                Some(_) => {}
            }
        }
        let servers = granted.iter().map(|(_, tool): &(String, Tool)| tool.server_name.clone()).collect();
        let judge = Judge::read(station, agent.environment, servers).await?;
        let role = station.role_in(user, agent.environment).await?;
        let mut known = BTreeMap::new();
        for server in store.servers(Some(agent.environment)).await? {
            if granted.iter().any(|(_, tool)| tool.server == server.id) {
                known.insert(server.id, Known::read(station, &server, values).await?);
            }
        }
        let mut offered: BTreeMap<ServerId, Vec<Tool>> = BTreeMap::new();
        let (mut tools, mut unpinned) = (Vec::new(), Vec::new());
        for (written, tool) in granted {
            let Some(Known { settings, .. }) = known.get(&tool.server) else { continue };
            let who = Who { agent: Some(agent.name.as_str()), role };
            let of_agent = |tool: &Tool| judge.judge(tool, who, settings, approve);
            let verdict = of_agent(&tool);
            if !judge.is_pinned(&tool) {
                unpinned.push(judge.said(&tool));
            }
            let look = match verdict.verify.clone() {
                Some(rule) if verdict.secret => Some(Err(format!(
                    "what it answers is secret, and what `{}` says of it is not",
                    rule.tool
                ))),
                Some(rule) => {
                    let siblings = match offered.entry(tool.server) {
                        Entry::Occupied(known) => known.into_mut(),
                        Entry::Vacant(unknown) => unknown.insert(store.tools_of(tool.server).await?),
                    };
                    Some(looker(siblings, &tool, &rule, of_agent).map(|()| rule))
                }
                None => None,
            };
            tools.push(Allowed { written, tool, verdict, look });
        }
        Ok(Self { tools, unlinked, unpinned, limits: judge.rules.limits, role, servers: known })
    }

    /// How the server of a tool is reached, or why it cannot be.
    pub(crate) fn reach(&self, server: ServerId) -> Result<&Reach, String> {
        match self.servers.get(&server).map(|known| &known.reach) {
            Some(Ok(reach)) => Ok(reach),
            Some(Err(sentence)) => Err(sentence.clone()),
            None => Err("the tool's server does not exist any more".to_owned()),
        }
    }

    /// Why calls of granted tools cannot be verified as it is written, one sentence each.
    pub(crate) fn unverifiable(&self) -> Vec<String> {
        let looks = self.tools.iter().filter_map(|it| Some((&it.tool, it.look.as_ref()?.as_ref().err()?)));
        looks.map(|(tool, why)| format!("calls of `{}` cannot be verified: {why}", tool.name)).collect()
    }

    /// The servers whose files say how much of a result stands in the conversation.
    pub(crate) fn result_limits(&self) -> BTreeMap<String, u64> {
        let limit = |tool: &Tool| {
            let settings = &self.servers.get(&tool.server)?.settings;
            Some((tool.server_name.clone(), settings.result_bytes_max?))
        };
        self.tools.iter().filter_map(|it| limit(&it.tool)).collect()
    }

    /// Why servers behind the agent's grants cannot be reached as they are configured, one sentence each.
    pub(crate) fn broken(&self) -> Vec<String> {
        self.servers.values().filter_map(|known| known.reach.as_ref().err().cloned()).collect()
    }
}

/// Whether the tool that `rule` names can look for calls of `tool`: a tool of the same server that changes nothing, or
/// nothing more when it is called twice. The agent needs no grant for it: the operator named it.
fn looker(
    siblings: &[Tool],
    tool: &Tool,
    rule: &VerifyRule,
    judge: impl Fn(&Tool) -> Verdict,
) -> Result<(), String> {
    let found = siblings.iter().find(|other| other.name == rule.tool);
    let Some(looker) = found else {
        return Err(format!("server `{}` offers no tool `{}`", tool.server_name, rule.tool));
    };
    let verdict = judge(looker);
    if let Err(denied) = verdict.allowed {
        return Err(format!("`{}` may not be used: {}", rule.tool, denied.reason()));
    }
    if !(verdict.read_only || verdict.idempotent) {
        return Err(format!("`{}` is neither read-only nor idempotent", rule.tool));
    }
    if verdict.secret {
        return Err(format!("what `{}` answers is secret (`tools.secret`)", rule.tool));
    }
    if verdict.approval.is_some() {
        return Err(format!("`{}` waits for an approval itself", rule.tool));
    }
    Ok(())
}

impl Known {
    pub(crate) async fn read(station: &Station, server: &Server, values: &Values) -> Result<Self> {
        let config = station.store().config_source(server.id).await?;
        let value_of = |name: &str| values.get(name);
        let text = config.source.expose();
        let (settings, reach) = match servers::resolve(text, &config.path, &server.name, &value_of) {
            Ok((definition, settings)) => (settings.clone(), Ok(reach(server, definition, settings))),
            Err(unresolved) => {
                let shown = |name: &str| values.get(name).map(|value| value.expose().to_owned());
                let (file, _) = servers::read(text, &config.path, &shown);
                let entry =
                    file.into_iter().flat_map(|file| file.entries).find(|entry| entry.name == server.name);
                (
                    entry.map(|entry| entry.settings).unwrap_or_default(),
                    Err(values.explain(&server.name, &unresolved)),
                )
            }
        };
        Ok(Self { settings, reach })
    }
}

/// What an environment makes of its tools: its rules, and what its lock pins.
pub(crate) struct Judge {
    rules: EnvironmentRules,
    /// Hashes by server and tool; `None` where there is no lock.
    pins: Option<BTreeMap<String, BTreeMap<String, String>>>,
}

impl Judge {
    /// Reads what there is to judge tools of `servers` by.
    pub(crate) async fn read(
        station: &Station,
        environment: EnvironmentId,
        servers: BTreeSet<String>,
    ) -> Result<Self> {
        let rules = rules_of(station, environment).await?;
        let mut pins = None;
        if station.store().is_locked(environment).await? {
            let pins = pins.insert(BTreeMap::new());
            for server in servers {
                let of_server = station.store().pins(environment, &server).await?;
                pins.insert(server, of_server);
            }
        }
        Ok(Self { rules, pins })
    }

    /// Whether the environment's gateway offers its agents too.
    pub(crate) fn offers_agents(&self) -> bool {
        self.rules.agents_as_tools
    }

    /// Whether a tool is as it is pinned, or nothing is.
    fn is_pinned(&self, tool: &Tool) -> bool {
        self.pins.as_ref().is_none_or(|pins| {
            let pin = pins.get(&tool.server_name).and_then(|of_server| of_server.get(&tool.name));
            pin == Some(&definition_hash(tool))
        })
    }

    /// What is made of a tool. What another rule forbids stays forbidden by that.
    pub(crate) fn judge(
        &self,
        tool: &Tool,
        who: Who<'_>,
        settings: &ServerSettings,
        approve: &[String],
    ) -> Verdict {
        let mut verdict = grant::judge(tool, who, settings, &self.rules.rules, approve);
        if verdict.allowed.is_ok() && self.rules.lock == Policy::Hold && !self.is_pinned(tool) {
            verdict.allowed = Err(Denied::Held);
        }
        verdict
    }

    /// What is said of a tool that is not as it is pinned.
    fn said(&self, tool: &Tool) -> String {
        let (server, name) = (&tool.server_name, &tool.name);
        let held = if self.rules.lock == Policy::Hold { ", and held back" } else { "" };
        format!("`{server}__{name}` is not as `mcp.lock` pins it{held}: see `stn mcp lock`")
    }
}

/// The rules of an environment.
///
/// # Errors
/// `Invalid` where they cannot be read: then nothing that they may close is open.
async fn rules_of(station: &Station, environment: EnvironmentId) -> Result<EnvironmentRules> {
    let (rules, problems) = rules::read(&station.store().rules(environment).await?, "environment.yml");
    rules.ok_or_else(|| {
        let sentences: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Error::invalid(format!("the environment's rules cannot be read: {}", sentences.join("; ")))
            .with_hint("mend `environment.yml` and `stn sync`: until then nothing runs here")
    })
}

/// Resolves how one server is reached, for discovery.
pub(crate) async fn reach_of(
    station: &Station,
    server: &Server,
    values: &Values,
) -> Result<Result<Reach, String>> {
    Known::read(station, server, values).await.map(|known| known.reach)
}

fn reach(server: &Server, definition: station_core::Definition, settings: ServerSettings) -> Reach {
    Reach {
        environment: server.environment,
        server: server.id,
        name: server.name.clone(),
        definition,
        settings,
        era: server.era,
        problem: server.problem.clone(),
        token: None,
        asks: station_mcp::Asks::default(),
    }
}

/// The agent of a run, if it still may run.
///
/// # Errors
/// `NotFound` where it was removed, `Conflict` where it is disabled.
pub(crate) async fn runnable(station: &Station, id: station_core::AgentId) -> Result<Agent> {
    let agent = station.store().agent(id).await?;
    let agent = agent.ok_or_else(|| Error::not_found(format!("agent {id} does not exist any more")))?;
    if !agent.enabled {
        return Err(Error::conflict(format!("agent `{}` is disabled", agent.name)));
    }
    Ok(agent)
}
