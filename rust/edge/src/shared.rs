//! What all calls of one edge share.

use std::sync::Arc;

use facade_hub::Hub;
use tokio::sync::watch;

use crate::bridge::Bridge;
use crate::options::Options;
use crate::services::Services;
use crate::stats::Stats;

/// How far the edge is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Everything is served.
    Serving,
    /// New calls are refused, running ones go on; health says so.
    Draining,
    /// Streams end, connections say goodbye.
    Ending,
}

/// The state behind every call.
pub(crate) struct Shared {
    pub(crate) hub: Arc<Hub>,
    pub(crate) bridge: Arc<Bridge>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) options: Options,
    pub(crate) services: Services,
    pub(crate) phase: watch::Sender<Phase>,
}

impl Shared {
    /// Returns whether new calls are refused.
    pub(crate) fn is_draining(&self) -> bool {
        *self.phase.borrow() >= Phase::Draining
    }

    /// Waits until the edge has come to `phase`.
    pub(crate) async fn reached(&self, phase: Phase) {
        let mut watched = self.phase.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = watched.wait_for(|now| *now >= phase).await;
    }
}
