//! Which request something belongs to, across processes and services: W3C Trace Context, of which Station passes on `traceparent`.
//!
//! A request brings a trace or begins one; the run that it starts keeps it, and tool calls and requests to models go on with it. So one
//! id finds all of them, in the logs of everybody who took part.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;
use uuid::Uuid;

/// A place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trace {
    id: NonZeroU128,
    span: NonZeroU64,
    is_sampled: bool,
}

impl Trace {
    /// The header of HTTP, and the key of `_meta` in MCP.
    pub const NAME: &'static str = "traceparent";

    /// A trace of its own, by an id that nothing else has.
    #[must_use]
    pub fn new(id: Uuid) -> Self {
        let nothing_is_it = "a UUID has its version in it, and is not zero";
        Self { id: NonZeroU128::new(id.as_u128()).expect(nothing_is_it), span: span(id), is_sampled: true }
    }

    /// The same trace, at what is done under `id`.
    #[must_use]
    pub fn at(self, id: Uuid) -> Self {
        Self { span: span(id), ..self }
    }

    /// This place in it: 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// What all of it has in common: 32 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{:032x}", self.id)
    }
}

/// A span by the half of a UUID that is random.
fn span(id: Uuid) -> NonZeroU64 {
    let (_, low) = id.as_u64_pair();
    NonZeroU64::new(low).expect("a UUID has its variant in it, and that half is not zero")
}

/// As `traceparent` has it (W3C Trace Context, 3.2).
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.id, self.span, u8::from(self.is_sampled))
    }
}

/// Text that is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no traceparent: 00-<32 hexadecimal digits>-<16>-<2>")]
pub struct NoTrace;

impl FromStr for Trace {
    type Err = NoTrace;

    /// Also of versions to come, as far as this one knows them.
    fn from_str(text: &str) -> Result<Self, NoTrace> {
        let mut parts = text.trim().split('-');
        let mut digits = |count: usize| {
            let part = parts.next().filter(|part| part.len() == count).ok_or(NoTrace)?;
            let is_ours = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            part.chars().all(is_ours).then_some(part).ok_or(NoTrace)
        };
        let (version, id, span, flags) = (digits(2)?, digits(32)?, digits(16)?, digits(2)?);
        let goes_on = parts.next().is_some();
        if version == "ff" || (version == "00" && goes_on) {
            return Err(NoTrace);
        }
        let flags = u8::from_str_radix(flags, 16).map_err(|_| NoTrace)?;
        Ok(Self {
            id: u128::from_str_radix(id, 16).ok().and_then(NonZeroU128::new).ok_or(NoTrace)?,
            span: u64::from_str_radix(span, 16).ok().and_then(NonZeroU64::new).ok_or(NoTrace)?,
            is_sampled: flags & 1 == 1,
        })
    }
}

impl Serialize for Trace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Trace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_specification_says() {
        let check = |text: &str, expected: Option<&str>| {
            let read = text.parse::<Trace>().ok().map(|trace| trace.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        };
        let (id, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let sampled = format!("00-{id}-{span}-01");
        check(&sampled, Some(&sampled));
        check(&format!("00-{id}-{span}-00"), Some(&format!("00-{id}-{span}-00")));
        // Flags of others are not passed on, those of versions to come are left out.
        check(&format!("00-{id}-{span}-ff"), Some(&sampled));
        check(&format!("cc-{id}-{span}-01-what-will-be"), Some(&sampled));
        check(&format!("00-{id}-{span}-01-more"), None);
        check(&format!("ff-{id}-{span}-01"), None);
        check(&format!("00-{id}-{}-01", "0".repeat(16)), None);
        check(&format!("00-{}-{span}-01", "0".repeat(32)), None);
        check(&format!("00-{}-{span}-01", id.to_uppercase()), None);
        for text in ["", "00", "00-1-1-1", "no trace", &sampled[..sampled.len() - 1]] {
            check(text, None);
        }
    }

    #[test]
    fn a_trace_goes_on_under_the_same_id() {
        let began = Trace::new(Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0001));
        let call = began.at(Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0002));
        assert_eq!(began.id(), call.id());
        assert_eq!(call.to_string(), "00-01970000000070008000000000000001-8000000000000002-01");
    }
}
