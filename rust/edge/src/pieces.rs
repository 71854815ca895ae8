//! Bytes on their way to the transport leave in small pieces: what a client does not read stays here, where it can
//! be noticed and dropped, and not in the transport's buffers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, MissedTickBehavior};

/// How often a write is looked at, at least.
const WATCH_INTERVAL_MAX: Duration = Duration::from_secs(1);
/// How often at most, however short the bound.
const WATCH_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Whether the transport takes what it is given.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Number of the piece that was handed over and is not accepted yet; 0: none.
    handed: AtomicU64,
    /// Time that a write may stand still at least, ms: whoever acknowledges is bounded by the Hub, in words.
    patience_ms: AtomicU64,
}

impl Progress {
    /// Lets a write stand still for `patience` at least.
    pub(crate) fn extend(&self, patience: Duration) {
        self.patience_ms.store(u64::try_from(patience.as_millis()).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Waits until one write has stood still for `blocked_max`. Between two looks no more than two intervals count: a
    /// process that was paused has accepted nothing from anybody meanwhile.
    pub(crate) async fn blocked(&self, blocked_max: Duration) {
        let interval = (blocked_max / 10).clamp(WATCH_INTERVAL_MIN, WATCH_INTERVAL_MAX);
        let mut watch = tokio::time::interval(interval);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let patience = || Duration::from_millis(self.patience_ms.load(Ordering::Acquire));
        let (mut seen, mut stood, mut looked) = (0, Duration::ZERO, Instant::now());
        while stood < blocked_max.max(patience()) {
            watch.tick().await;
            let now = Instant::now();
            let passed = (now - looked).min(interval * 2);
            let handed = self.handed.load(Ordering::Acquire);
            let is_same = handed != 0 && handed == seen;
            stood = if is_same { stood + passed } else { Duration::ZERO };
            (seen, looked) = (handed, now);
        }
    }
}

/// One message, cut into pieces.
#[derive(Debug)]
pub(crate) struct Pieces {
    rest: Bytes,
    bytes_max: usize,
    /// Pieces handed over so far.
    handed: u64,
    progress: Arc<Progress>,
}

impl Pieces {
    /// Begins without a message; pieces have at most `bytes_max` bytes.
    pub(crate) fn new(bytes_max: usize, progress: Arc<Progress>) -> Self {
        Self { rest: Bytes::new(), bytes_max: bytes_max.max(1), handed: 0, progress }
    }

    /// Notes that the transport asks for more: it has accepted all that it was handed.
    pub(crate) fn accepted(&self) {
        self.progress.handed.store(0, Ordering::Release);
    }

    /// Takes the next message; the one before has left.
    pub(crate) fn load(&mut self, message: Bytes) {
        self.rest = message;
    }

    /// Hands over the next piece; `None`: the message has left.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        if self.rest.is_empty() {
            return None;
        }
        self.handed += 1;
        self.progress.handed.store(self.handed, Ordering::Release);
        Some(self.rest.split_to(self.rest.len().min(self.bytes_max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn a_write_that_is_accepted_is_never_blocked() {
        run(async {
            let progress = Arc::new(Progress::default());
            let mut pieces = Pieces::new(1, Arc::clone(&progress));
            pieces.load(Bytes::from_static(b"ab"));
            assert!(pieces.next().is_some());
            pieces.accepted();
            let blocked = progress.blocked(Duration::from_millis(5));
            assert!(tokio::time::timeout(Duration::from_millis(30), blocked).await.is_err());
            assert!(pieces.next().is_some());
            progress.blocked(Duration::from_millis(5)).await;
            progress.extend(Duration::from_mins(1));
            let blocked = progress.blocked(Duration::from_millis(5));
            assert!(tokio::time::timeout(Duration::from_millis(30), blocked).await.is_err());
        });
    }

    #[test]
    fn a_pause_of_the_process_is_no_standstill_of_its_client() {
        run(async {
            let progress = Arc::new(Progress::default());
            let mut pieces = Pieces::new(1, Arc::clone(&progress));
            pieces.load(Bytes::from_static(b"ab"));
            assert!(pieces.next().is_some());
            let mut blocked = std::pin::pin!(progress.blocked(Duration::from_millis(200)));
            let look = Duration::from_millis(1);
            assert!(tokio::time::timeout(look, blocked.as_mut()).await.is_err());
            // Nothing of this runtime goes on, as if the process were stopped.
            std::thread::sleep(Duration::from_millis(300));
            assert!(tokio::time::timeout(look, blocked.as_mut()).await.is_err());
            pieces.accepted();
            assert!(tokio::time::timeout(Duration::from_millis(400), blocked).await.is_err());
        });
    }

    proptest! {
        #[test]
        fn the_pieces_are_the_message(message: Vec<u8>, bytes_max in 0usize..9) {
            let mut pieces = Pieces::new(bytes_max, Arc::default());
            pieces.load(message.clone().into());
            let mut joined = Vec::new();
            while let Some(piece) = pieces.next() {
                prop_assert!((1..=bytes_max.max(1)).contains(&piece.len()));
                joined.extend_from_slice(&piece);
            }
            prop_assert_eq!(joined, message);
        }
    }
}
