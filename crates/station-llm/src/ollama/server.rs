//! What an Ollama says of itself: which models it has, and whether one of them sees images. Only it knows.

use crate::Models;
use crate::choose::{Endpoint, at};
use crate::send::with_key;
use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use station_core::{Error, ModelRef, Result};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// The provider's word.
const WORD: &str = "ollama";

/// Longest time for such an answer: nothing is computed for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most bytes of one: with a model comes its licence, whole.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Which models see images, by the address of their server and their name, as far as one was asked.
#[derive(Debug, Default)]
pub(crate) struct Seeing(Mutex<BTreeMap<(String, String), bool>>);

impl Models {
    /// A model that the Ollama at `OLLAMA_HOST` has, where nothing that is configured names one of it; `None` where the
    /// variable is not set, or one is named.
    pub async fn installed(&self) -> Option<Result<ModelRef>> {
        self.config.ollama_host.as_ref().filter(|host| !host.trim().is_empty())?;
        if self.samples().iter().any(|model| model.provider == WORD) {
            return None;
        }
        let (_, base) = self.base(WORD).ok()?;
        Some(self.first_installed(&base).await)
    }

    async fn first_installed(&self, base: &str) -> Result<ModelRef> {
        let unreachable = || {
            Error::upstream(format!("Ollama at `{base}` cannot be reached"))
                .with_hint("start it with `ollama serve`, or set `OLLAMA_HOST` to where it listens")
        };
        let url = format!("{base}/api/tags");
        let client = self.transport.client(&url).map_err(|_| unreachable())?;
        let told = answer(client.get(&url)).await.ok_or_else(unreachable)?;
        let names: Vec<&str> = told["models"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|model| model["name"].as_str())
            .collect();
        // One that makes vectors cannot be talked to, and nothing but its name says so here.
        let name = names.into_iter().find(|name| !name.contains("embed"));
        name.map(|name| at(WORD, name)).ok_or_else(|| {
            Error::upstream(format!("Ollama at `{base}` has no model"))
                .with_hint("`ollama pull NAME` brings one")
        })
    }

    /// Whether the model at `endpoint` sees images; where its server does not say, it is shown none.
    pub(crate) async fn sees_images(&self, endpoint: &Endpoint) -> bool {
        let place = (endpoint.url.clone(), endpoint.model.model.clone());
        if let Some(sees) = self.seeing.known(&place) {
            return sees;
        }
        let url = endpoint.url.replace("/api/chat", "/api/show");
        let Ok(client) = self.transport.client(&url) else { return false };
        let asked = client.post(&url).header(CONTENT_TYPE, "application/json");
        let asked = asked.body(json!({ "model": place.1 }).to_string());
        let Ok(asked) = with_key(asked, endpoint) else { return false };
        let Some(told) = answer(asked).await else { return false };
        let sees = told["capabilities"].as_array().is_some_and(|all| all.iter().any(|word| word == "vision"));
        self.seeing.keep(place, sees);
        sees
    }
}

impl Seeing {
    fn known(&self, place: &(String, String)) -> Option<bool> {
        self.0.lock().expect("no holder of this lock can panic").get(place).copied()
    }

    fn keep(&self, place: (String, String), sees: bool) {
        self.0.lock().expect("no holder of this lock can panic").insert(place, sees);
    }
}

/// The JSON that is answered; `None` for anything else.
async fn answer(asked: RequestBuilder) -> Option<Value> {
    let read = async {
        let mut response = asked.send().await.ok().filter(|it| it.status() == StatusCode::OK)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.ok()? {
            body.extend_from_slice(&chunk);
            if body.len() > BYTES_MAX {
                return None;
            }
        }
        serde_json::from_slice(&body).ok()
    };
    tokio::time::timeout(PATIENCE, read).await.ok().flatten()
}
