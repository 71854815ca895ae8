//! The in-process bus: bounded rings of encoded updates per topic, subscribers with cursors into them.
//!
//! A feed publishes the records of one venue frame as one [`Batch`]; each record is written once, as a ready entry of
//! the repeated field `updates`. A subscriber is a set of cursors; [`Hub::take`] joins what waits for it, in the
//! order of publication. The hub knows no market: topics are names, records are bytes, time is an argument.
//!
//! What holds, always:
//! - Per topic a subscriber sees each `seq` once, rising by one, from the seam told when it attached; whatever it
//!   cannot be given is named by a delivery gap before its stream ends.
//! - Records of one group (`more`) reach a subscriber whole and next to each other; nobody starts inside a group.
//! - Memory is bounded by [`HubBounds`]; the oldest record leaves first. A slow subscriber costs its cursors only.
//! - In steady state nothing allocates.

mod attach;
mod conflate;
mod cursor;
mod delivery;
mod encoder;
mod flight;
mod hub;
mod log;
mod publish;
mod record;
mod ring;
mod slow;
mod state;
mod stats;
mod subscriber;
mod take;
mod topic;

pub use attach::{AttachError, AttachOptions, Notice, Seam, Start};
pub use delivery::{Conflate, Delivery, DeliveryCause, DeliveryChange, Mode};
pub use encoder::{DeliveryGap, ResumePosition, StreamEncoder};
pub use hub::Hub;
pub use log::{LogBatch, LogEntry, LogPosition, LogRead};
pub use record::{Batch, Entry, PublishError, RecordKind, Stamp};
pub use state::HubBounds;
pub use stats::{HubStats, SubscriberStats};
pub use subscriber::{PushError, SubscriberId};
pub use take::{EndReason, Taken, TakenRecords, Turn};
pub use topic::{TopicId, TopicKey, TopicName};
