//! Forks: a run that begins with the first steps of another one.

use crate::lease::millis;
use crate::prepare::{self, Kept, RunRequest};
use crate::reading::Reading;
use crate::runs::{check_model, trace_of};
use crate::variables::Brought;
use crate::{Driver, RunRef, Station, carry, drive, rights, spend};
use station_core::budget::Caps;
use station_core::file::prompt::{self, Prompt};
use station_core::run::fork::{ForkPoint, ForkedFrom, Models, fork_points, history};
use station_core::run::{Entry, Event, Inputs, Prepared, step_limit};
use station_core::{Action, Caller, Error, Message, Result, RunId, Secret};
use station_store::{NewFork, RequestClaim, Run};
use std::collections::BTreeMap;
use std::time::Duration;

/// A run to be forked, and what is to be different from there on.
#[derive(Clone, Debug, Default)]
pub struct Fork {
    /// After which of its steps; the last complete one where `None`.
    pub step: Option<u32>,
    /// Instead of its models.
    pub model: Option<String>,
    /// Instead of its prompt: the text of an agent's file, or of its body alone, and the name to tell problems by.
    pub prompt: Option<(String, String)>,
    /// Instead of its task.
    pub task: Option<String>,
    /// Instead of its limit; the steps of the history count.
    pub max_steps: Option<i64>,
    /// Time the fork may take.
    pub timeout: Option<Duration>,
    /// Values for variables, before those of the other run.
    pub variables: BTreeMap<String, Secret>,
    /// Who is to drive it.
    pub driver: Driver,
    /// The request that asks for it, where its sender gave it a key.
    pub once: Option<RequestClaim>,
}

impl Station {
    /// Makes a run that begins with the first steps of `of`, and puts it in the queue. What `of` called is history: it
    /// is in the conversation and is never sent again. `of` may be at work, have ended, or be a fork itself.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where `of` has not begun, has no such step, or its agent cannot run; `Invalid` where
    /// what is to be different cannot be; `Busy` as [`Station::start_run`].
    pub async fn fork_run(&self, by: &Caller, of: RunRef, fork: Fork) -> Result<Run> {
        by.may(Action::RunAgents)?;
        check_model(fork.model.as_deref())?;
        let run = self.find_run(by, of).await?;
        let agent = rights::runnable(self, run.agent).await?;
        let journal = drive::read(self, of).await?;
        let inputs = Inputs::of(&journal).cloned().ok_or_else(|| {
            Error::conflict(format!("run {of} has not begun, so there is nothing to fork"))
                .with_hint("start a new run with `stn agent run`")
        })?;
        let prepared = prepare::restore(self, &inputs).await?;
        let point = point(of, fork.step, &fork_points(&prepared, &journal))?;
        self.refuse_given(by, run.environment, &fork.variables).await?;
        let before = self.brought_again(by, &run).await?;
        let mut variables = before.given;
        variables.extend(fork.variables.clone());

        let mut next = Next { task: fork.task.clone().unwrap_or(run.task.clone()), prepared, inputs };
        let models = next.change(self, &run, &fork, &variables)?;
        next.inputs.forked_from = Some(ForkedFrom { run: of, step: point.step });
        next.inputs.depth = 0;
        // Limits are those of now; what was asked for the other run alone, or for those above it, is not this one's.
        next.inputs.above = Vec::new();
        let brought = Brought { given: variables.clone(), carried: before.carried };
        let reading = Reading::now(self, run.agent, by.user, &brought).await?;
        let root = Run { parent: None, ..run.clone() };
        let files = (reading.prompt.limits, reading.rights.limits);
        next.inputs.limits = spend::own_limits(self, &root, files, Caps::default());
        next.limit(self, of, point, &fork)?;
        let kept = Kept::of(&next.prepared)?;
        kept.name(&mut next.inputs);
        let request = RunRequest {
            model: fork.model,
            max_steps: fork.max_steps,
            timeout_ms: fork.timeout.map(millis),
            scopes: by.scopes.clone(),
            trace: Some(trace_of(by)),
            ..RunRequest::default()
        };
        let mut carried = brought.carried;
        if fork.driver == Driver::Worker {
            carried.extend(carry::carried(self, &agent, &variables).await?);
        }
        let row = station_store::NewRun {
            agent: run.agent,
            environment: run.environment,
            user: by.user,
            task: next.task,
            request: request.to_json()?,
            model: next.inputs.models.first().map(|choice| choice.model.to_string()),
            variables,
            carried,
            parent: None,
            depth: 0,
            priority: 0,
            once: fork.once,
        };
        let at = self.now();
        let first = std::iter::once(Event::RunStarted(Box::new(next.inputs)));
        let events = first.chain(history(&journal, point, models));
        let entries = (1..).zip(events).map(|(seq, event)| Entry { seq, at, event }).collect();
        let from = ForkedFrom { run: of, step: point.step };
        let new = NewFork { run: row, from, entries, blobs: kept.into_blobs() };
        let queue_max = match fork.driver {
            Driver::Caller => None,
            Driver::Worker => Some(self.config().queue_max),
        };
        let id = self.store().enqueue_fork(new, queue_max, at).await?;
        self.run(id).await
    }
}

/// The inputs of a fork while they are changed.
struct Next {
    task: String,
    prepared: Prepared,
    inputs: Inputs,
}

impl Next {
    /// Another prompt, task and model, as far as they are named.
    fn change(
        &mut self,
        station: &Station,
        run: &Run,
        fork: &Fork,
        variables: &BTreeMap<String, Secret>,
    ) -> Result<Models> {
        let prompt = fork.prompt.as_ref().map(|(text, path)| read(text, path)).transpose()?;
        if let Some(prompt) = &prompt {
            let (rendered, warnings) = prepare::rendered(prompt, &self.task, variables)?;
            self.prepared.system = rendered.system;
            self.prepared.settings = prompt.settings.clone();
            self.prepared.output_schema.clone_from(&prompt.output_schema);
            self.inputs.opening = rendered.turns;
            self.inputs.warnings = warnings;
            if !prompt.tools.is_empty() || !prompt.agents.is_empty() {
                let sentence = format!(
                    "a fork has the tools of run {}; those that {} names are not read",
                    run.id, prompt.path
                );
                self.inputs.warnings.push(sentence);
            }
        } else if fork.task.is_some() {
            retask(run, &mut self.inputs.opening, &self.task)?;
        }
        let named = fork.model.clone().map(|model| vec![model]);
        let named = named.or_else(|| prompt.map(|it| it.models).filter(|models| !models.is_empty()));
        let Some(written) = named else { return Ok(Models::Same) };
        self.inputs.models = station.models().choices(&written)?.usable;
        Ok(Models::Other)
    }

    /// How far and how long the fork may go.
    fn limit(&mut self, station: &Station, of: RunId, point: ForkPoint, fork: &Fork) -> Result<()> {
        if fork.max_steps.is_some() {
            self.inputs.steps = step_limit(fork.max_steps, &self.task, 0, 0);
        }
        let limit = self.inputs.steps.steps;
        if limit <= point.step {
            let sentence = format!(
                "a fork of run {of} after step {} has no step left: its limit is {limit}",
                point.step
            );
            return Err(Error::invalid(sentence)
                .with_hint("fork it earlier, or give it more with `--max-steps` (25 at most)"));
        }
        let time = fork.timeout.unwrap_or(station.config().run_timeout);
        self.inputs.deadline = station.now().plus_ms(millis(time));
        Ok(())
    }
}

/// The place that is meant.
fn point(of: RunId, step: Option<u32>, points: &[ForkPoint]) -> Result<ForkPoint> {
    let found = match step {
        None => points.last(),
        Some(step) => points.iter().find(|point| point.step == step),
    };
    found.copied().ok_or_else(|| {
        let steps: Vec<String> = points.iter().map(|point| point.step.to_string()).collect();
        let asked = step.map(|step| format!(" after step {step}")).unwrap_or_default();
        Error::conflict(format!(
            "run {of} cannot be forked{asked}; it can be after steps {}",
            steps.join(", ")
        ))
        .with_hint(format!("0 is before its first step; see them with `stn runs inspect {of}`"))
    })
}

/// A prompt's file, or its body alone.
fn read(text: &str, path: &str) -> Result<Prompt> {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let is_file = first.is_some_and(|line| line.trim_end() == "---");
    let (prompt, problems) = match is_file {
        true => prompt::read(text, path),
        false => prompt::read(&format!("---\n---\n{text}"), path),
    };
    prompt.ok_or_else(|| {
        let sentences: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Error::invalid(format!("the prompt is broken: {}", sentences.join("; ")))
    })
}

/// Puts another task in place of the one that the rendered prompt ends with.
fn retask(run: &Run, opening: &mut [Message], task: &str) -> Result<()> {
    if task.trim().is_empty() {
        return Err(
            Error::invalid("the task is empty").with_hint("say what the agent is to do, in one argument")
        );
    }
    // Where it stands more than once, nobody can say which of them is the task.
    let holds = |message: &&mut Message| matches!(message, Message::User { text } if text.matches(run.task.trim()).count() == 1);
    match opening.iter_mut().rev().find(holds) {
        Some(Message::User { text }) => {
            *text = text.replace(run.task.trim(), task.trim());
            Ok(())
        }
        _ => Err(Error::invalid(format!(
            "the prompt of run {} does not show its task just once, as it was given",
            run.id
        ))
        .with_hint("give the fork a prompt of its own with `--prompt FILE`")),
    }
}
