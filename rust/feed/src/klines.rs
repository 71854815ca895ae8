//! Klines of an instrument: topics made of its trades.

use facade_model::{Channel, Variant};

use crate::topic::Topic;

/// The klines of one interval or bar type.
#[derive(Debug)]
pub struct KlineTopic {
    /// Their topic.
    pub topic: Topic,
}

impl KlineTopic {
    /// Makes the klines of a topic; `None`: the topic's variant is none of klines.
    #[must_use]
    pub fn new(topic: Topic) -> Option<Self> {
        match (topic.channel, topic.variant) {
            (Channel::Klines, Variant::Plain | Variant::Depth(_)) => None,
            (Channel::Klines, _) => Some(Self { topic }),
            _ => None,
        }
    }
}
