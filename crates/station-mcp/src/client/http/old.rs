//! The transport of 2024-11-05: one stream of events over which everything is answered, and the address to post to as
//! its first event.
//!
//! Its events have no ids, so a stream that is cut is the end of the connection, and what was out is unknown.
//! **Invariant:** the address it names is of the same origin: the headers of the entry are meant for no other.

use super::super::messages::{BYTES_MAX, messages};
use super::answer::{answered, kind, words};
use super::exchange::same_origin;
use super::link::{Link, Way};
use super::reader;
use super::target::explain;
use super::{Target, Wire};
use crate::client::traffic::Traffic;
use reqwest::header::ACCEPT;
use reqwest::{Response, StatusCode};
use station_core::sse::{Event, Reader};
use std::sync::Arc;

impl Wire {
    /// Opens the stream and waits for the address to post to.
    ///
    /// # Errors
    /// Why there is none, as the rest of a sentence that begins with the server's name.
    pub(in super::super) async fn old(
        server: &str,
        mut target: Target,
        traffic: Arc<Traffic>,
    ) -> Result<Self, String> {
        let mut headers = target.headers.clone();
        target.bearer.add_to(&mut headers);
        let asked = target.client.get(target.url.clone()).headers(headers);
        let response = asked.header(ACCEPT, "text/event-stream").send().await;
        let mut response = response.map_err(|error| explain(&error))?;
        if response.status() != StatusCode::OK {
            target.bearer.heed(&target.headers, response.status().as_u16(), response.headers());
            return Err(words(response.status()));
        }
        if kind(&response) != "text/event-stream" {
            return Err("answered something that is no stream of events".to_owned());
        }
        let mut reader = reader();
        let mut early = Vec::new();
        let endpoint = loop {
            early.extend(more(&mut response, &mut reader).await?);
            if let Some(at) = early.iter().position(|event| event.name == "endpoint") {
                break early.remove(at);
            }
            if early.len() > EVENTS_BEFORE_MAX {
                return Err("names no address to post to".to_owned());
            }
        };
        let address = String::from_utf8_lossy(&endpoint.data).trim().to_owned();
        let address = target.url.join(&address).ok().filter(|url| same_origin(url, &target.url));
        target.url = address
            .ok_or("names an address to post to that is not of its own origin, which is not followed")?;
        let (link, incoming) = Link::new(server, target, Way::Events, traffic);
        let pumping = Arc::clone(&link);
        link.tasks.spawn(async move {
            let closing = pumping.closing.clone();
            closing.run_until_cancelled(pumping.pump(response, reader, early)).await;
        });
        Ok(Self { link, incoming })
    }
}

/// Events before the address to post to that are put up with; the specification has none.
const EVENTS_BEFORE_MAX: usize = 16;

impl Link {
    /// Hands out what comes over the stream; its end is the end of the connection.
    async fn pump(&self, mut response: Response, mut reader: Reader, early: Vec<Event>) {
        let mut events = early;
        let words = loop {
            for message in events.iter().flat_map(|event| messages(&event.data, &self.traffic)) {
                if let Some(id) = answered(&message) {
                    self.forget(id);
                }
                self.hand_out(message).await;
            }
            match more(&mut response, &mut reader).await {
                Ok(more) => events = more,
                Err(words) => break words,
            }
        };
        self.traffic.retire(words);
        self.closing.cancel();
    }
}

/// The next events of a stream; the error says why there are none any more.
async fn more(response: &mut Response, reader: &mut Reader) -> Result<Vec<Event>, String> {
    match response.chunk().await {
        Ok(Some(chunk)) => reader
            .push(&chunk)
            .map_err(|_| format!("sent an event longer than {} MiB", BYTES_MAX / (1024 * 1024))),
        Ok(None) => Err("closed its stream of events".to_owned()),
        Err(error) => Err(explain(&error)),
    }
}
