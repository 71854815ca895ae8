//! The body of a unary answer: its message in pieces, then OK. A client that stops reading a large one is cut.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use tokio::task::AbortHandle;

use crate::executor::{self, CutSwitch};
use crate::pieces::{Pieces, Progress};
use crate::shared::Shared;
use crate::stats;

/// A unary answer on its way.
pub(crate) struct ReplyBody {
    pieces: Pieces,
    is_over: bool,
    /// Cuts the call when its client stops reading; small answers leave at once and need nobody.
    watch: Option<AbortHandle>,
}

impl ReplyBody {
    /// Takes a sealed frame. To be called in the task of its stream.
    pub(crate) fn new(shared: &Arc<Shared>, frame: Bytes) -> Self {
        let progress = Arc::new(Progress::default());
        let write_bytes_max = shared.options.limits.write_bytes_max;
        let is_large = frame.len() > write_bytes_max;
        let mut pieces = Pieces::new(write_bytes_max, Arc::clone(&progress));
        pieces.load(frame);
        let watch = is_large.then(|| watch(shared, progress));
        Self { pieces, is_over: false, watch }
    }

    /// Returns the next piece, the trailers, or nothing more.
    pub(crate) fn next(&mut self) -> Option<Frame<Bytes>> {
        self.pieces.accepted();
        if let Some(piece) = self.pieces.next() {
            return Some(Frame::data(piece));
        }
        if std::mem::replace(&mut self.is_over, true) {
            return None;
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Some(Frame::trailers(trailers))
    }
}

impl Drop for ReplyBody {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

fn watch(shared: &Arc<Shared>, progress: Arc<Progress>) -> AbortHandle {
    let (switch, shared) = (CutSwitch::of_this_stream(), Arc::clone(shared));
    let stats = Arc::clone(&shared.stats);
    let watching = executor::spawn(&stats, async move {
        progress.blocked(shared.options.limits.blocked_max).await;
        stats::add(&shared.stats.streams_cut_blocked, 1);
        switch.cut();
    });
    watching.abort_handle()
}
