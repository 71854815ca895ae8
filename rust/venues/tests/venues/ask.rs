//! Questions to the venues' REST: requests, pages and what refuses them. Bodies are those of the sheets (venues/*.md).

use facade_model::{Decimal, Sum};
use facade_venues::{
    Ask, AskKind, DecodeErrorKind,
    HoleReason::{self, Missing, NoTrades, NotKept},
    Interval, KlineRow, Page, PageOrder, Product, RestSource, Rows,
};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;
const MINUTE: Interval = Interval::Seconds(60);
const NOW: i64 = 1_784_620_830 * SECOND; // half a minute into a bar

const fn of(product: Product) -> RestSource {
    RestSource::Product(product)
}

const fn ask(kind: AskKind) -> Ask<'static> {
    Ask { kind, venue_symbol: "BTCUSDT", limit: 0, ts_from: 0, ts_until: 0, now: NOW, cursor: "" }
}

fn path(source: RestSource, ask: &Ask<'_>) -> Option<String> {
    source.request(ask).map(|request| request.path)
}

fn page(source: RestSource, ask: &Ask<'_>, body: &str) -> Page {
    source.page(ask, body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn klines(page: &Page) -> &[KlineRow] {
    let Rows::Klines(rows) = &page.rows else { panic!("{page:?}") };
    rows
}

#[test]
fn klines_of_a_limit_are_the_newest_intervals_and_the_open_one_is_told() {
    let two = Ask { limit: 2, ..ask(AskKind::Klines(MINUTE)) };
    let (open, before) = (1_784_620_800, 1_784_620_740);
    assert_eq!(
        path(of(Product::BinanceSpot), &two).unwrap(),
        format!("/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime={before}000&endTime={open}000&limit=2")
    );
    let row =
        |open: i64| format!("[{open}000,\"9\",\"9\",\"9\",\"9\",\"1\",{open}999,\"9\",1,\"1\",\"9\",\"0\"]");
    let body = format!("[{},{},{}]", row(before - 60), row(before), row(open));
    let told = page(of(Product::BinanceSpot), &two, &body);
    let rows: Vec<_> = klines(&told).iter().map(|row| (row.ts_open / SECOND, row.is_closed)).collect();
    assert_eq!(rows, [(before, Some(true)), (open, Some(false))], "rows outside the question are left out");
    assert_eq!((told.cursor.as_str(), told.order), ("", PageOrder::Forward));
}

#[test]
fn a_long_range_of_klines_is_paged_forward_until_its_end() {
    for (product, rows) in [
        (Product::BinanceSpot, 1_000),
        (Product::Okx, 300),
        (Product::CoinbaseAdvanced, 350),
        (Product::CoinbaseExchange, 300),
    ] {
        let whole = Ask { ts_from: NOW - 2_400 * 60 * SECOND, ..ask(AskKind::Klines(MINUTE)) };
        let empty = match product {
            Product::Okx => r#"{"code":"0","data":[]}"#,
            Product::CoinbaseAdvanced => r#"{"candles":[]}"#,
            _ => "[]",
        };
        let (mut cursor, mut pages) = (String::new(), 0);
        loop {
            let at = Ask { cursor: &cursor, ..whole };
            assert!(path(of(product), &at).is_some(), "{product:?}");
            let told = page(of(product), &at, empty);
            pages += 1;
            if told.cursor.is_empty() {
                break;
            }
            let first = whole.kline_range(MINUTE).start;
            assert_eq!(told.cursor, (first + pages * rows * 60 * SECOND).to_string(), "{product:?}");
            cursor = told.cursor;
        }
        assert_eq!(pages, 2_400_i64.div_euclid(rows) + 1 - i64::from(2_400 % rows == 0), "{product:?}");
    }
}

#[test]
fn months_are_asked_of_those_who_have_them_and_weeks_of_those_who_begin_them_on_monday() {
    let months = Ask { limit: 3, ..ask(AskKind::Klines(Interval::Month)) };
    let told = path(of(Product::BinanceSpot), &months).unwrap();
    assert!(told.contains("interval=1M&startTime=1777593600000&endTime=1782864000000&limit=3"), "{told}");
    assert!(path(of(Product::Okx), &months).unwrap().contains("bar=1Mutc"));
    for product in [Product::CoinbaseAdvanced, Product::CoinbaseExchange, Product::Kraken] {
        assert_eq!(path(of(product), &months), None, "{product:?}");
    }
    let weeks = Ask { limit: 3, ..ask(AskKind::Klines(Interval::Seconds(604_800))) };
    assert!(path(of(Product::Okx), &weeks).is_some());
    assert_eq!(path(of(Product::Kraken), &weeks), None);
}

#[test]
fn klines_off_their_grid_are_refused() {
    let body = "[[1784620801,1,1,1,1,1]]";
    let error =
        of(Product::CoinbaseExchange).page(&ask(AskKind::Klines(MINUTE)), body.as_bytes()).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::OffGrid);
}

#[test]
fn trades_page_backward_by_id_and_say_where_the_past_ends() {
    let newest = Ask { limit: 10, ..ask(AskKind::Trades) };
    assert_eq!(path(of(Product::BinanceSpot), &newest).unwrap(), "/api/v3/trades?symbol=BTCUSDT&limit=10");
    let body = r#"[{"id":28457,"price":"9","qty":"1","quoteQty":"9","time":1784620800511,"isBuyerMaker":true},{"id":28458,"price":"9","qty":"1","quoteQty":"9","time":1784620800512,"isBuyerMaker":false}]"#;
    let told = page(of(Product::BinanceSpot), &newest, body);
    assert_eq!((told.rows.len(), told.cursor.as_str(), told.order), (2, "28456", PageOrder::Backward));
    let second = Ask { cursor: "28456", ..newest };
    assert_eq!(
        path(of(Product::BinanceSpot), &second).unwrap(),
        "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=27457&limit=1000"
    );
    let since = Ask { ts_from: 1_784_620_800_512 * 1_000_000, ..newest };
    let told = page(of(Product::BinanceSpot), &since, body);
    assert_eq!((told.rows.len(), told.cursor.as_str()), (1, ""), "older than the first instant: the end");
}

#[test]
fn a_past_part_of_binances_trades_is_found_by_its_merged_trades() {
    let past = Ask { limit: 10, ts_until: NOW - 3_600 * SECOND, ..ask(AskKind::Trades) };
    assert_eq!(
        path(of(Product::BinanceSpot), &past).unwrap(),
        "/api/v3/aggTrades?symbol=BTCUSDT&endTime=1784617229999&limit=1"
    );
    let body =
        r#"[{"a":26129,"p":"0.01","q":"4.7","f":27781,"l":27785,"T":1498793709153,"m":true,"M":true}]"#;
    let told = page(of(Product::BinanceSpot), &past, body);
    assert_eq!((told.rows.len(), told.cursor.as_str()), (0, "27785"));
    assert_eq!(page(of(Product::BinanceSpot), &past, "[]").cursor, "", "nothing is that old");
    let found = Ask { cursor: "27785", ..past };
    assert!(path(of(Product::BinanceSpot), &found).unwrap().contains("fromId=26786"));
    for product in [Product::BinanceUsdm, Product::BinanceCoinm, Product::Kraken, Product::CoinbaseAdvanced] {
        assert_eq!(path(of(product), &past), None, "{product:?} cannot tell it");
    }
    assert!(
        path(of(Product::Okx), &past)
            .unwrap()
            .contains("history-trades?instId=BTCUSDT&type=2&after=1784617230000")
    );
}

#[test]
fn tickers_told_in_two_places_become_one_row() {
    let first = ask(AskKind::Ticker);
    let exchange = of(Product::CoinbaseExchange);
    let body = r#"{"ask":"68923.67","bid":"68923.66","volume":"11005.02","trade_id":995098663,"price":"68923.67","size":"0.00064","time":"2026-08-27T10:00:00.123456Z"}"#;
    let mut told = page(exchange, &first, body);
    let second = Ask { cursor: &told.cursor.clone(), ..first };
    assert_eq!(path(exchange, &second).unwrap(), "/products/BTCUSDT/stats");
    let stats = r#"{"open":"68000","high":"69200","low":"67500","last":"68923.7","volume":"11005.03","volume_30day":"1"}"#;
    let stats = page(exchange, &second, stats);
    assert_eq!(stats.cursor, "");
    told.rows.extend(stats.rows, true);
    let Rows::Ticker { ts_event, ticker } = told.rows else { panic!() };
    let number = |text: &str| Some(Decimal::parse(text.as_bytes()).unwrap());
    assert_eq!(ts_event, 1_787_824_800_123_456_000);
    assert_eq!(
        (ticker.last_px, ticker.open_px, ticker.low_px),
        (number("68923.67"), number("68000"), number("67500"))
    );
    assert_eq!((ticker.bid_px, ticker.ask_px), (number("68923.66"), number("68923.67")));
    assert_eq!(ticker.volume, number("11005.02").map(Sum::from));
    let usdm = of(Product::BinanceUsdm);
    let body = r#"{"symbol":"BTCUSDT","priceChangePercent":"1.054","weightedAvgPrice":"96710.33","lastPrice":"97012.01","lastQty":"0.1","openPrice":"96000","highPrice":"97500","lowPrice":"95500.1","volume":"12345678901234567890.5","quoteVolume":"17","closeTime":1784620800511,"count":23}"#;
    let told = page(usdm, &first, body);
    let Rows::Ticker { ticker, .. } = &told.rows else { panic!() };
    assert_eq!(ticker.volume.unwrap().to_string(), "12345678901234567890.5", "beyond 64 bits");
    assert_eq!((ticker.trade_count, ticker.change_percent), (Some(23), number("1.054")));
    let second = Ask { cursor: &told.cursor, ..first };
    assert_eq!(path(usdm, &second).unwrap(), "/fapi/v1/ticker/bookTicker?symbol=BTCUSDT");
}

#[test]
fn funding_tells_the_rate_ahead_and_then_the_settled_ones() {
    let first = Ask { limit: 2, ..ask(AskKind::Funding) };
    let usdm = of(Product::BinanceUsdm);
    assert_eq!(path(usdm, &first).unwrap(), "/fapi/v1/premiumIndex?symbol=BTCUSDT");
    let ahead = r#"{"symbol":"BTCUSDT","markPrice":"97001.15","indexPrice":"96990.6","lastFundingRate":"0.00010000","interestRate":"0.0001","nextFundingTime":1784649600000,"time":1784620803000}"#;
    let mut told = page(usdm, &first, ahead);
    let second = Ask { cursor: &told.cursor.clone(), ..first };
    assert_eq!(
        path(usdm, &second).unwrap(),
        "/fapi/v1/fundingRate?symbol=BTCUSDT&startTime=1784534430000&endTime=1784620830000&limit=1000"
    );
    let settled = r#"[{"symbol":"BTCUSDT","fundingRate":"-0.00020000","fundingTime":1784563200000,"markPrice":""},{"symbol":"BTCUSDT","fundingRate":"0.00010000","fundingTime":1784592000000,"markPrice":"97001.15"},{"symbol":"BTCUSDT","fundingRate":"0.00010000","fundingTime":1784620800000,"markPrice":"97001.15"}]"#;
    let settled = page(usdm, &second, settled);
    assert_eq!(settled.cursor, "");
    told.rows.extend(settled.rows, true);
    told.rows.tail(2);
    let Rows::Funding(rates) = &told.rows else { panic!() };
    let told: Vec<_> =
        rates.iter().map(|it| (it.ts_funding / SECOND, it.rate.to_string(), it.is_settled)).collect();
    assert_eq!(
        told,
        [
            (1_784_592_000, "0.0001".to_owned(), true),
            (1_784_620_800, "0.0001".to_owned(), true),
            (1_784_649_600, "0.0001".to_owned(), false)
        ]
    );
    let list = format!("[{ahead}]");
    assert_eq!(
        page(of(Product::BinanceCoinm), &first, &list).rows.len(),
        1,
        "coin margin answers with a list"
    );
    for product in
        [Product::BinanceSpot, Product::CoinbaseAdvanced, Product::CoinbaseExchange, Product::Kraken]
    {
        assert_eq!(path(of(product), &first), None, "{product:?} has none");
    }
}

#[test]
fn funding_of_okx_counts_what_was_realized_and_tells_the_interval_ahead() {
    let okx = of(Product::Okx);
    let first = Ask { venue_symbol: "BTC-USDT-SWAP", ..ask(AskKind::Funding) };
    assert_eq!(path(okx, &first).unwrap(), "/api/v5/public/funding-rate?instId=BTC-USDT-SWAP");
    let ahead = r#"{"code":"0","msg":"","data":[{"instId":"BTC-USDT-SWAP","fundingRate":"0.0001","nextFundingRate":"","fundingTime":"1784649600000","nextFundingTime":"1784678400000"}]}"#;
    let Rows::Funding(rates) = page(okx, &first, ahead).rows else { panic!() };
    assert_eq!((rates[0].interval_s, rates[0].is_settled), (28_800, false));
    let settled = r#"{"code":"0","msg":"","data":[{"instType":"SWAP","instId":"BTC-USDT-SWAP","formulaType":"noRate","fundingRate":"0.0001515032","realizedRate":"0.00015","fundingTime":"1784620800000","method":"current_period"}]}"#;
    let Rows::Funding(rates) = page(okx, &Ask { cursor: "settled", ..first }, settled).rows else { panic!() };
    assert_eq!((rates[0].rate.to_string(), rates[0].is_settled), ("0.00015".to_owned(), true));
}

#[test]
fn funding_of_kraken_is_the_relative_rate_in_order_of_time() {
    let first = Ask { venue_symbol: "BTC/USD", ..ask(AskKind::Funding) };
    assert_eq!(
        path(RestSource::KrakenFutures, &first).unwrap(),
        "/derivatives/api/v3/historical-funding-rates?symbol=PF_XBTUSD"
    );
    let body = r#"{"result":"success","serverTime":"x","rates":[{"timestamp":"2026-07-21T07:00:00.000Z","fundingRate":5.1,"relativeFundingRate":-1.380384722222e-6},{"timestamp":"2026-07-21T06:00:00Z","fundingRate":0.00005,"relativeFundingRate":0.0001}]}"#;
    let Rows::Funding(rates) = page(RestSource::KrakenFutures, &first, body).rows else { panic!() };
    let told: Vec<_> = rates.iter().map(|rate| rate.rate.to_string()).collect();
    assert_eq!(told, ["0.0001", "-0.000001380384722222"]);
    let error = r#"{"result":"error","error":"apiLimitExceeded","serverTime":"x"}"#;
    let refused = RestSource::KrakenFutures.page(&first, error.as_bytes()).unwrap_err();
    assert_eq!(refused.kind, DecodeErrorKind::Refused);
}

#[test]
fn books_come_sorted_and_cut_to_the_levels_asked_for() {
    let body = r#"{"error":[],"result":{"XXBTZUSD":{"asks":[["3","1",1],["2","1",1]],"bids":[["0.5","1",1],["1","2",1]]}}}"#;
    let told = page(of(Product::Kraken), &Ask { limit: 1, ..ask(AskKind::Book) }, body);
    let Rows::Book { bids, asks, .. } = told.rows else { panic!() };
    let px =
        |levels: &[facade_model::Level]| levels.iter().map(|level| level.px.to_string()).collect::<Vec<_>>();
    assert_eq!((px(&bids), px(&asks)), (vec!["1".to_owned()], vec!["2".to_owned()]));
}

/// What stands in the place of data: HTML, nothing, the venue's error, a member missing or of another type.
const NO_ANSWERS: [&str; 14] = [
    "",
    " ",
    "<html><body>503 Service Temporarily Unavailable</body></html>",
    "null",
    "\"ok\"",
    "{}",
    "[[]]",
    "[{}]",
    r#"{"code":-1121,"msg":"Invalid symbol."}"#,
    r#"{"code":"51001","msg":"Instrument ID does not exist","data":[]}"#,
    r#"{"code":"0","msg":""}"#,
    r#"{"error":["EQuery:Unknown asset pair"]}"#,
    r#"{"error":"NOT_FOUND","error_details":"x","message":"x"}"#,
    r#"{"message":"NotFound"}"#,
];

#[test]
fn row_c11_a_body_that_is_no_answer_is_refused_by_every_decoder() {
    let kinds = [AskKind::Klines(MINUTE), AskKind::Trades, AskKind::Ticker, AskKind::Funding, AskKind::Book];
    for kind in kinds {
        for product in Product::ALL {
            let question = Ask { limit: 5, ..ask(kind) };
            if path(of(product), &question).is_none() {
                continue;
            }
            for body in NO_ANSWERS {
                assert!(
                    of(product).page(&question, body.as_bytes()).is_err(),
                    "{product:?} {kind:?} {body:?}"
                );
            }
        }
    }
    for body in NO_ANSWERS {
        let question = ask(AskKind::Funding);
        assert!(RestSource::KrakenFutures.page(&question, body.as_bytes()).is_err(), "{body:?}");
    }
}

fn row(minute: i64, is_closed: bool, volume: i64) -> KlineRow {
    let px = Decimal::new(1, 0);
    KlineRow {
        ts_open: minute * 60 * SECOND,
        open: px,
        high: px,
        low: px,
        close: px,
        volume: Sum::new(i128::from(volume), 0),
        quote_volume: None,
        vwap: None,
        taker_buy_volume: None,
        trade_count: None,
        is_closed: Some(is_closed),
    }
}

#[test]
fn holes_say_why_they_are_there() {
    let rows = Rows::Klines(vec![row(3, true, 1), row(4, true, 1), row(6, true, 1)]);
    let range = 0..9 * 60 * SECOND;
    let told = |shows_empty| -> Vec<(i64, i64, HoleReason)> {
        let holes = rows.holes(MINUTE, range.clone(), shows_empty);
        let minutes = |ts: i64| ts / 60 / SECOND;
        holes.into_iter().map(|(hole, why)| (minutes(hole.start), minutes(hole.end), why)).collect()
    };
    assert_eq!(told(true), [(0, 3, NotKept), (5, 6, Missing), (7, 9, Missing)]);
    assert_eq!(told(false), [(0, 3, NoTrades), (5, 6, NoTrades), (7, 9, NoTrades)]);
    assert_eq!(Rows::Klines(vec![]).holes(MINUTE, 0..SECOND * 60, true), [(0..SECOND * 60, NotKept)]);
}

proptest! {
    #[test]
    fn row_c17_pages_in_any_order_join_to_one_row_an_interval(
        pages in prop::collection::vec(prop::collection::btree_map(0_i64..40, any::<(bool, u8)>(), 0..20), 1..5),
        order in prop::collection::vec(any::<bool>(), 5),
    ) {
        let mut told = Rows::Klines(Vec::new());
        let mut model = std::collections::BTreeMap::<i64, (bool, u8)>::new();
        for (page, is_newer) in pages.iter().zip(order) {
            told.extend(Rows::Klines(page.iter().map(|(&at, &(closed, qty))| row(at, closed, qty.into())).collect()), is_newer);
            for (&at, &(closed, qty)) in page {
                let keeps = model.get(&at).is_some_and(|&(was, _)| (was && !closed) || (was == closed && !is_newer));
                if !keeps {
                    model.insert(at, (closed, qty));
                }
            }
        }
        let wanted: Vec<_> = model.iter().map(|(&at, &(closed, qty))| row(at, closed, qty.into())).collect();
        prop_assert_eq!(&told, &Rows::Klines(wanted));
        let range = 5 * 60 * SECOND..35 * 60 * SECOND;
        let missing: Vec<i64> = (5..35).filter(|at| !model.contains_key(at)).collect();
        let holes = told.holes(MINUTE, range, true);
        let listed: Vec<i64> = holes
            .iter()
            .flat_map(|(hole, _)| hole.start / 60 / SECOND..hole.end / 60 / SECOND)
            .collect();
        prop_assert_eq!(listed, missing);
    }

    #[test]
    fn row_b18_random_and_damaged_pages_never_panic(
        which in 0_usize..5, bytes in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(),
        cursor in "[0-9a-z-]{0,20}", limit: u32, ts_from: i64, ts_until: i64,
    ) {
        let kinds = [AskKind::Klines(Interval::Month), AskKind::Trades, AskKind::Ticker, AskKind::Funding, AskKind::Book];
        let text = r#"{"code":"0","data":[{"fundingRate":"0.1","fundingTime":"1784620800000","nextFundingTime":"1"}],"rates":[]}"#;
        let mut damaged = text.as_bytes().to_vec();
        let at = at.index(damaged.len());
        damaged[at] = bytes.first().copied().unwrap_or_default();
        let question = Ask { cursor: &cursor, limit, ts_from, ts_until, ..ask(kinds[which]) };
        for source in Product::ALL.map(of).into_iter().chain([RestSource::KrakenFutures]) {
            let _ = source.request(&question);
            let _ = source.page(&question, &bytes);
            let _ = source.page(&question, &damaged);
        }
    }
}
