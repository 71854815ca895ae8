//! What was asked of the venue and what it answered, item by item (row A23). Pure: time is an argument.

use std::cmp::Reverse;
use std::collections::VecDeque;

use facade_model::Channel;

/// State of one item. Deadlines monotonic ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemState {
    /// To be sent.
    Wanted,
    /// In the outbox, or sent and not answered.
    Asked {
        /// The request that carries it.
        request_id: u64,
        /// When the wait ends; `i64::MAX` while it stands in the outbox.
        deadline: i64,
    },
    /// Acknowledged, or its data came.
    Active,
    /// Its end was asked for; it is asked for anew when that is answered, or at the deadline.
    Leaving {
        /// The request that carries it.
        request_id: u64,
        /// When the wait ends.
        deadline: i64,
    },
    /// Refused by the venue, or given up.
    Refused,
}

/// One subscription: an instrument and a stream of the venue.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// Index of the instrument in the feed.
    pub stream: usize,
    /// The channel that stands for all that share the venue's stream.
    pub channel: Channel,
    /// State.
    pub state: ItemState,
    /// Requests sent since the connection opened.
    pub tries: u32,
    /// Whether it must be asked for alone, because a request of several was refused as a whole.
    pub is_alone: bool,
}

/// A text that waits for its turn.
#[derive(Debug)]
struct Waiting {
    request_id: u64,
    text: String,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The venue accepted it.
    Accepted,
    /// The venue refused it for good.
    Refused,
    /// Its end was confirmed.
    Left,
}

/// All items of a connection, and the texts not yet sent.
#[derive(Debug, Default)]
pub struct Subscriptions {
    items: Vec<Item>,
    outbox: VecDeque<Waiting>,
    sent_at: i64,
    request_last: u64,
}

impl Subscriptions {
    /// Adds an item, or wants it again.
    pub fn want(&mut self, stream: usize, channel: Channel) {
        if let Some(item) = self.find(stream, channel) {
            if item.state == ItemState::Refused {
                item.state = ItemState::Wanted;
                item.tries = 0;
            }
            return;
        }
        self.items.push(Item { stream, channel, state: ItemState::Wanted, tries: 0, is_alone: false });
    }

    /// Forgets an item; `true` if the venue knows of it.
    pub fn forget(&mut self, stream: usize, channel: Channel) -> bool {
        let Some(at) = self.items.iter().position(|item| item.stream == stream && item.channel == channel)
        else {
            return false;
        };
        let item = self.items.swap_remove(at);
        !matches!(item.state, ItemState::Wanted | ItemState::Refused)
    }

    /// Returns an item.
    pub fn find(&mut self, stream: usize, channel: Channel) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.stream == stream && item.channel == channel)
    }

    /// All items.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Starts over on a new connection: everything is wanted, nothing waits. Refused items stay refused.
    pub fn reopen(&mut self) {
        self.outbox.clear();
        for item in &mut self.items {
            item.tries = 0;
            if item.state != ItemState::Refused {
                item.state = ItemState::Wanted;
            }
        }
    }

    /// Lets what most follow be asked for first (row A14); `followers`: of each instrument, by its index.
    pub fn favour(&mut self, followers: &[u32]) {
        self.items.sort_by_key(|item| Reverse(followers.get(item.stream).copied().unwrap_or(0)));
    }

    /// Takes the items that the next request may carry: all that are wanted, or one that must go alone.
    pub fn next_group(&mut self, most: usize, request_id: u64, group: &mut Vec<(usize, Channel)>) {
        group.clear();
        let alone_busy =
            self.items.iter().any(|item| item.is_alone && matches!(item.state, ItemState::Asked { .. }));
        for item in &mut self.items {
            if item.state != ItemState::Wanted || group.len() >= most || (item.is_alone && alone_busy) {
                continue;
            }
            if item.is_alone && !group.is_empty() {
                continue;
            }
            item.state = ItemState::Asked { request_id, deadline: i64::MAX };
            item.tries += 1;
            group.push((item.stream, item.channel));
            if item.is_alone {
                return;
            }
        }
    }

    /// Gives out a request number.
    pub fn request_id(&mut self) -> u64 {
        self.request_last += 1;
        self.request_last
    }

    /// Puts texts into the outbox.
    pub fn post(&mut self, request_id: u64, texts: impl Iterator<Item = String>) {
        self.outbox.extend(texts.map(|text| Waiting { request_id, text }));
    }

    /// Takes the next text whose turn has come and starts the clocks of its items.
    pub fn next_text(&mut self, now: i64, interval: i64, patience: i64) -> Option<String> {
        if self.outbox.is_empty() || (self.sent_at != 0 && now - self.sent_at < interval) {
            return None;
        }
        let waiting = self.outbox.pop_front()?;
        self.sent_at = now;
        for item in &mut self.items {
            match &mut item.state {
                ItemState::Asked { request_id, deadline } | ItemState::Leaving { request_id, deadline }
                    if *request_id == waiting.request_id =>
                {
                    *deadline = now + patience;
                }
                _ => {}
            }
        }
        Some(waiting.text)
    }

    /// Judges an answer: calls `each` for every item that it decides.
    ///
    /// `stream` and `channel` are absent where the venue does not repeat them. A refusal of a whole request of
    /// several items decides nothing: each is asked for alone, so that one bad symbol harms no other (row B29).
    pub fn answer(&mut self, answer: &Answer, mut each: impl FnMut(usize, Channel, Verdict)) {
        let asked_together = self.items.iter().filter(|item| answer.matches(item)).count();
        for item in self.items.iter_mut().filter(|item| answer.matches(item)) {
            match (item.state, answer.is_accepted) {
                (ItemState::Leaving { .. }, _) => {
                    item.state = ItemState::Wanted;
                    each(item.stream, item.channel, Verdict::Left);
                }
                (_, true) => {
                    item.state = ItemState::Active;
                    each(item.stream, item.channel, Verdict::Accepted);
                }
                (_, false) if asked_together > 1 => {
                    item.state = ItemState::Wanted;
                    item.is_alone = true;
                }
                (_, false) => {
                    item.state = ItemState::Refused;
                    each(item.stream, item.channel, Verdict::Refused);
                }
            }
        }
    }
}

/// An answer of the venue.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// Our request, if repeated.
    pub request_id: Option<u64>,
    /// The instrument, if repeated and known.
    pub stream: Option<usize>,
    /// The channel, if repeated.
    pub channel: Option<Channel>,
    /// Whether the venue agreed.
    pub is_accepted: bool,
    /// Whether the request subscribed.
    pub is_subscribe: bool,
}

impl Answer {
    fn matches(&self, item: &Item) -> bool {
        let request_id = match (item.state, self.is_subscribe) {
            (ItemState::Asked { request_id, deadline }, true) if deadline != i64::MAX => request_id,
            (ItemState::Leaving { request_id, .. }, false) => request_id,
            _ => return false,
        };
        match (self.stream, self.channel) {
            (Some(stream), Some(channel)) => item.stream == stream && item.channel == channel,
            (Some(stream), None) => {
                item.stream == stream && self.request_id.is_none_or(|id| id == request_id)
            }
            _ => self.request_id.is_none_or(|id| id == request_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(count: usize) -> Subscriptions {
        let mut all = Subscriptions::default();
        for stream in 0..count {
            all.want(stream, Channel::Trades);
        }
        ask(&mut all);
        all
    }

    fn ask(all: &mut Subscriptions) -> Vec<(usize, Channel)> {
        let id = all.request_id();
        let mut group = Vec::new();
        all.next_group(100, id, &mut group);
        all.post(id, std::iter::once(String::from("text")));
        all.next_text(1, 0, 5);
        group
    }

    const fn answer(request_id: Option<u64>, stream: Option<usize>, is_accepted: bool) -> Answer {
        Answer { request_id, stream, channel: None, is_accepted, is_subscribe: true }
    }

    #[test]
    fn row_b29_refused_batch_is_asked_for_item_by_item() {
        let mut all = sent(3);
        let mut verdicts = Vec::new();
        all.answer(&answer(Some(1), None, false), |stream, _, verdict| verdicts.push((stream, verdict)));
        assert!(verdicts.is_empty());
        for expected in 0..3 {
            assert_eq!(ask(&mut all), vec![(expected, Channel::Trades)]);
            let request_id = Some(all.request_last);
            all.answer(&answer(request_id, None, expected != 1), |stream, _, verdict| {
                verdicts.push((stream, verdict));
            });
        }
        assert_eq!(verdicts, vec![(0, Verdict::Accepted), (1, Verdict::Refused), (2, Verdict::Accepted)]);
    }

    #[test]
    fn answer_for_one_symbol_leaves_the_others_waiting() {
        let mut all = sent(2);
        all.answer(&answer(Some(1), Some(1), true), |_, _, _| {});
        assert_eq!(all.find(1, Channel::Trades).unwrap().state, ItemState::Active);
        assert!(matches!(all.find(0, Channel::Trades).unwrap().state, ItemState::Asked { .. }));
    }

    #[test]
    fn messages_keep_the_interval_that_the_venue_wants() {
        let mut all = Subscriptions::default();
        all.post(1, ["a", "b"].map(String::from).into_iter());
        assert_eq!(all.next_text(10, 250, 5).as_deref(), Some("a"));
        assert_eq!(all.next_text(100, 250, 5), None);
        assert_eq!(all.next_text(260, 250, 5).as_deref(), Some("b"));
    }
}
