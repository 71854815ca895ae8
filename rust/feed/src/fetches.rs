//! What was asked of a venue's REST, and what for.

use facade_model::Channel;
use facade_venues::RestRequest;

use crate::command::{Command, Priority};
use crate::feed::Feed;

/// Why a path is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A book starts over.
    Snapshot,
    /// Trades that were missed.
    Backfill,
    /// Whether a channel has news that we do not hear.
    Probe(Channel),
    /// Whether a book is right.
    Audit,
    /// A book, and best prices, while the socket is down.
    FallbackBook,
    /// Statistics while the socket is down.
    FallbackTicker,
}

impl Purpose {
    /// How urgent it is.
    #[must_use]
    pub const fn priority(self) -> Priority {
        match self {
            Self::Snapshot => Priority::Snapshot,
            Self::Backfill => Priority::Backfill,
            Self::Probe(_) => Priority::Probe,
            Self::Audit => Priority::Audit,
            Self::FallbackBook | Self::FallbackTicker => Priority::Fallback,
        }
    }

    /// Whether the answer says something although the connection has ended since.
    #[must_use]
    pub const fn outlives_connection(self) -> bool {
        matches!(self, Self::Backfill | Self::FallbackBook | Self::FallbackTicker)
    }
}

impl Purpose {
    /// Whether it asks a second source about a silent stream.
    #[must_use]
    pub const fn is_question(self) -> bool {
        matches!(self, Self::Probe(_))
    }
}

/// A request under way.
#[derive(Debug, Clone, Copy)]
pub struct Fetch {
    /// Index of the instrument in the feed.
    pub stream: usize,
    /// What for.
    pub purpose: Purpose,
}

impl Feed {
    /// Asks for a path; returns the number of the request.
    pub(crate) fn fetch(&mut self, stream: usize, purpose: Purpose, request: RestRequest) -> u64 {
        let request_id = self.subscriptions.request_id();
        self.fetches.insert(request_id, Fetch { stream, purpose });
        let RestRequest { path, weight } = request;
        self.commands.push(Command::Fetch { request_id, path, weight, priority: purpose.priority() });
        request_id
    }

    /// Forgets requests whose answers mean nothing once the connection has ended.
    pub(crate) fn forget_fetches(&mut self) {
        self.fetches.retain(|_, fetch| fetch.purpose.outlives_connection());
    }
}
