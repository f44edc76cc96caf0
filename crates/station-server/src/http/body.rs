//! Bodies: read whole, within a size and a time, and within one room for all that are being read.

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request};
use axum::http::{StatusCode, header};
use station_core::{Error, Kind};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bodies that are being read or answered, where each is of the longest; of shorter ones as many more.
const BODIES_MAX: usize = 4;

/// A name and a password, and room for both.
const SHORT_BYTES_MAX: usize = 16 * KIB;

/// What a permit is for.
const KIB: usize = 1024;

/// The room for bodies.
pub(super) struct Bodies {
    room: Semaphore,
    bytes_max: usize,
    within: Duration,
}

/// A body, and the room that it takes.
pub(super) struct Body<'a> {
    pub(super) bytes: Bytes,
    _room: SemaphorePermit<'a>,
}

/// Why a body was not read.
#[derive(Debug)]
pub(super) struct Unread(pub(super) StatusCode, pub(super) Error);

impl Bodies {
    /// Room for bodies of `bytes_max` at most, each of which comes `within` a time.
    pub(super) fn new(bytes_max: usize, within: Duration) -> Self {
        Self { room: Semaphore::new(bytes_max.div_ceil(KIB) * BODIES_MAX), bytes_max, within }
    }

    /// The body of a request by which somebody becomes known: short, and outside of the room for others, which anybody could fill.
    ///
    /// # Errors
    /// As [`Bodies::read`].
    pub(super) async fn read_short(&self, request: Request) -> Result<Bytes, Unread> {
        let read = axum::body::to_bytes(request.into_body(), SHORT_BYTES_MAX);
        match tokio::time::timeout(self.within, read).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(_)) => {
                let sentence = format!("the body broke off, or has more than {SHORT_BYTES_MAX} bytes");
                Err(Unread(StatusCode::PAYLOAD_TOO_LARGE, Error::invalid(sentence)))
            }
            Err(_) => Err(self.too_late()),
        }
    }

    /// The body of a request.
    ///
    /// # Errors
    /// What to answer instead: it is too long, too slow, or there is no room for as long as it may take.
    pub(super) async fn read(&self, request: Request) -> Result<Body<'_>, Unread> {
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        // One that does not say how long it is may be as long as any.
        let bytes = announced.unwrap_or(self.bytes_max);
        if bytes > self.bytes_max {
            return Err(self.too_long());
        }
        let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX);
        let read = tokio::time::timeout(self.within, async {
            let room = self.room.acquire_many(kib).await.expect("the room is never closed");
            let bytes = Bytes::from_request(request, &()).await.map_err(|error| match error.status() {
                StatusCode::PAYLOAD_TOO_LARGE => self.too_long(),
                _ => Unread(StatusCode::BAD_REQUEST, Error::invalid("the body broke off")),
            })?;
            Ok(Body { bytes, _room: room })
        });
        match read.await {
            Ok(read) => read,
            Err(_) => Err(self.too_late()),
        }
    }

    fn too_late(&self) -> Unread {
        let sentence = format!("the body did not come within {} s", self.within.as_secs_f32());
        Unread(StatusCode::REQUEST_TIMEOUT, Error::new(Kind::Timeout, sentence))
    }

    fn too_long(&self) -> Unread {
        let error = Error::invalid(format!("a body has {} bytes at most", self.bytes_max))
            .with_hint("`http.body_bytes_max` of config.yaml says how many");
        Unread(StatusCode::PAYLOAD_TOO_LARGE, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use std::convert::Infallible;
    use tokio::time::Instant;

    const MIB: usize = 1024 * KIB;
    const WITHIN: Duration = Duration::from_secs(30);

    fn bodies() -> Bodies {
        Bodies::new(MIB, WITHIN)
    }

    /// The status that a body is refused with.
    async fn refused(bodies: &Bodies, request: Request) -> StatusCode {
        match bodies.read(request).await {
            Ok(_) => StatusCode::OK,
            Err(refused) => refused.0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_to_its_end_is_given_up_after_thirty_seconds() {
        let bodies = bodies();
        let began = Instant::now();
        let begun = futures::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
        let endless = axum::body::Body::from_stream(begun.chain(futures::stream::pending()));
        assert_eq!(refused(&bodies, Request::new(endless)).await, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(began.elapsed().as_secs(), WITHIN.as_secs());
        // Its room is free again.
        assert_eq!(bodies.room.available_permits(), BODIES_MAX * MIB / KIB);
        assert_eq!(refused(&bodies, Request::new(axum::body::Body::from("{}"))).await, StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_no_room_for_its_body_is_told_so_after_thirty_seconds() {
        let bodies = bodies();
        let _all = bodies.room.acquire_many(u32::try_from(BODIES_MAX * MIB / KIB).unwrap()).await.unwrap();
        let refused = refused(&bodies, Request::new(axum::body::Body::from("{}"))).await;
        assert_eq!(refused, StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn a_body_that_says_that_it_is_too_long_is_not_read() {
        let mut request = Request::new(axum::body::Body::from_stream(futures::stream::pending::<
            Result<Bytes, Infallible>,
        >()));
        request.headers_mut().insert(header::CONTENT_LENGTH, "67108864".parse().unwrap());
        assert_eq!(refused(&bodies(), request).await, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
