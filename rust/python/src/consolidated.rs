//! `Consolidator` for Python: which symbols are published over which venues.

use std::sync::Arc;

use facade_feed::Consolidator;
use pyo3::prelude::*;

use crate::clock::PyClock;
use crate::hub::PyHub;

/// The best bid and offer of a symbol over venues: one topic of the venue `consolidated`.
///
/// Give it to every `Feed` that may take part; they tell it their best prices from any thread.
///
/// Args:
///     hub: Where records are published.
///     clock: Time; the same as that of the feeds.
///     epoch: Unix seconds of this start of the publisher.
#[pyclass(frozen, name = "Consolidator", module = "datafacade._core")]
pub(crate) struct PyConsolidator(Arc<Consolidator>);

#[pymethods]
impl PyConsolidator {
    #[new]
    #[pyo3(signature = (hub, clock, *, epoch))]
    fn py_new(hub: &PyHub, clock: &PyClock, epoch: u32) -> Self {
        Self(Arc::new(Consolidator::new(hub.shared(), Box::new(clock.0.clone()), epoch)))
    }

    /// Begin to publish a canonical symbol over these venues, at most eight; idempotent.
    fn follow(&self, symbol: &str, venues: Vec<String>) {
        self.0.follow(symbol, &venues);
    }

    /// Publish it no more; its topic ends with a state record.
    fn leave(&self, symbol: &str) {
        self.0.leave(symbol);
    }
}

impl PyConsolidator {
    /// The consolidator behind it.
    pub(crate) fn shared(&self) -> Arc<Consolidator> {
        Arc::clone(&self.0)
    }
}
