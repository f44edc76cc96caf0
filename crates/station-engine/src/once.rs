//! Requests with a key of their sender's (`Idempotency-Key`): each is done once, and answered alike as often as it is sent.
//!
//! A row says that a request is at work before it is done ([`station_store::RequestClaim`] is the right to do it), and afterwards what
//! it was answered. In between lies the window that no order of two commits closes: a process that ends after the deed and before the
//! answer was kept. For what starts runs it is closed another way: the run is bound to the key in the transaction that queues it, so
//! whoever takes the request up finds it. For everything else the answer is that nobody knows, and where to look.
//! What is decided of it stands in [`station_core::once`].

use crate::lease::{LEASE, RENEW_EVERY, millis};
use crate::{Station, worker};
use station_core::once::{Again, KEPT_FOR, Key, Stands, Verdict, judge};
use station_core::{BlobHash, Caller, Micros, Result, Secret};
use station_store::{BegunRequest, KeptRequest, NewRequest, RequestClaim};
use std::convert::Infallible;
use std::future::Future;

/// Longest answer that is kept: those that make something have some KiB. A longer one is not told twice.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A request with a key.
#[derive(Clone, Debug)]
pub struct KeyedRequest {
    /// What its sender calls it.
    pub key: Key,
    /// All that it asks for, and of whom.
    pub asks: String,
    /// What it takes that it is not done twice.
    pub again: Again,
}

/// How a request with a key begins.
#[derive(Clone, Debug)]
pub enum Begun {
    /// It is to be done, and what becomes of it to be kept: [`Station::settle_request`].
    Do(RequestClaim),
    /// It was answered: with this status and this body.
    Tell(u16, String),
    /// It was answered, and that is not told twice.
    Withhold,
    /// The key is another request's.
    Another,
    /// It is at work.
    Later,
    /// Whoever was at work at it is gone, and nobody knows whether it was done.
    Unknown,
}

impl Station {
    /// Begins a request of `by`. What is kept of others is theirs: their keys are no concern of its.
    ///
    /// # Errors
    /// The store's.
    pub async fn begin_request(&self, by: &Caller, request: KeyedRequest) -> Result<Begun> {
        // Two requests of one user differ also by what their credentials may.
        let print = BlobHash::of(format!("{:?} {}", by.scopes, request.asks).as_bytes());
        let new = NewRequest {
            user: by.user,
            key: request.key,
            print: print.as_str().to_owned(),
            owner: worker::owner(self)?,
            lease_ms: millis(LEASE),
        };
        let kept = match self.store().begin_request(new.clone(), self.requests_since(), self.now()).await? {
            BegunRequest::New(claim) => return Ok(Begun::Do(claim)),
            BegunRequest::Kept(kept) => *kept,
        };
        let seen = kept.lease.fence;
        Ok(match (judge(kept.print == new.print, stands(&kept), request.again), kept.answer) {
            (Verdict::Tell, Some((status, Some(body)))) => Begun::Tell(status, body),
            (Verdict::Tell | Verdict::Withhold, _) => Begun::Withhold,
            (Verdict::TakeUp, _) => match self.store().take_up_request(new, seen).await? {
                Some(claim) => Begun::Do(claim),
                None => Begun::Later,
            },
            (Verdict::Another, _) => Begun::Another,
            (Verdict::Later, _) => Begun::Later,
            (Verdict::Unknown, _) => Begun::Unknown,
        })
    }

    /// Does `work` under `claim`, and says meanwhile that somebody is at it.
    pub async fn do_request<T>(&self, claim: &RequestClaim, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            never = self.renew_request(claim) => match never {},
        }
    }

    async fn renew_request(&self, claim: &RequestClaim) -> Infallible {
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            if let Err(error) = self.store().renew_request(claim, millis(LEASE)).await {
                tracing::warn!(%error, "a request with a key is at work, and the store does not know it");
            }
        }
    }

    /// Keeps what a request was answered; no `body` where it is not to be told again.
    ///
    /// # Errors
    /// `Conflict` where another instance has taken it up; the store's.
    pub async fn settle_request(
        &self,
        claim: &RequestClaim,
        status: u16,
        body: Option<String>,
    ) -> Result<()> {
        let body = body.filter(|body| body.len() <= ANSWER_BYTES_MAX).map(Secret::new);
        self.store().settle_request(claim, status, body).await
    }

    /// Forgets a request of which nothing was done, so that it may be sent again.
    ///
    /// # Errors
    /// The store's.
    pub async fn release_request(&self, claim: &RequestClaim) -> Result<()> {
        self.store().release_request(claim).await
    }

    /// Removes what is kept of requests that are long over.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn prune_requests(&self) -> Result<()> {
        // Some at a time: others write in between.
        while self.store().prune_requests(self.requests_since()).await? > 0 {}
        Ok(())
    }

    fn requests_since(&self) -> Micros {
        self.now().minus_ms(millis(KEPT_FOR))
    }
}

fn stands(kept: &KeptRequest) -> Stands {
    match &kept.answer {
        Some((_, Some(_))) => Stands::Answered,
        Some((_, None)) => Stands::Untold,
        None if kept.lease.lapsed || worker::is_dead(&kept.lease) => Stands::Left,
        None => Stands::AtWork,
    }
}
