//! Records a run as a case: everything that came from outside, without secrets.

use crate::variables::Brought;
use crate::{RunRef, Station, carry, drive, prepare};
use serde_json::json;
use station_core::case::{self, Call, Case, Inputs, Step, Tool, ToolKind};
use station_core::run::Inputs as RunInputs;
use station_core::run::{
    Entry, GrantedTool, MadeEnd, Outcome, OwnTool, Prepared, Taken, Target, steps_taken,
};
use station_core::{Action, Caller, Error, Result, Secret};
use station_store::Run;

impl Station {
    /// A run as a case, to be replayed by [`Station::replay`] without models, tools and keys. Values of variables, of the
    /// environment and of the run, are taken out.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where the run has not begun.
    pub async fn record_run(&self, by: &Caller, id: RunRef) -> Result<Case> {
        by.may(Action::ReadRuns)?;
        let run = self.find_run(by, id).await?;
        let journal = drive::read(self, id).await?;
        let inputs = RunInputs::of(&journal).ok_or_else(|| {
            Error::conflict(format!("run {id} has not begun, so there is nothing to record"))
        })?;
        let detail = json!({ "agent": run.agent.0 });
        self.store().note_deed("record_run", &format!("run {id}"), detail, by.actor(), self.now()).await?;
        let prepared = prepare::restore(self, inputs).await?;
        let outcome = Outcome::of(&journal).cloned();
        let brought = Brought::with(self, id).await?;
        let mut case = Case {
            version: case::VERSION,
            agent: inputs.agent.clone(),
            environment: inputs.environment.clone(),
            task: run.task.clone(),
            variables: brought.given.keys().cloned().collect(),
            recorded_at: self.now().to_string(),
            run: id.0,
            source: self.store().agent_source(run.agent).await.unwrap_or_default(),
            inputs: Inputs {
                system: prepared.system.clone(),
                opening: inputs.opening.clone(),
                models: inputs.models.iter().map(|choice| choice.model.to_string()).collect(),
                steps: inputs.steps.steps,
                settings: prepared.settings.clone(),
                output_schema: prepared.output_schema.clone(),
            },
            tools: self.recorded_tools(&run, &prepared).await?,
            steps: self.recorded_steps(&prepared, &journal).await?,
            outcome,
        };
        let secrets = self.secrets_of(&run, brought).await?;
        case::redact(&mut case, secrets.iter().map(Secret::expose));
        Ok(case)
    }

    /// Definitions as the catalog has them now; as the run was told them where they are gone.
    async fn recorded_tools(&self, run: &Run, prepared: &Prepared) -> Result<Vec<Tool>> {
        let catalog = self.store().catalog(run.environment).await?;
        let tool = |granted: &GrantedTool| {
            let (kind, server, name) = match &granted.target {
                Target::Tool { server_name, tool, .. } => (ToolKind::Tool, server_name.clone(), tool.clone()),
                Target::Agent { name, .. } => (ToolKind::Agent, String::new(), name.clone()),
                Target::Own { tool } => (ToolKind::Own, OwnTool::SERVER.to_owned(), tool.name().to_owned()),
            };
            let known = catalog.iter().find(|tool| tool.server_name == server && tool.name == name);
            Tool {
                name: granted.spec.name.clone(),
                kind,
                server,
                tool: name,
                description: granted.spec.description.clone(),
                input_schema: granted.spec.input_schema.clone(),
                output_schema: known.and_then(|tool| tool.output_schema.clone()),
                annotations: known.map(|tool| tool.annotations).unwrap_or_default(),
            }
        };
        Ok(prepared.tools.iter().map(tool).collect())
    }

    /// The steps whose calls all came to an end, with results as long as they were.
    async fn recorded_steps(&self, prepared: &Prepared, journal: &[Entry]) -> Result<Vec<Step>> {
        let is_over = |step: &Taken| step.calls.iter().all(|call| call.end != MadeEnd::Open);
        let mut steps = Vec::new();
        for taken in steps_taken(prepared, journal).iter().take_while(|step| is_over(step)) {
            let mut step = case::step(taken);
            for (call, made) in step.calls.iter_mut().zip(&taken.calls) {
                self.make_whole(call, made.whole.as_ref()).await?;
            }
            steps.push(step);
        }
        Ok(steps)
    }

    async fn make_whole(&self, call: &mut Call, whole: Option<&station_core::run::Whole>) -> Result<()> {
        if let Some(whole) = whole {
            let body = self.store().blob(&whole.blob).await?;
            call.text = String::from_utf8_lossy(&body).into_owned();
        }
        Ok(())
    }

    /// Every value that may stand in something that this run was told.
    async fn secrets_of(&self, run: &Run, brought: Brought) -> Result<Vec<Secret>> {
        let mut secrets: Vec<Secret> = self.store().variables(run.environment).await?.into_values().collect();
        if let Some(agent) = self.store().agent(run.agent).await? {
            secrets.extend(carry::carried(self, &agent, &brought.given).await?.into_values());
        }
        secrets.extend(brought.given.into_values().chain(brought.carried.into_values()));
        let models = &self.config().models;
        secrets.extend(models.api_key.iter().chain(models.keys.values()).cloned());
        Ok(secrets)
    }
}
