//! Being built.
use crate::Request;
use station_core::{Answer, Stop, Usage};
pub(crate) fn answer(_request: &Request<'_>) -> Answer {
    Answer {
        text: String::new(),
        calls: Vec::new(),
        stop: Stop::End,
        usage: Usage::default(),
        model: "offline".to_owned(),
    }
}
