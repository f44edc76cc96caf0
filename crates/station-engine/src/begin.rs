//! How a driver begins what the machine says is next: through the gate, and into the journal.
//!
//! Nothing is sent here. What the gate lets through becomes `EffectStarted`, what it refuses an answer, and what waits
//! for a person a question that stands in the store from the same commit on.

use crate::Clock;
use crate::call::{self, Admission, Wish};
use crate::drive::Drive;
use crate::perform::Started;
use crate::prepare::{RunRequest, first_model};
use station_core::approval::Basis;
use station_core::run::{Event, Target, Todo};
use station_core::{AgentId, EffectId, Result};
use station_store::{NewApproval, NewRun};

impl Drive<'_> {
    /// Passes the gate and appends `EffectStarted` for what it lets through, in the order of the calls. What finds no
    /// turn at its server stays as it is.
    pub(crate) async fn begin(&mut self, todos: Vec<Todo>) -> Result<Vec<Started>> {
        let mut started = Vec::with_capacity(todos.len());
        self.turns.begin();
        for todo in todos {
            let fresh = Clock::effect_id();
            match &todo {
                Todo::Ask { model, .. } => {
                    self.paced.clear();
                    if let Some(compacted) = self.machine.compaction() {
                        self.journal.add(self.machine.apply(compacted));
                    }
                    let (model, messages) = (model.clone(), self.machine.messages());
                    self.journal.add(self.machine.start(&todo, fresh));
                    started.push(Started::Ask { id: fresh, model, messages, max_output: None });
                }
                Todo::Call { tool, arguments, .. } if matches!(tool.target, Target::Own { .. }) => {
                    let (id, reading) = (todo.id().unwrap_or(fresh), self.machine.reading(arguments));
                    self.journal.add(self.machine.start(&todo, fresh));
                    started.push(Started::Read { id, reading: Box::new(reading) });
                }
                Todo::Call { .. } | Todo::Verify { .. } => started.extend(self.pass(todo, fresh).await?),
                Todo::Spawn { agent, task, .. } => {
                    let child = self.child(*agent, task, fresh).await?;
                    self.journal.add(self.machine.start(&todo, fresh));
                    self.journal.spawn(fresh, child);
                }
            }
        }
        self.turns.end();
        Ok(started)
    }

    /// Brings a call, or a look for one, through the gate.
    async fn pass(&mut self, mut todo: Todo, fresh: EffectId) -> Result<Option<Started>> {
        let id = todo.id().unwrap_or(fresh);
        let (slot, admission) = match &todo {
            Todo::Call { slot, tool, arguments, again, given, .. } => {
                let (arguments, given) = (arguments.clone(), given.as_deref());
                let wish = Wish { granted: tool, arguments, id, again: *again, given };
                (*slot, call::admit(self.station, &self.on, wish).await?)
            }
            Todo::Verify { slot, tool, look, .. } => {
                (*slot, call::admit_look(self.station, &self.on, tool, look).await?)
            }
            Todo::Ask { .. } | Todo::Spawn { .. } => return Ok(None),
        };
        match admission {
            Admission::Granted(permit) => {
                let Some(permit) = self.turns.give(self.station, permit) else { return Ok(None) };
                self.paced.remove(&slot);
                if let Todo::Call { terms, .. } = &mut todo {
                    **terms = permit.terms.clone();
                }
                if let Some(approved) = permit.terms.approved.clone() {
                    self.journal.use_yes(id, approved);
                }
                self.journal.add(self.machine.start(&todo, fresh));
                return Ok(Some(Started::Call { id, permit }));
            }
            Admission::Refused(sentence) => {
                self.journal.add(self.machine.apply(Event::Refused { slot, sentence }));
            }
            // Nobody can approve a call that may have taken effect already.
            Admission::Asks(basis) if is_repeat(&todo) => {
                let sentence = format!(
                    "the outcome of this call is unknown: it was out when Station was interrupted. It is not repeated, because {} asks for an approval now",
                    basis.rule
                );
                self.journal.add(self.machine.apply(Event::Refused { slot, sentence }));
            }
            Admission::Asks(basis) => self.ask_a_person(&todo, fresh, basis),
        }
        Ok(None)
    }

    /// Puts the question whether a call may be sent; a yes that does not hold any more is taken back first.
    fn ask_a_person(&mut self, todo: &Todo, fresh: EffectId, basis: Basis) {
        let Todo::Call { tool, arguments, given, .. } = todo else { return };
        let Target::Tool { server, tool: name, .. } = &tool.target else { return };
        if let Some(given) = given {
            let why = basis.changed_since(&given.basis).unwrap_or("it was taken back");
            let sentence = format!("the approval of `{name}` does not hold any more: {why}");
            self.journal.add(self.machine.apply(Event::ApprovalVoided { id: given.id, sentence }));
            self.journal.void(given.id);
        }
        let question = NewApproval {
            effect: fresh,
            agent: self.on.agent,
            server: *server,
            tool: name.clone(),
            arguments: serde_json::Value::Object(arguments.clone()).to_string(),
            basis: basis.clone(),
            expires_at: self
                .station
                .config()
                .approval_timeout
                .map(|after| self.station.now().plus_ms(crate::lease::millis(after))),
        };
        if let Some(planned) = self.machine.plan(todo, fresh, basis) {
            self.journal.add(planned);
            self.journal.ask(question);
        }
    }

    async fn child(&self, agent: AgentId, task: &str, effect: EffectId) -> Result<NewRun> {
        let (limits, above) = self.spending.inherited();
        let deadline = self.machine.deadline();
        let (scopes, trace) = (self.on.scopes.clone(), self.on.trace.map(|trace| trace.at(effect.0)));
        let request = RunRequest { deadline, limits, above, scopes, trace, ..RunRequest::default() };
        let model = match self.station.store().agent(agent).await? {
            Some(agent) => first_model(self.station, &agent, None).await,
            None => None,
        };
        Ok(NewRun {
            agent,
            environment: self.run.environment,
            user: self.run.user,
            task: task.to_owned(),
            request: request.to_json()?,
            model,
            variables: self.on.brought.given.clone(),
            carried: self.on.brought.carried.clone(),
            parent: Some((self.run.id, effect)),
            depth: self.run.depth + 1,
            priority: self.run.priority,
            once: None,
        })
    }
}

/// Whether a call was out before, and nothing proves that it did not take effect.
fn is_repeat(todo: &Todo) -> bool {
    matches!(todo, Todo::Call { again: Some(again), .. } if !again.absent)
}
