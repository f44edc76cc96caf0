//! Models as people set them up: what there is to ask, and whether it answers.

use crate::Station;
use futures::StreamExt as _;
use station_core::budget::{Price, Prices};
use station_core::run::Settings;
use station_core::{Action, Caller, Message, ModelRef, Result, Usage};
use station_llm::{AskError, KeyState, NamedBy, Offer, Repeat, Request, Supports};
use std::time::{Duration, Instant};

/// What a model is asked to see whether it answers.
const QUESTION: &str = "Answer with the word: ready";
/// Tokens of the answer at most: a word, and what the providers take for the least.
const ANSWER_TOKENS: u32 = 64;
/// Models that are asked at a time: few enough that none waits for another's answer.
const AT_A_TIME: usize = 8;

/// What there is to ask.
#[derive(Debug)]
pub struct ModelList {
    /// Every provider, the configured one first.
    pub providers: Vec<Offer>,
    /// The configured model, and the names of `models:` in config.yaml.
    pub models: Vec<KnownModel>,
}

/// A name, and what is known of the model that it means.
#[derive(Debug)]
pub struct KnownModel {
    /// As it is written.
    pub name: String,
    /// Where.
    pub by: NamedBy,
    /// The model, or why it is none.
    pub model: Result<Known>,
}

/// What is known of a model without asking it.
#[derive(Clone, Debug)]
pub struct Known {
    /// The model.
    pub model: ModelRef,
    /// How the key of its provider stands.
    pub key: KeyState,
    /// What it takes.
    pub supports: Supports,
    /// What it costs, by the table `prices` of config.yaml.
    pub price: Option<Price>,
}

/// What came of asking a model once.
#[derive(Debug)]
pub struct ModelTest {
    /// What is known of it; or why the name means no model.
    pub model: Result<Known>,
    /// As it was named.
    pub name: String,
    /// What it answered, or why it did not; `None` where it was not asked.
    pub outcome: Option<std::result::Result<Answered, AskError>>,
    /// How long it took.
    pub took: Duration,
}

/// An answer, as far as a test wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The model as the provider called it.
    pub by: String,
    /// What it cost.
    pub usage: Usage,
}

impl Station {
    /// Lists what there is to ask: providers, and the names that are written in the configuration. Asks nobody.
    pub fn list_models(&self, by: &Caller) -> Result<ModelList> {
        by.may(Action::ReadModels)?;
        let models = self.models().written().into_iter().map(|named| KnownModel {
            name: named.name,
            by: named.by,
            model: named.model.map(|model| self.known(model)),
        });
        Ok(ModelList { providers: self.models().offers(), models: models.collect() })
    }

    /// What models cost, by the table `prices` of config.yaml.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn list_prices(&self, by: &Caller) -> Result<&Prices> {
        by.may(Action::ReadModels)?;
        Ok(&self.config().prices)
    }

    /// Asks each model of `names` once, without a second attempt; without names one model of each provider that is set up.
    /// It counts against no budget: nothing is asked that a run waits for.
    ///
    /// # Errors
    /// No name is given, and no provider is set up.
    pub async fn test_models(
        &self,
        by: &Caller,
        names: &[String],
        within: Duration,
    ) -> Result<Vec<ModelTest>> {
        by.may(Action::RunAgents)?;
        let mut asked: Vec<(String, Result<ModelRef>)> =
            names.iter().map(|name| (name.clone(), self.models().named(name))).collect();
        if names.is_empty() {
            asked = self.models().samples().into_iter().map(|model| (model.to_string(), Ok(model))).collect();
            if let Some(installed) = self.models().installed().await {
                let name = installed.as_ref().map_or_else(|_| "ollama".to_owned(), ToString::to_string);
                asked.push((name, installed));
            }
        }
        if asked.is_empty() {
            // Says what to set.
            self.models().choices(&[])?;
        }
        let tests = asked.into_iter().map(|(name, model)| self.test_model(name, model, within));
        Ok(futures::stream::iter(tests).buffered(AT_A_TIME).collect().await)
    }

    async fn test_model(&self, name: String, model: Result<ModelRef>, within: Duration) -> ModelTest {
        let known = model.map(|model| self.known(model));
        let started = Instant::now();
        let outcome = match &known {
            Ok(known) => Some(self.try_once(&known.model, within).await),
            Err(_) => None,
        };
        ModelTest { model: known, name, outcome, took: started.elapsed() }
    }

    async fn try_once(&self, model: &ModelRef, within: Duration) -> std::result::Result<Answered, AskError> {
        let messages = [Message::User { text: QUESTION.to_owned() }];
        let settings = Settings { max_output_tokens: Some(ANSWER_TOKENS), ..Settings::default() };
        let request = Request {
            messages: &messages,
            tools: &[],
            settings: &settings,
            output_schema: None,
            repeat: Repeat::Never,
            trace: None,
        };
        let asked = self.models().ask(model, &request, &|_| {});
        let answer = tokio::time::timeout(within, asked)
            .await
            .unwrap_or_else(|_| Err(AskError::too_slow(model, within)))?;
        Ok(Answered { by: answer.model, usage: answer.usage })
    }

    fn known(&self, model: ModelRef) -> Known {
        Known {
            key: self.models().key_state(&model.provider),
            supports: self.models().supports(&model),
            price: self.config().prices.of(&model).cloned(),
            model,
        }
    }
}
