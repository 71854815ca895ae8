//! The hot pipeline: one [`Feed`] per venue connection turns frames into proven, encoded records.
//!
//! A feed does no I/O and reads no clock but its own: bytes and time go in, [`Command`]s and records of the hub
//! come out. So every recording is a test.

mod backfill;
mod best_levels;
mod book_flow;
mod buffer;
mod chain;
mod clock;
mod command;
mod config;
mod consolidated;
mod depth;
mod event_flow;
mod fallback;
mod favoured;
mod feed;
mod fetches;
mod history;
mod inspect;
mod joint;
mod klines;
mod lifeline;
mod liveness;
mod machine;
mod messages;
mod notes;
mod offset;
mod pace;
mod pauses;
mod publish;
mod report;
mod rules;
mod states;
mod stats;
mod stream;
mod subscriptions;
mod take_over;
mod ticks;
mod timers;
mod times;
mod topic;
mod trade_flow;
mod view;
mod whole;
mod window;

pub use best_levels::DepthWindow;
pub use buffer::BufferBounds;
pub use chain::{ChainRule, Link, SnapshotSource};
pub use clock::{Clock, ManualClock};
pub use command::{Command, Priority};
pub use config::FeedConfig;
pub use consolidated::{CONSOLIDATED, Consolidator};
pub use feed::Feed;
pub use history::{HistoryError, Past, PastRow};
pub use inspect::{EncodedBook, StreamReport, TopicReport};
pub use lifeline::Socket;
pub use machine::BookMachine;
pub use notes::{Note, NoteEvent};
pub use pace::Pace;
pub use report::{BookReport, Proofs};
pub use rules::{ChecksumRule, MachineRules, Message, Outcome};
pub use stats::{FeedStats, Latency};
pub use ticks::TickJudge;
pub use times::TimeJudge;
pub use window::{IDS_MAX, Sighting, TradeWindow};
