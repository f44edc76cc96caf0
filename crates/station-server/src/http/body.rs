//! Bodies: read whole, within a size and a time, and within one room for all that are being read.

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes of one body: that of the longest message over a pipe.
pub(super) const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of all bodies that are being read or answered: four of the longest.
const BODIES_BYTES_MAX: usize = 4 * BODY_BYTES_MAX;

/// What a permit is for.
const KIB: usize = 1024;

/// How long a body may take. The longest one goes over loopback in some milliseconds; a tunnel is slower.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// The room for bodies.
pub(super) struct Bodies {
    room: Semaphore,
}

/// A body, and the room that it takes.
pub(super) struct Body<'a> {
    pub(super) bytes: Bytes,
    _room: SemaphorePermit<'a>,
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unread(pub(super) StatusCode, pub(super) &'static str);

const TOO_LONG: &str = "a message has at most 16 MiB";

impl IntoResponse for Unread {
    fn into_response(self) -> Response {
        (self.0, format!("{}\n", self.1)).into_response()
    }
}

impl Bodies {
    pub(super) fn new() -> Self {
        Self { room: Semaphore::new(BODIES_BYTES_MAX / KIB) }
    }

    /// The body of a request.
    ///
    /// # Errors
    /// What to answer instead: it is too long, too slow, or there is no room for as long as it may take.
    pub(super) async fn read(&self, request: Request) -> Result<Body<'_>, Unread> {
        let announced = request.headers().get(header::CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        // One that does not say how long it is may be as long as any.
        let bytes = announced.unwrap_or(BODY_BYTES_MAX);
        if bytes > BODY_BYTES_MAX {
            return Err(Unread(StatusCode::PAYLOAD_TOO_LARGE, TOO_LONG));
        }
        let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX);
        let read = tokio::time::timeout(BODY_WITHIN, async {
            let room = self.room.acquire_many(kib).await.expect("the room is never closed");
            let bytes = Bytes::from_request(request, &()).await.map_err(|error| match error.status() {
                status @ StatusCode::PAYLOAD_TOO_LARGE => Unread(status, TOO_LONG),
                _ => Unread(StatusCode::BAD_REQUEST, "the body broke off"),
            })?;
            Ok(Body { bytes, _room: room })
        });
        match read.await {
            Ok(read) => read,
            Err(_) => Err(Unread(StatusCode::REQUEST_TIMEOUT, "the body did not come within 30 s")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;
    use std::convert::Infallible;
    use tokio::time::Instant;

    /// The status that a body is refused with.
    async fn refused(bodies: &Bodies, request: Request) -> StatusCode {
        match bodies.read(request).await {
            Ok(_) => StatusCode::OK,
            Err(refused) => refused.0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_to_its_end_is_given_up_after_thirty_seconds() {
        let bodies = Bodies::new();
        let began = Instant::now();
        let begun = futures::stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
        let endless = axum::body::Body::from_stream(begun.chain(futures::stream::pending()));
        assert_eq!(refused(&bodies, Request::new(endless)).await, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(began.elapsed().as_secs(), BODY_WITHIN.as_secs());
        // Its room is free again.
        assert_eq!(bodies.room.available_permits(), BODIES_BYTES_MAX / KIB);
        assert_eq!(refused(&bodies, Request::new(axum::body::Body::from("{}"))).await, StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_finds_no_room_for_its_body_is_told_so_after_thirty_seconds() {
        let bodies = Bodies::new();
        let _all = bodies.room.acquire_many(u32::try_from(BODIES_BYTES_MAX / KIB).unwrap()).await.unwrap();
        let refused = refused(&bodies, Request::new(axum::body::Body::from("{}"))).await;
        assert_eq!(refused, StatusCode::REQUEST_TIMEOUT);
    }

    #[tokio::test]
    async fn a_body_that_says_that_it_is_too_long_is_not_read() {
        let mut request = Request::new(axum::body::Body::from_stream(futures::stream::pending::<
            Result<Bytes, Infallible>,
        >()));
        request.headers_mut().insert(header::CONTENT_LENGTH, "67108864".parse().unwrap());
        assert_eq!(refused(&Bodies::new(), request).await, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
