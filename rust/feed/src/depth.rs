//! Books of limited depth: topics made of an instrument's whole book.

use facade_model::{Channel, Variant};

use crate::topic::Topic;

/// The best levels of a book.
#[derive(Debug)]
pub struct DepthTopic {
    /// Their topic.
    pub topic: Topic,
}

impl DepthTopic {
    /// Makes the limited book of a topic; `None`: the topic's variant is no depth.
    #[must_use]
    pub fn new(topic: Topic) -> Option<Self> {
        match (topic.channel, topic.variant) {
            (Channel::BookL2, Variant::Depth(_)) => Some(Self { topic }),
            _ => None,
        }
    }
}
