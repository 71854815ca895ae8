//! What most follow comes first: the REST budget of a new connection goes to their snapshots (row A14).

use std::cmp::Reverse;

use crate::feed::Feed;
use crate::machine::BookMachine;
use crate::stream::Stream;

/// Instruments that come first.
const FAVOURED_MAX: usize = 30;
/// After so long another book looks again whether its turn has come.
const AGAIN_NS: i64 = 50_000_000;

/// The instruments that most follow.
#[derive(Debug, Default)]
pub(crate) struct Favoured {
    streams: Vec<usize>,
    /// Until when the others wait for them at most, monotonic ns; 0: they do not.
    until: i64,
}

impl Feed {
    /// Finds out as a connection opens what most follow, so that it is asked for first.
    pub(crate) fn favour_the_most_followed(&mut self) {
        let hub = &self.hub;
        let count = |entry: &Stream| entry.all_topics().map(|topic| hub.subscribers(topic.id)).sum();
        let followers: Vec<u32> = self.streams.iter().map(count).collect();
        self.subscriptions.favour(&followers);
        let mut streams: Vec<usize> = (0..followers.len()).collect();
        streams.sort_by_key(|&stream| Reverse(followers.get(stream).copied()));
        streams.truncate(FAVOURED_MAX);
        let is_needed = streams.len() < self.streams.len() && !self.config.is_replay;
        let until = if is_needed { self.publisher.now + self.config.ack_ns } else { 0 };
        self.favoured = Favoured { streams, until };
    }

    /// Whether a book waits with its snapshot until those that most follow are whole; it looks again soon.
    pub(crate) fn yields(&mut self, stream: usize) -> bool {
        let now = self.publisher.now;
        if now >= self.favoured.until || self.favoured.streams.contains(&stream) {
            return false;
        }
        let machine = |&first: &usize| self.streams.get(first).and_then(|entry| entry.machine.as_ref());
        let mut books = self.favoured.streams.iter().filter_map(machine);
        if books.all(BookMachine::is_live) {
            self.favoured.until = 0;
            return false;
        }
        if let Some(entry) = self.streams.get_mut(stream) {
            entry.resync.due = now + AGAIN_NS;
        }
        true
    }
}
