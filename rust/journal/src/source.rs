//! Where the journal reads from: the log of a hub.

use std::sync::Arc;

use facade_hub::{Hub, LogBatch, LogPosition, LogRead, TopicId, TopicName};

/// A log of records in the order of publication.
pub trait LogSource: Send {
    /// Replaces `batch` by the records that follow: some `bytes_max` bytes, at least one record, none at the end.
    fn read(&mut self, bytes_max: usize, batch: &mut LogBatch) -> LogRead;

    /// Returns the name of a topic.
    fn name(&self, topic: TopicId) -> Option<TopicName>;
}

/// The log of a hub, from its oldest record that is held.
#[derive(Debug)]
pub struct HubLog {
    hub: Arc<Hub>,
    position: LogPosition,
}

impl HubLog {
    /// Begins with the oldest record that the hub holds.
    #[must_use]
    pub fn new(hub: Arc<Hub>) -> Self {
        let position = hub.log_start();
        Self { hub, position }
    }
}

impl LogSource for HubLog {
    fn read(&mut self, bytes_max: usize, batch: &mut LogBatch) -> LogRead {
        batch.clear();
        self.hub.read_log(&mut self.position, bytes_max, batch)
    }

    fn name(&self, topic: TopicId) -> Option<TopicName> {
        self.hub.name(topic)
    }
}
