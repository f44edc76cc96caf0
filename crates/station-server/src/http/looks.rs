//! Looks at whether this process can do its work, shared by whoever asks at about the same time.
//!
//! Probes come from many places, and nobody need be known to send one: without this each would cost the database a question.

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use station_engine::{Readiness, Station};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How old an answer may be, from when it was begun: probes that matter are seconds apart.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// How old a no may be: whoever waits for a start, or for a database that comes back, hears of it at once.
const NO_SHARED_FOR: Duration = Duration::from_millis(20);

/// The last look.
#[derive(Clone, Default)]
pub(super) struct Looks(Arc<Mutex<Option<Look>>>);

#[derive(Clone)]
struct Look {
    begun_at: Instant,
    answer: Shared<BoxFuture<'static, Readiness>>,
}

impl Look {
    fn is_young(&self) -> bool {
        let is_no = self.answer.peek().is_some_and(|readiness| !readiness.is_whole());
        self.begun_at.elapsed() < if is_no { NO_SHARED_FOR } else { SHARED_FOR }
    }
}

impl Looks {
    /// Whether `station` can do its work now, or could a moment ago.
    pub(super) async fn share(&self, station: &Station) -> Readiness {
        let station = station.clone();
        self.look(async move { station.readiness().await }.boxed()).await
    }

    /// The answer of the last look where it is young enough, else that of a new one.
    async fn look(&self, anew: BoxFuture<'static, Readiness>) -> Readiness {
        let look = {
            let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match &*last {
                Some(look) if look.is_young() => look.clone(),
                _ => last.insert(Look { begun_at: Instant::now(), answer: anew.shared() }).clone(),
            }
        };
        look.answer.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    const WHOLE: Readiness = Readiness { database: true, migrations: true, key: true, workers: true };

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_came_up_is_not_called_unready_for_another_second() {
        let looks = Looks::default();
        let no = looks.look(async { Readiness { workers: false, ..WHOLE } }.boxed()).await;
        assert!(!no.is_whole());
        tokio::time::advance(NO_SHARED_FOR).await;
        assert!(looks.look(async { WHOLE }.boxed()).await.is_whole());
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_at_the_same_time_shares_one_look_and_later_there_is_another() {
        let (looks, asked) = (Looks::default(), Arc::new(AtomicU32::new(0)));
        let ask = || {
            let asked = Arc::clone(&asked);
            looks.look(
                async move {
                    asked.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    WHOLE
                }
                .boxed(),
            )
        };
        let answers = futures::future::join_all((0..50).map(|_| ask())).await;
        assert!(answers.iter().all(|answer| answer.database));
        ask().await;
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // One that nobody waited for to its end keeps nobody else from asking.
        tokio::time::advance(SHARED_FOR).await;
        assert!(tokio::time::timeout(Duration::from_millis(1), ask()).await.is_err());
        assert!(ask().await.database);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
