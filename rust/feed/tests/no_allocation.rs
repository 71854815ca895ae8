//! In steady state a feed allocates nothing per frame: whole and limited books, trades, klines, consolidated prices.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::alloc::System;
use std::sync::Arc;

use facade_feed::{Clock, Consolidator, Feed, FeedConfig, ManualClock};
use facade_hub::{DeliveryChange, DeliveryGap, Hub, HubBounds, ResumePosition, Stamp, StreamEncoder};
use facade_model::{Channel, Variant};
use facade_venues::Product;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const INSTRUMENTS: &[u8] = br#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC",
    "quoteAsset":"USDT","filters":[{"filterType":"PRICE_FILTER","tickSize":"0.01000000"},
    {"filterType":"LOT_SIZE","stepSize":"0.00001000"}]}]}"#;
const START: i64 = 1_800_000_000_000_000_000;
const MS: i64 = 1_000_000;

struct NoRecords;

impl StreamEncoder for NoRecords {
    fn delivery_change(&self, _: &DeliveryChange<'_>, _: &mut Vec<u8>) {}
    fn gap(&self, _: &DeliveryGap<'_>, _: &mut Vec<u8>) {}
    fn draining(&self, _: &[ResumePosition], _: Stamp, _: &mut Vec<u8>) {}
}

struct Shared(Arc<ManualClock>);

impl Clock for Shared {
    fn wall_ns(&self) -> i64 {
        self.0.wall_ns()
    }
    fn monotonic_ns(&self) -> i64 {
        self.0.monotonic_ns()
    }
}

/// A level's quantity in message `n`: levels come and go, near the best and far from it.
fn quantity(n: i64, step: i64) -> i64 {
    (n * 7 + step * 13) % 5
}

fn frames(n: i64) -> [Vec<u8>; 3] {
    let ms = START / MS + n;
    let level = |base: i64, sign: i64, step: i64| {
        let step = step % 40;
        format!("[\"{}.00\",\"{}\"]", base + sign * step, quantity(n, step))
    };
    let (bids, asks) = (
        [level(999, -1, n * 3), level(999, -1, n * 3 + 1), level(999, -1, n * 5 + 2)].join(","),
        [level(1_001, 1, n * 3), level(1_001, 1, n * 3 + 1), level(1_001, 1, n * 5 + 2)].join(","),
    );
    let (first, last) = (1_001 + 2 * n, 1_002 + 2 * n);
    [
        format!(
            r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"BTCUSDT","U":{first},"u":{last},"b":[{bids}],"a":[{asks}]}}}}"#
        ),
        format!(
            r#"{{"stream":"btcusdt@trade","data":{{"e":"trade","E":{ms},"s":"BTCUSDT","t":{n},"p":"{}.25","q":"0.00{}","T":{ms},"m":true,"M":true}}}}"#,
            1_000 + n % 9,
            1 + n % 8
        ),
        format!(
            r#"{{"stream":"btcusdt@bookTicker","data":{{"u":{last},"s":"BTCUSDT","b":"{}.00","B":"1","a":"1001.00","A":"2"}}}}"#,
            990 + n % 10
        ),
    ]
    .map(String::into_bytes)
}

fn snapshot() -> Vec<u8> {
    let side = |base: i64, sign: i64| {
        let rows: Vec<String> =
            (0..40).map(|step| format!("[\"{}.00\",\"1\"]", base + sign * step)).collect();
        rows.join(",")
    };
    format!(r#"{{"lastUpdateId":1000,"bids":[{}],"asks":[{}]}}"#, side(999, -1), side(1_001, 1)).into_bytes()
}

fn steady_state_allocates_nothing() {
    let clock = Arc::new(ManualClock::new(START, 1));
    let bounds = HubBounds { ring_bytes: 1 << 18, ..HubBounds::default() };
    let hub = Arc::new(Hub::new(bounds, Box::new(NoRecords)));
    let checkpoint_ns = i64::MAX; // one line of text for each, once a second
    let config = FeedConfig { is_replay: true, checkpoint_ns, ..FeedConfig::new(Product::BinanceSpot, 1, 1) };
    let mut feed = Feed::new(config, Arc::clone(&hub), Box::new(Shared(Arc::clone(&clock))));
    let consolidator = Arc::new(Consolidator::new(Arc::clone(&hub), Box::new(Shared(Arc::clone(&clock))), 1));
    feed.join(Arc::clone(&consolidator));
    feed.add_instruments(INSTRUMENTS).unwrap();
    for (channel, text) in [
        (Channel::BookL2, ""),
        (Channel::BookL2, "10"),
        (Channel::BookL2, "25"),
        (Channel::Trades, ""),
        (Channel::TopOfBook, ""),
        (Channel::Klines, "1s"),
        (Channel::Klines, "1m"),
        (Channel::Klines, "10t"),
        (Channel::Klines, "0.5v"),
    ] {
        assert!(feed.subscribe("BTCUSDT", channel, Variant::parse(channel, text).unwrap()));
    }
    consolidator.follow("BTC-USDT", &["binance".to_owned(), "okx".to_owned()]);
    feed.on_opened();
    feed.drain_commands().for_each(drop);
    feed.on_recorded_snapshot("BTCUSDT", &snapshot(), START);
    let texts: Vec<[Vec<u8>; 3]> = (0..12_000).map(frames).collect();
    let mut play = |texts: &[[Vec<u8>; 3]], from: usize| {
        for (at, frames) in texts.iter().enumerate() {
            let passed = i64::try_from(from + at).unwrap() * MS;
            clock.set(START + passed, 1 + passed);
            for frame in frames {
                feed.on_frame(frame, START + passed, false);
            }
        }
    };
    let (warm, measured) = texts.split_at(8_000);
    play(warm, 0);
    let region = Region::new(ALLOCATOR);
    play(measured, 8_000);
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
    let topics = feed.topics();
    let records = |text: &str| {
        let is_it = |variant: &str| variant == text;
        topics.iter().find(|topic| is_it(&topic.variant)).map_or(0, |topic| topic.records)
    };
    assert!(["10", "25", "1s", "10t", "0.5v"].iter().all(|text| records(text) > 5), "{topics:?}");
    assert!(
        hub.head(
            hub.find(&facade_hub::TopicKey {
                venue: "consolidated",
                symbol: "BTC-USDT",
                channel: Channel::ConsolidatedTop as u8,
                variant: "",
            })
            .unwrap()
        ) > 1_000
    );
}

fn main() {
    steady_state_allocates_nothing();
}
