//! One subscriber: every topic's updates without hole or doubling, and when they came. Pure: time is an argument.

use facade_benches::{FIRST_ID, IDS_PER_FRAME, Ladder, frame_of, last_id};

use crate::records::{Kind, Update, take_messages};

const CUT: u64 = 2; // of `UpdateFlag`
const WARM_UP_SHARE: usize = 10; // the first tenth is not measured

#[derive(Default)]
struct Topic {
    head: u64,
    venue_sequence: u64,
    from: u64, // the venue's id of the first snapshot
    deltas: u64,
}

impl Topic {
    /// Takes a record's number; returns whether it is the next one.
    fn take_number(&mut self, update: &Update<'_>) -> bool {
        let takes_number = match update.kind {
            Kind::Delta | Kind::State => true,
            Kind::Gap => update.seq > 0,
            Kind::Snapshot => update.flags & CUT == 0,
            _ => false,
        };
        let is_next = !takes_number || self.head == 0 || update.seq == self.head + 1;
        if takes_number || update.kind == Kind::Snapshot {
            self.head = self.head.max(update.seq);
        }
        is_next
    }

    /// Takes what changes a book; returns whether it does.
    fn take_book(&mut self, update: &Update<'_>) -> bool {
        match update.kind {
            Kind::Snapshot if self.from == 0 => self.from = update.venue_sequence,
            Kind::Snapshot => {}
            Kind::Delta => self.deltas += 1,
            _ => return false,
        }
        self.venue_sequence = update.venue_sequence;
        true
    }
}

/// What all subscribers wait for.
pub struct Wanted {
    /// Canonical names, in the order of their turns.
    pub symbols: Vec<String>,
    /// Frames of all symbols.
    pub frames: usize,
}

impl Wanted {
    fn last_id(&self, symbol: usize) -> u64 {
        let count = (self.frames + self.symbols.len() - 1 - symbol) / self.symbols.len();
        (count as u64).checked_sub(1).map_or(FIRST_ID, last_id)
    }
}

/// What one subscriber has received.
pub struct Reader {
    topics: Vec<Topic>,
    buffer: Vec<u8>,
    /// Everything as it came, for the book at the end; kept by the first subscriber only.
    pub kept: Option<Vec<u8>>,
    /// When each frame's update came, monotonic ns; 0: it has not.
    pub came: Vec<u64>,
    /// Statuses that accept a topic.
    pub accepted: usize,
    /// Updates of played frames.
    pub count: usize,
    /// Gaps and changes of delivery.
    pub losses: usize,
    /// Whether no number was missed or came twice.
    pub is_contiguous: bool,
    /// When the warm-up was over, and when the last update came.
    pub span: (u64, u64),
    /// Responses are joined updates: how many pieces of data came.
    pub pieces: usize,
}

impl Reader {
    /// Returns a subscriber that has received nothing; the first one keeps all for the proof.
    pub fn new(wanted: &Wanted, is_first: bool) -> Self {
        Self {
            topics: wanted.symbols.iter().map(|_| Topic::default()).collect(),
            buffer: Vec::new(),
            kept: is_first.then(Vec::new),
            came: if is_first {
                vec![0; wanted.frames]
            } else {
                Vec::new()
            },
            accepted: 0,
            count: 0,
            losses: 0,
            is_contiguous: true,
            span: (0, 0),
            pieces: 0,
        }
    }

    /// Whether every topic has a book.
    pub fn is_live(&self) -> bool {
        self.accepted >= self.topics.len()
            && self
                .topics
                .iter()
                .all(|topic| topic.venue_sequence >= FIRST_ID)
    }

    /// Whether every topic stands at its last frame.
    pub fn is_done(&self, wanted: &Wanted) -> bool {
        let ends = self.topics.iter().enumerate();
        ends.into_iter()
            .all(|(at, topic)| topic.venue_sequence == wanted.last_id(at))
    }

    /// Takes what came at `now`.
    pub fn take(&mut self, wanted: &Wanted, data: &[u8], now: u64) {
        self.pieces += 1;
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(data);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.is_empty() {
            let used = take_messages(data, |update| self.on_update(wanted, &update, now));
            buffer.extend_from_slice(data.get(used..).unwrap_or_default());
        } else {
            buffer.extend_from_slice(data);
            let used = take_messages(&buffer, |update| self.on_update(wanted, &update, now));
            buffer.drain(..used);
        }
        self.buffer = buffer;
    }

    fn on_update(&mut self, wanted: &Wanted, update: &Update<'_>, now: u64) {
        match update.kind {
            Kind::Status => self.accepted += usize::from(update.is_accepted()),
            Kind::DeliveryChange | Kind::Gap => self.losses += 1,
            _ => {}
        }
        let symbols = &wanted.symbols;
        let Some(at) = symbols
            .iter()
            .position(|name| name.as_bytes() == update.symbol)
        else {
            return;
        };
        let Some(topic) = self.topics.get_mut(at) else {
            return;
        };
        self.is_contiguous &= topic.take_number(update);
        if !topic.take_book(update) {
            return;
        }
        let Some(frame) = frame_of(update.venue_sequence, at, symbols.len()) else {
            return;
        };
        self.count += 1;
        if self.count == wanted.frames / WARM_UP_SHARE {
            self.span.0 = now;
        }
        self.span.1 = now;
        if let Some(place) = self.came.get_mut(frame) {
            *place = now;
        }
    }

    /// Whether each frame behind the first snapshot has made one delta, and nothing was lost on the way.
    pub fn is_whole(&self, wanted: &Wanted) -> bool {
        let mut topics = self.topics.iter().enumerate();
        let is_told = topics.all(|(at, topic)| {
            let frames = wanted
                .last_id(at)
                .saturating_sub(topic.from)
                .div_ceil(IDS_PER_FRAME);
            topic.deltas == frames
        });
        is_told && self.is_contiguous && self.losses == 0 && self.is_done(wanted)
    }

    /// Builds the books from all that was kept; returns their digests, by symbol.
    pub fn digests(&self, wanted: &Wanted) -> Vec<String> {
        let mut ladders = vec![Ladder::default(); wanted.symbols.len()];
        take_messages(self.kept.as_deref().unwrap_or_default(), |update| {
            if matches!(update.kind, Kind::Delta | Kind::Snapshot) {
                let at = wanted
                    .symbols
                    .iter()
                    .position(|name| name.as_bytes() == update.symbol);
                if let Some(ladder) = at.and_then(|at| ladders.get_mut(at)) {
                    update.apply(ladder);
                }
            }
        });
        ladders.iter().map(Ladder::digest).collect()
    }
}
