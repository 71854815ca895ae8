//! The past page by page: every trade and kline of the wanted part once, whatever the venue's paging.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use facade_feed::{Feed, FeedConfig, ManualClock, Past, PastRow};
use facade_hub::{DeliveryChange, DeliveryGap, Hub, HubBounds, ResumePosition, Stamp, StreamEncoder};
use facade_model::{Channel, Variant};
use facade_venues::Product;
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;
const NOW: i64 = 1_800_000_000 * SECOND;

struct NoRecords;

impl StreamEncoder for NoRecords {
    fn delivery_change(&self, _: &DeliveryChange<'_>, _: &mut Vec<u8>) {}
    fn gap(&self, _: &DeliveryGap<'_>, _: &mut Vec<u8>) {}
    fn draining(&self, _: &[ResumePosition], _: Stamp, _: &mut Vec<u8>) {}
}

/// A feed that knows one instrument, and its canonical symbol.
fn feed(product: Product) -> (Feed, &'static str) {
    let (list, symbol): (&[u8], _) = match product {
        Product::BinanceSpot => (
            br#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[{"filterType":"PRICE_FILTER","tickSize":"0.01"},{"filterType":"LOT_SIZE","stepSize":"0.001"}]}]}"#,
            "BTC-USDT",
        ),
        Product::CoinbaseAdvanced => (
            br#"{"products":[{"product_id":"BTC-USD","base_increment":"0.001","price_increment":"0.01","status":"online","product_type":"SPOT","base_currency_id":"BTC","quote_currency_id":"USD","alias":""}]}"#,
            "BTC-USD",
        ),
        Product::CoinbaseExchange => (
            br#"[{"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","quote_increment":"0.01","base_increment":"0.001","status":"online"}]"#,
            "BTC-USD",
        ),
        Product::Kraken => (
            br#"{"error":[],"result":{"XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","pair_decimals":2,"lot_decimals":3,"tick_size":"0.01","status":"online"}}}"#,
            "BTC-USD",
        ),
        _ => (
            br#"{"code":"0","data":[{"instType":"SPOT","instId":"BTC-USDT","baseCcy":"BTC","quoteCcy":"USDT","tickSz":"0.01","lotSz":"0.001","state":"live"}]}"#,
            "BTC-USDT",
        ),
    };
    let hub = Arc::new(Hub::new(HubBounds::default(), Box::new(NoRecords)));
    let clock = ManualClock::new(NOW, 1);
    let mut feed = Feed::new(FeedConfig::new(product, 1, 1), hub, Box::new(clock));
    assert_eq!(feed.add_instruments(list).unwrap(), 1, "{product:?}");
    (feed, symbol)
}

/// What stands behind `name=` in a path.
fn asked(path: &str, name: &str) -> Option<i64> {
    let (_, rest) = path.split_once(&format!("{name}="))?;
    rest.split('&').next()?.parse().ok()
}

/// The venue's own answer, from trades of an id and a time each; the newest page holds `most`.
fn answer(product: Product, path: &str, trades: &[(i64, i64)], most: usize) -> String {
    let newest = |rows: Vec<(i64, i64)>| rows.split_at(rows.len().saturating_sub(most)).1.to_vec();
    let pick = |keep: &dyn Fn(&(i64, i64)) -> bool| {
        trades.iter().filter(|row| keep(row)).copied().collect::<Vec<_>>()
    };
    let join = |rows: Vec<String>| rows.join(",");
    match product {
        Product::BinanceSpot => {
            let rows = match asked(path, "fromId") {
                Some(id) => {
                    let from = id + 1_000 - i64::try_from(most).unwrap(); // a venue of small pages
                    pick(&|row| row.0 >= from && row.0 < id + 1_000)
                }
                None => newest(trades.to_vec()),
            };
            let row = |(id, ts): &(i64, i64)| {
                format!(
                    r#"{{"id":{id},"price":"1.5","qty":"2","time":{},"isBuyerMaker":true}}"#,
                    ts / 1_000_000
                )
            };
            format!("[{}]", join(rows.iter().map(row).collect()))
        }
        Product::CoinbaseExchange => {
            let below = asked(path, "after").unwrap_or(i64::MAX);
            let rows = newest(pick(&|row| row.0 < below));
            let row = |(id, ts): &(i64, i64)| {
                format!(r#"{{"time":"{}","trade_id":{id},"price":"1.5","size":"2","side":"buy"}}"#, text(*ts))
            };
            format!("[{}]", join(rows.iter().rev().map(row).collect()))
        }
        Product::CoinbaseAdvanced => {
            let (first, last) = (asked(path, "start").unwrap(), asked(path, "end").unwrap());
            let rows = newest(pick(&|row| row.1 >= first * SECOND && row.1 <= last * SECOND));
            let row = |(id, ts): &(i64, i64)| {
                format!(
                    r#"{{"trade_id":"{id}","product_id":"BTC-USD","price":"1.5","size":"2","time":"{}","side":"BUY"}}"#,
                    text(*ts)
                )
            };
            format!(r#"{{"trades":[{}]}}"#, join(rows.iter().rev().map(row).collect()))
        }
        _ => {
            let since = asked(path, "since").unwrap();
            let rows: Vec<(i64, i64)> = pick(&|row| row.1 > since).into_iter().take(most).collect();
            let row = |(id, ts): &(i64, i64)| {
                format!(r#"["1.5","2",{}.{:09},"b","m","",{id}]"#, ts / SECOND, ts % SECOND)
            };
            format!(
                r#"{{"error":[],"result":{{"XXBTZUSD":[{}],"last":"1"}}}}"#,
                join(rows.iter().map(row).collect())
            )
        }
    }
}

/// A time of the year 2027 in RFC 3339: NOW is 2027-01-15T08:00:00Z.
fn text(ts: i64) -> String {
    let back = NOW - ts;
    let second = 28_800 * SECOND - back;
    let (hour, minute) = (second / (3_600 * SECOND), second / (60 * SECOND) % 60);
    format!("2027-01-15T{hour:02}:{minute:02}:{:02}.{:09}Z", second / SECOND % 60, second % SECOND)
}

/// Reads all pages.
fn read(feed: &Feed, past: Past<'_>, mut page: impl FnMut(&str) -> String) -> BTreeMap<i64, PastRow> {
    let (mut cursor, mut rows) = (String::new(), BTreeMap::new());
    for _ in 0..500 {
        let at = Past { cursor: &cursor, ..past };
        let request = feed.history_request(&at).unwrap();
        let (found, next) = feed.history_rows(&at, page(&request.path).as_bytes()).unwrap();
        assert!(found.windows(2).all(|pair| pair[0].key < pair[1].key), "ascending");
        rows.extend(found.into_iter().map(|row| (row.key, row)));
        if next.is_empty() {
            return rows;
        }
        assert_ne!(next, cursor);
        cursor = next;
    }
    panic!("the pages never end");
}

const PAGED: [Product; 4] =
    [Product::BinanceSpot, Product::CoinbaseAdvanced, Product::CoinbaseExchange, Product::Kraken];

proptest! {
    #[test]
    fn every_trade_of_the_wanted_part_comes_once_whatever_the_paging(
        which in 0_usize..4, steps in prop::collection::vec(1_i64..40, 1..200), most in 20_usize..60,
        from in 0_usize..200, until in 0_usize..200,
    ) {
        let product = PAGED[which];
        let (feed, symbol) = feed(product);
        let ms = 1_000_000_i64;
        let span: i64 = steps.iter().map(|step| step * 100 * ms).sum();
        let trades: Vec<(i64, i64)> = steps.iter().scan((10_000, NOW - span), |(id, ts), step| {
            *id += 1;
            *ts += step * 100 * ms;
            Some((*id, *ts))
        }).collect();
        let at = |index: usize| trades[index.min(trades.len() - 1)].1;
        let (ts_from, ts_until) = (at(from.min(until)), at(from.max(until)));
        let past = Past { symbol, channel: Channel::Trades, variant: Variant::Plain, ts_from, ts_until, cursor: "" };
        let rows = read(&feed, past, |path| answer(product, path, &trades, most));
        let wanted: Vec<i64> =
            trades.iter().filter(|row| (ts_from..ts_until).contains(&row.1)).map(|row| row.0).collect();
        prop_assert_eq!(rows.keys().copied().collect::<Vec<_>>(), wanted, "{:?}", product);
    }
}

#[test]
fn klines_of_many_pages_come_whole_and_the_open_one_stays_out() {
    let minute = 60 * SECOND;
    for product in [Product::BinanceSpot, Product::CoinbaseAdvanced, Product::CoinbaseExchange] {
        let (feed, symbol) = feed(product);
        let ts_from = NOW - 2_500 * minute + 7;
        let variant = Variant::Time { seconds: 60 };
        let past =
            Past { symbol, channel: Channel::Klines, variant, ts_from, ts_until: NOW + minute, cursor: "" };
        let rows = read(&feed, past, |path| {
            let (first, unit) = match asked(path, "startTime") {
                Some(ms) => (ms, 1_000),
                None => (asked(path, "start").unwrap(), 1),
            };
            let last = asked(path, "endTime").or_else(|| asked(path, "end")).unwrap();
            let opens = (first / unit..=last / unit).filter(|open| open % 60 == 0 && *open * SECOND <= NOW);
            let rows: Vec<String> = opens
                .filter(|open| open % 420 != 0) // some have no trade; Coinbase leaves those out
                .map(|open| match product {
                    Product::BinanceSpot => {
                        format!(
                            r#"[{},"1","2","1","2","5",{},"9",3,"1","1","0"]"#,
                            open * 1_000,
                            open * 1_000 + 59_999
                        )
                    }
                    Product::CoinbaseExchange => format!("[{open},1,2,1,2,5]"),
                    _ => format!(
                        r#"{{"start":"{open}","low":"1","high":"2","open":"1","close":"2","volume":"5"}}"#
                    ),
                })
                .collect();
            let rows = rows.join(",");
            if product == Product::CoinbaseAdvanced {
                format!(r#"{{"candles":[{rows}]}}"#)
            } else {
                format!("[{rows}]")
            }
        });
        let wanted = (1..2_500).map(|back| NOW - back * minute).filter(|open| open / SECOND % 420 != 0);
        let mut wanted: Vec<i64> = wanted.collect();
        wanted.reverse();
        assert_eq!(rows.into_keys().collect::<Vec<_>>(), wanted, "{product:?}");
    }
}

#[test]
fn history_that_a_venue_does_not_have_is_refused() {
    let (okx, symbol) = feed(Product::Okx);
    let past = Past {
        symbol,
        channel: Channel::Trades,
        variant: Variant::Plain,
        ts_from: 0,
        ts_until: NOW,
        cursor: "",
    };
    assert!(okx.history_request(&past).is_none(), "its REST lists the matches that its stream merges");
    let klines = Past { channel: Channel::Klines, variant: Variant::Count(100), ..past };
    assert!(okx.history_request(&klines).is_none());
    let unknown = Past { symbol: "FOO-BAR", ..klines };
    assert!(okx.history_request(&unknown).is_none());
    let odd = Past { variant: Variant::Time { seconds: 90 }, ..klines };
    assert!(okx.history_request(&odd).is_none());
    let broken = Past { variant: Variant::Time { seconds: 60 }, ..klines };
    assert!(okx.history_rows(&broken, b"[]").is_err());
}
