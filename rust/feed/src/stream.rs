//! One instrument of a feed: its topics, its book, what is being done to get it whole.

use facade_model::{Channel, Instrument, LevelChange, StreamPhase, Trade, Variant};
use facade_venues::Product;
use facade_wire::Exponents;

use crate::backfill::Backfill;
use crate::chain::{ChainRule, SnapshotSource};
use crate::config::FeedConfig;
use crate::depth::DepthTopic;
use crate::joint::Part;
use crate::klines::KlineTopic;
use crate::liveness::Watch;
use crate::machine::BookMachine;
use crate::publish::Times;
use crate::rules::{ChecksumRule, MachineRules};
use crate::ticks::TickJudge;
use crate::topic::Topic;
use crate::window::TradeWindow;

/// Number of channels of the contract, and the unused 0.
const CHANNELS: usize = 7;

/// Work on a book that has no proven state. Times monotonic ns.
#[derive(Debug, Clone, Copy, Default)]
pub struct Resync {
    /// Tries since the book was last LIVE.
    pub attempt: u32,
    /// When the next try is due; 0: none planned.
    pub due: i64,
    /// The REST request under way.
    pub request_id: Option<u64>,
    /// When the wait for a snapshot on the stream ends; 0: none awaited.
    pub snapshot_deadline: i64,
    /// Since when the book is crossed; 0: it is not.
    pub crossed_since: i64,
    /// Since when a REST snapshot waits for its first delta; 0: it does not.
    pub bridging_since: i64,
}

/// An instrument that somebody follows.
#[derive(Debug)]
pub struct Stream {
    /// What it is.
    pub instrument: Instrument,
    /// Digits of its records.
    pub usual: Exponents,
    /// Topics without a variant, by channel number.
    pub topics: [Option<Topic>; CHANNELS],
    /// Topics made of its trades.
    pub klines: Vec<KlineTopic>,
    /// Times of the newest trade that its klines took in this turn.
    pub klines_times: Times,
    /// Whether its klines may have bars to publish.
    pub is_klines_due: bool,
    /// Its part in consolidated prices.
    pub part: Part,
    /// Topics made of its book.
    pub depths: Vec<DepthTopic>,
    /// Its book, once asked for.
    pub machine: Option<BookMachine>,
    /// Work on the book.
    pub resync: Resync,
    /// Ids of the newest trades.
    pub window: TradeWindow,
    /// The newest trade that was told before this feed followed it, by an earlier start of the service: id and time.
    pub told_before: Option<(u64, i64)>,
    /// Holes in its trades.
    pub backfill: Backfill,
    /// Judges its prices.
    pub ticks: TickJudge,
    /// Silences by channel number.
    pub watches: [Watch; CHANNELS],
    /// When its next audit is due, monotonic ns; 0: not planned yet.
    pub audit_at: i64,
    /// When REST was asked for it last while the socket was down, monotonic ns; 0: never.
    pub fallback_at: i64,
    /// When the last checkpoint was made, and whether the book changed since.
    pub checkpoint_at: i64,
    /// Whether the book changed since the last checkpoint.
    pub is_changed: bool,
    /// Changes of one venue frame that were applied and leave with those of its last event.
    pub held: Vec<LevelChange>,
}

impl Stream {
    /// Makes an instrument without topics.
    #[must_use]
    pub fn new(instrument: Instrument) -> Self {
        let usual = usual_of(&instrument);
        Self {
            instrument,
            usual,
            topics: [const { None }; CHANNELS],
            klines: Vec::new(),
            klines_times: Times::default(),
            is_klines_due: false,
            part: Part::default(),
            depths: Vec::new(),
            machine: None,
            resync: Resync::default(),
            window: TradeWindow::default(),
            told_before: None,
            backfill: Backfill::default(),
            ticks: TickJudge::default(),
            watches: std::array::from_fn(|_| Watch::default()),
            audit_at: 0,
            fallback_at: 0,
            checkpoint_at: 0,
            is_changed: false,
            held: Vec::new(),
        }
    }

    /// Returns the topic of a channel without a variant.
    #[must_use]
    pub fn topic(&self, channel: Channel) -> Option<&Topic> {
        self.topics.get(channel as usize).and_then(Option::as_ref)
    }

    /// Returns the topic of a channel without a variant.
    pub fn topic_mut(&mut self, channel: Channel) -> Option<&mut Topic> {
        self.topics.get_mut(channel as usize).and_then(Option::as_mut)
    }

    /// Returns a topic.
    #[must_use]
    pub fn find(&self, channel: Channel, variant: Variant) -> Option<&Topic> {
        if variant == Variant::Plain {
            return self.topic(channel);
        }
        self.all_topics().find(|topic| topic.channel == channel && topic.variant == variant)
    }

    /// All topics.
    pub fn all_topics(&self) -> impl Iterator<Item = &Topic> {
        let klines = self.klines.iter().map(|kline| &kline.topic);
        let depths = self.depths.iter().map(|depth| &depth.topic);
        self.topics.iter().flatten().chain(klines).chain(depths)
    }

    /// The symbol, and all topics.
    pub fn all_topics_mut(&mut self) -> (&str, impl Iterator<Item = &mut Topic>) {
        let klines = self.klines.iter_mut().map(|kline| &mut kline.topic);
        let depths = self.depths.iter_mut().map(|depth| &mut depth.topic);
        (&self.instrument.symbol, self.topics.iter_mut().flatten().chain(klines).chain(depths))
    }

    /// The symbol; the topic of a channel, and those that are made of it: they share its fate.
    pub fn family_mut(&mut self, channel: Channel) -> (&str, impl Iterator<Item = &mut Topic>) {
        let klines = if channel == Channel::Trades { self.klines.as_mut_slice() } else { &mut [] };
        let depths = if channel == Channel::BookL2 { self.depths.as_mut_slice() } else { &mut [] };
        let klines = klines.iter_mut().map(|kline| &mut kline.topic);
        let depths = depths.iter_mut().map(|depth| &mut depth.topic);
        let own = self.topics.get_mut(channel as usize).into_iter().flatten();
        (&self.instrument.symbol, own.chain(klines).chain(depths))
    }

    /// Whether a channel's own topic serves a subscriber, or another topic that is made of it.
    #[must_use]
    pub fn is_needed(&self, channel: Channel) -> bool {
        let has_derived = match channel {
            Channel::Trades => !self.klines.is_empty(),
            Channel::BookL2 => !self.depths.is_empty(),
            _ => false,
        };
        has_derived || self.topic(channel).is_some_and(|topic| topic.is_asked)
    }

    /// Whether a trade was told before anything was seen here. A venue that counts anew tells later times.
    #[must_use]
    pub fn is_told_before(&self, trade: &Trade) -> bool {
        let is_old = |(id, ts_event): (u64, i64)| trade.id <= id && trade.ts_event <= ts_event;
        self.window.is_empty() && self.told_before.is_some_and(is_old)
    }

    /// Adds a topic; a book topic brings its machine.
    pub fn add_topic(&mut self, topic: Topic, config: &FeedConfig) {
        if topic.variant != Variant::Plain {
            match topic.channel {
                Channel::Klines => self.klines.extend(KlineTopic::new(topic, config, self.usual)),
                _ => self.depths.extend(DepthTopic::new(topic)),
            }
            return;
        }
        if topic.channel == Channel::BookL2 && self.machine.is_none() {
            self.machine = Some(BookMachine::new(self.rules(config), self.usual.price));
        }
        if let Some(slot) = self.topics.get_mut(topic.channel as usize) {
            *slot = Some(topic);
        }
    }

    /// Forgets a topic that is made of another.
    pub fn remove_variant(&mut self, channel: Channel, variant: Variant) {
        self.klines.retain(|kline| (kline.topic.channel, kline.topic.variant) != (channel, variant));
        self.depths.retain(|depth| (depth.topic.channel, depth.topic.variant) != (channel, variant));
    }

    /// Forgets the topic of a channel, and the book with it.
    pub fn remove_topic(&mut self, channel: Channel) -> Option<Topic> {
        if channel == Channel::BookL2 {
            self.machine = None;
            self.resync = Resync::default();
        }
        if channel == Channel::Trades {
            self.window.clear();
            self.backfill = Backfill::default();
        }
        self.topics.get_mut(channel as usize).and_then(Option::take)
    }

    fn rules(&self, config: &FeedConfig) -> MachineRules {
        let product = config.product;
        let checksum = match product {
            Product::Kraken => ChecksumRule::Kraken {
                price_precision: self.instrument.price_precision,
                quantity_precision: self.instrument.quantity_precision,
            },
            Product::Okx => ChecksumRule::Okx,
            _ => ChecksumRule::None,
        };
        let bound = (config.levels_max > 0 && !config.is_replay).then_some(config.levels_max as usize);
        MachineRules {
            chain: ChainRule::of(product),
            checksum,
            bridges_rest: SnapshotSource::of(product) == SnapshotSource::Rest,
            depth_max: if product == Product::Kraken { Some(config.book_depth as usize) } else { bound },
            buffer: config.buffer,
            report_every: config.report_every,
        }
    }

    /// Whether the book's state is proven and uncrossed, and told so.
    #[must_use]
    pub fn is_book_live(&self) -> bool {
        self.topic(Channel::BookL2).is_some_and(|topic| topic.phase == StreamPhase::Live)
    }
}

/// Digits of an instrument's records.
pub(crate) fn usual_of(instrument: &Instrument) -> Exponents {
    Exponents {
        price: usual_exponent(instrument.tick_size.exponent, instrument.price_precision),
        quantity: usual_exponent(instrument.lot_size.exponent, instrument.quantity_precision),
    }
}

/// Digits behind the point that records usually need: those of the step, or of the venue's own precision.
fn usual_exponent(step: i8, precision: u8) -> i8 {
    let precision = i8::try_from(precision).unwrap_or(i8::MAX);
    step.min(-precision).clamp(-18, 0)
}
