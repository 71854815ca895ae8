//! REST beside the book: answers of the venues' documents, requests as they page, hostile bodies.

use facade_model::{Decimal, Sum, TakerSide, Trade};
use facade_venues::{DecodeErrorKind, Decoded, Event, KlineRow, KlinesSpan, Product, TradesSpan};
use proptest::prelude::*;
use serde_json::Value;

use crate::recording;

const SECOND: i64 = 1_000_000_000;

/// Answers of the sheets (venues/*.md), shortened there; rows of OKX and Coinbase stand newest first.
const TRADES: [(Product, &str); 5] = [
    (
        Product::BinanceSpot,
        r#"[{"id":28457,"price":"97012.01000000","qty":"0.00125000","quoteQty":"121.26501250","time":1784620800511,"isBuyerMaker":true,"isBestMatch":true},{"id":28458,"price":"97012.02000000","qty":"1.00000000","quoteQty":"97012.02000000","time":1784620800512,"isBuyerMaker":false,"isBestMatch":true}]"#,
    ),
    (
        Product::Okx,
        r#"{"code":"0","msg":"","data":[{"instId":"BTC-USDT","side":"sell","sz":"0.00013669","px":"102537.9","source":"0","tradeId":"734864333","ts":"1747087163557"},{"instId":"BTC-USDT","side":"buy","sz":"2","px":"102537.8","source":"0","tradeId":"734864332","ts":"1747087163500"}]}"#,
    ),
    (
        Product::CoinbaseAdvanced,
        r#"{"trades":[{"trade_id":"995098663","product_id":"BTC-USD","price":"68923.67","size":"0.00064","time":"2026-04-07T00:28:58.544778Z","side":"SELL","bid":"","ask":"","exchange":"coinbase"},{"trade_id":"995098662","product_id":"BTC-USD","price":"68923.66","size":"1","time":"2026-04-07T00:28:58.5Z","side":"BUY","bid":"","ask":"","exchange":"coinbase"}],"best_bid":"68923.66","best_ask":"68923.67"}"#,
    ),
    (
        Product::CoinbaseExchange,
        r#"[{"time":"2026-08-27T10:00:00.123456Z","trade_id":74,"price":"10.00","size":"0.01","side":"buy"},{"time":"2026-08-27T10:00:00.1Z","trade_id":73,"price":"9.99","size":"5","side":"sell"}]"#,
    ),
    (
        Product::Kraken,
        r#"{"error":[],"result":{"XBTUSDT":[["105433.60000","0.00027625",1762795433.9717445,"b","l","",10218208],["105433.50000","1.5",1762795434.1,"s","m","",10218209]],"last":"1762795434100000000"}}"#,
    ),
];

const KLINES: [(Product, &str); 5] = [
    (
        Product::BinanceSpot,
        r#"[[1784620740000,"97000.0","97013.5","96999.9","97010.0","2.5",1784620799999,"242500.25",40,"1.25","121250.5","0"],[1784620800000,"97010.0","97010.0","97010.0","97010.0","0.00000000",1784620859999,"0.00000000",0,"0.00000000","0.00000000","0"]]"#,
    ),
    (
        Product::Okx,
        r#"{"code":"0","msg":"","data":[["1747094040000","102806.1","102820.4","102806.1","102820.4","10.4037","1069603.34883","1069603.34883","0"],["1747093980000","102806","102820.5","102783.1","102806.1","71.6404","7364701.57952","7364701.57952","1"]]}"#,
    ),
    (
        Product::CoinbaseAdvanced,
        r#"{"candles":[{"start":"1712192460","low":"66181.6","high":"66181.6","open":"66181.6","close":"66181.6","volume":"1"},{"start":"1712192400","low":"66055.14","high":"66331.99","open":"66312.4","close":"66181.6","volume":"355.82896243"}]}"#,
    ),
    (
        Product::CoinbaseExchange,
        "[[1712192460,66181.6,66181.7,66181.65,66181.6,1e-08],[1712192400,66055.14,66331.99,66312.4,66181.6,355.82896243]]",
    ),
    (
        Product::Kraken,
        r#"{"error":[],"result":{"XBTUSDT":[[1762777140,"106038.3","106038.3","106038.3","106038.3","106038.3","0.00032101",1],[1762777200,"106038.1","106044.3","106038.1","106040.1","106039.6","0.08317981",3]],"last":1762777140}}"#,
    ),
];

const TICKERS: [(Product, &str); 5] = [
    (
        Product::BinanceSpot,
        r#"{"symbol":"BTCUSDT","priceChange":"1012.01","priceChangePercent":"1.054","weightedAvgPrice":"96710.33","prevClosePrice":"96000.00","lastPrice":"97012.01","lastQty":"0.00125","bidPrice":"97012.00","bidQty":"1.219","askPrice":"97012.01","askQty":"0.4466","openPrice":"96000.00","highPrice":"97500.00","lowPrice":"95500.10","volume":"18211.22","quoteVolume":"1761200000.00","openTime":1784534400511,"closeTime":1784620800511,"firstId":5310000000,"lastId":5312345681,"count":2345682}"#,
    ),
    (
        Product::Okx,
        r#"{"code":"0","msg":"","data":[{"instType":"SPOT","instId":"BTC-USDT","last":"102537.9","lastSz":"0.1","askPx":"102538","askSz":"0.5","bidPx":"102537.9","bidSz":"1.2","open24h":"101000","high24h":"103000","low24h":"100500","sodUtc0":"101500","sodUtc8":"101200","volCcy24h":"612345678.9","vol24h":"6012.3","ts":"1747087163557"}]}"#,
    ),
    (Product::CoinbaseAdvanced, TRADES[2].1),
    (
        Product::CoinbaseExchange,
        r#"{"ask":"68923.67","bid":"68923.66","volume":"11005.02","trade_id":995098663,"price":"68923.67","size":"0.00064","time":"2026-08-27T10:00:00.123456Z","rfq_volume":"1"}"#,
    ),
    (
        Product::Kraken,
        r#"{"error":[],"result":{"XBTUSDT":{"a":["105944.30000","1","1.000"],"b":["105944.20000","1","1.000"],"c":["105899.40000","0.00009443"],"v":["0.78648221","163.28908096"],"p":["105960.64756","105904.39279"],"t":[35,3276],"l":["105853.50000","104711.00000"],"h":["106112.00000","106613.10000"],"o":"106021.60000"}}}"#,
    ),
];

/// What the venues answer instead of data.
const REFUSALS: [(Product, &str); 6] = [
    (Product::BinanceSpot, r#"{"code":-1121,"msg":"Invalid symbol."}"#),
    (Product::BinanceUsdm, r#"{"code":-1003,"msg":"Too many requests."}"#),
    (Product::Okx, r#"{"code":"50011","msg":"Too Many Requests","data":[]}"#),
    (Product::CoinbaseAdvanced, r#"{"error":"NOT_FOUND","error_details":"x","message":"x"}"#),
    (Product::CoinbaseExchange, r#"{"message":"NotFound"}"#),
    (Product::Kraken, r#"{"error":["EQuery:Unknown asset pair"]}"#),
];

/// Id, price, quantity, side and time of a trade.
type Told = (u64, String, String, TakerSide, i64);

fn number(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).unwrap()
}

fn trades_of(product: Product, body: &str) -> Vec<Trade> {
    let mut out = Decoded::default();
    product.decode_trades(body.as_bytes(), &mut out).unwrap_or_else(|error| panic!("{error}: {body}"));
    let [Event::Trades(event)] = &out.events[..] else { panic!("{:?}", out.events) };
    assert!(event.is_snapshot && event.symbol.is_empty());
    out.trades_of(event).to_vec()
}

#[test]
fn trades_come_out_oldest_first_with_the_takers_side() {
    use TakerSide::{Buy, Sell};
    let told: Vec<Vec<Told>> = TRADES
        .iter()
        .map(|(product, body)| {
            let told = |trade: &Trade| {
                (trade.id, trade.px.to_string(), trade.qty.to_string(), trade.side, trade.ts_event)
            };
            trades_of(*product, body).iter().map(told).collect()
        })
        .collect();
    let row = |id, px: &str, qty: &str, side, ts| (id, px.to_owned(), qty.to_owned(), side, ts);
    assert_eq!(
        told,
        [
            vec![
                row(28_457, "97012.01", "0.00125", Sell, 1_784_620_800_511_000_000),
                row(28_458, "97012.02", "1", Buy, 1_784_620_800_512_000_000),
            ],
            vec![
                row(734_864_332, "102537.8", "2", Buy, 1_747_087_163_500_000_000),
                row(734_864_333, "102537.9", "0.00013669", Sell, 1_747_087_163_557_000_000),
            ],
            vec![
                row(995_098_662, "68923.66", "1", Sell, 1_775_521_738_500_000_000),
                row(995_098_663, "68923.67", "0.00064", Buy, 1_775_521_738_544_778_000),
            ],
            vec![
                row(73, "9.99", "5", Buy, 1_787_824_800_100_000_000),
                row(74, "10", "0.01", Sell, 1_787_824_800_123_456_000),
            ],
            vec![
                // the stream tells microseconds, so the same trade has one time on both ways
                row(10_218_208, "105433.6", "0.00027625", Buy, 1_762_795_433_971_744_000),
                row(10_218_209, "105433.5", "1.5", Sell, 1_762_795_434_100_000_000),
            ],
        ]
    );
}

#[test]
fn klines_come_out_oldest_first_in_the_order_open_high_low_close() {
    for (product, body) in KLINES {
        let rows = product.decode_klines(body.as_bytes()).unwrap();
        assert_eq!(rows.len(), 2, "{product:?}");
        assert_eq!(rows[1].ts_open - rows[0].ts_open, 60 * SECOND, "{product:?}");
        for row in &rows {
            let px = |value: Decimal| value.rescale(-8).unwrap();
            assert!(px(row.low) <= px(row.open).min(px(row.close)), "{product:?}");
            assert!(px(row.high) >= px(row.open).max(px(row.close)), "{product:?}");
        }
    }
    let [binance, okx, _, exchange, kraken] =
        KLINES.map(|(product, body)| product.decode_klines(body.as_bytes()).unwrap());
    assert_eq!(
        binance[0],
        KlineRow {
            ts_open: 1_784_620_740 * SECOND,
            open: number("97000"),
            high: number("97013.5"),
            low: number("96999.9"),
            close: number("97010"),
            volume: number("2.5").into(),
            quote_volume: Some(number("242500.25").into()),
            vwap: None,
            taker_buy_volume: Some(number("1.25").into()),
            trade_count: Some(40),
            is_closed: None,
        }
    );
    assert_eq!(
        (okx[0].is_closed, okx[1].is_closed, okx[0].quote_volume),
        (Some(true), Some(false), Some(number("7364701.57952").into()))
    );
    assert_eq!((exchange[0].open, exchange[0].close), (number("66312.4"), number("66181.6")));
    assert_eq!(exchange[1].volume, number("1e-8").into());
    assert_eq!(
        (kraken[1].trade_count, kraken[1].volume, kraken[1].vwap),
        (Some(3), number("0.08317981").into(), Some(number("106039.6").into()))
    );
}

#[test]
fn pages_that_overlap_and_lie_unsorted_are_put_right() {
    let body = "[[120,1,1,1,1,1],[60,1,1,1,1,1],[120,2,2,2,2,2],[180,1,1,1,1,1]]";
    let rows = Product::CoinbaseExchange.decode_klines(body.as_bytes()).unwrap();
    assert_eq!(
        rows.iter().map(|row| row.ts_open / SECOND).collect::<Vec<_>>(),
        [60, 120, 180],
        "each opening time once"
    );
}

#[test]
fn tickers_tell_the_last_price_and_best_levels_where_quantities_stand_with_them() {
    for ((product, body), (last, top)) in TICKERS.into_iter().zip([
        ("97012.01", Some(("97012", "0.4466"))),
        ("102537.9", Some(("102537.9", "0.5"))),
        ("68923.67", None),
        ("68923.67", None),
        ("105899.4", Some(("105944.2", "1"))),
    ]) {
        let mut out = Decoded::default();
        product.decode_ticker(body.as_bytes(), &mut out).unwrap();
        let Some(Event::Ticker(event)) = out.events.last() else { panic!("{:?}", out.events) };
        assert_eq!(event.ticker.last_px, Some(number(last)), "{product:?}");
        let told = event.ticker.top;
        assert_eq!(
            told.bid.zip(told.ask).map(|(bid, ask)| (bid.px, ask.qty)),
            top.map(|(bid, ask)| (number(bid), number(ask))),
            "{product:?}"
        );
    }
    let mut out = Decoded::default();
    let best =
        r#"{"symbol":"BTCUSDT","bidPrice":"97012.0","bidQty":"1.2","askPrice":"97012.1","askQty":"0.4"}"#;
    Product::BinanceUsdm.decode_ticker(best.as_bytes(), &mut out).unwrap();
    assert!(matches!(&out.events[..], [Event::Top(top)] if top.top.bid.unwrap().px == number("97012")));
}

#[test]
fn answers_that_are_refusals_are_refused() {
    for (product, body) in REFUSALS {
        let mut out = Decoded::default();
        let error = product.decode_trades(body.as_bytes(), &mut out).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::Refused, "{product:?}");
        assert!(product.decode_klines(body.as_bytes()).is_err(), "{product:?}");
        assert!(product.decode_ticker(body.as_bytes(), &mut out).is_err(), "{product:?}");
        assert_eq!(out, Decoded::default());
    }
}

#[test]
fn requests_page_as_the_venues_do() {
    let hole = TradesSpan {
        id_first: Some(100),
        id_last: Some(150),
        ts_first: 1_762_795_433 * SECOND + 5,
        ts_last: 1_762_795_440 * SECOND,
        rows_max: 0,
    };
    let newest = TradesSpan::default();
    let paths = |product: Product, symbol: &str| {
        [hole, newest].map(|span| product.trades_request(symbol, &span)).map(|it| (it.path, it.weight))
    };
    let told = |pairs: [(&str, u32); 2]| pairs.map(|(path, weight)| (path.to_owned(), weight));
    assert_eq!(
        paths(Product::BinanceSpot, "BTCUSDT"),
        told([
            ("/api/v3/historicalTrades?symbol=BTCUSDT&fromId=100&limit=51", 25),
            ("/api/v3/trades?symbol=BTCUSDT&limit=1000", 25),
        ])
    );
    let usdm = ("/fapi/v1/trades?symbol=BTCUSDT&limit=1000", 5);
    assert_eq!(paths(Product::BinanceUsdm, "BTCUSDT"), told([usdm; 2]));
    assert_eq!(
        paths(Product::Okx, "BTC-USDT"),
        told([
            ("/api/v5/market/history-trades?instId=BTC-USDT&type=1&after=151&limit=100", 1),
            ("/api/v5/market/trades?instId=BTC-USDT&limit=500", 1),
        ])
    );
    assert_eq!(
        paths(Product::CoinbaseExchange, "BTC-USD"),
        told([
            ("/products/BTC-USD/trades?limit=1000&after=151", 1),
            ("/products/BTC-USD/trades?limit=1000", 1)
        ])
    );
    assert_eq!(
        paths(Product::CoinbaseAdvanced, "BTC-USD"),
        told([
            (
                "/api/v3/brokerage/market/products/BTC-USD/ticker?limit=1000&start=1762795433&end=1762795441",
                1
            ),
            ("/api/v3/brokerage/market/products/BTC-USD/ticker?limit=1000", 1),
        ])
    );
    assert_eq!(
        paths(Product::Kraken, "BTC/USD"),
        told([
            ("/0/public/Trades?pair=XBTUSD&since=1762795433000000004&count=1000", 1),
            ("/0/public/Trades?pair=XBTUSD&count=1000", 1),
        ])
    );
}

#[test]
fn klines_are_asked_for_in_pages_that_the_venue_gives_whole() {
    let day = 86_400 * SECOND;
    let span = KlinesSpan {
        interval_ns: 60 * SECOND,
        ts_first: 20_000 * day,
        ts_last: 20_010 * day,
        now: 20_011 * day,
    };
    let path = |product: Product, symbol: &str| product.klines_request(symbol, &span).unwrap().path;
    assert_eq!(
        path(Product::BinanceSpot, "BTCUSDT"),
        "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1728000000000&endTime=1728059940000&limit=1000"
    );
    assert_eq!(
        path(Product::Okx, "BTC-USDT"),
        "/api/v5/market/history-candles?instId=BTC-USDT&bar=1m&before=1727999999999&after=1728017940001&limit=300"
    );
    assert_eq!(
        path(Product::CoinbaseAdvanced, "BTC-USD"),
        "/api/v3/brokerage/market/products/BTC-USD/candles?start=1728000000&end=1728020940&granularity=ONE_MINUTE&limit=350"
    );
    assert_eq!(
        path(Product::CoinbaseExchange, "BTC-USD"),
        "/products/BTC-USD/candles?granularity=60&start=1728000000&end=1728017940"
    );
    assert_eq!(path(Product::Kraken, "BTC/USD"), "/0/public/OHLC?pair=XBTUSD&interval=1&since=1727999999");
    let recent = KlinesSpan { ts_first: span.now - 100 * span.interval_ns, ..span };
    let recent = Product::Okx.klines_request("BTC-USDT", &recent).unwrap().path;
    assert!(recent.starts_with("/api/v5/market/candles?"), "{recent}");
    for product in Product::ALL {
        let odd = KlinesSpan { interval_ns: 7 * SECOND, ..span };
        assert_eq!(product.klines_request("X", &odd), None, "{product:?}");
    }
}

#[test]
fn row_b18_bodies_cut_anywhere_or_out_of_all_reason_are_refused() {
    let bodies = TRADES.iter().map(|row| (row, 0)).chain(KLINES.iter().map(|row| (row, 1)));
    for ((product, body), kind) in bodies.chain(TICKERS.iter().map(|row| (row, 2))) {
        let is_read = |body: &str| {
            let mut out = Decoded::default();
            match kind {
                0 => product.decode_trades(body.as_bytes(), &mut out).is_ok(),
                1 => product.decode_klines(body.as_bytes()).is_ok(),
                _ => product.decode_ticker(body.as_bytes(), &mut out).is_ok(),
            }
        };
        assert!(is_read(body), "{body}");
        for end in 0..body.len() {
            assert!(!is_read(&body[..end]), "{}", &body[..end]);
        }
        for bad in ["NaN", "1e999", &"9".repeat(4_301), &"[".repeat(10_000)] {
            assert!(!is_read(&body.replacen('{', &format!(r#"{{"x":{bad},"#), 1)) || !body.contains('{'));
        }
    }
}

proptest! {
    #[test]
    fn row_b18_random_rest_bodies_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for product in Product::ALL {
            let mut out = Decoded::default();
            let _ = product.decode_trades(&bytes, &mut out);
            let _ = product.decode_ticker(&bytes, &mut out);
            let _ = product.decode_klines(&bytes);
        }
    }

    #[test]
    fn row_b18_damaged_rest_bodies_never_panic(
        which in 0_usize..15, at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let all: Vec<(Product, &str)> = [TRADES, KLINES, TICKERS].concat();
        let (product, body) = all[which];
        let mut bytes = body.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut out = Decoded::default();
        let _ = product.decode_trades(&bytes, &mut out);
        let _ = product.decode_ticker(&bytes, &mut out);
        let _ = product.decode_klines(&bytes);
    }
}

#[test]
fn recorded_kraken_tickers_are_read_to_the_last_digit() {
    let name = "aggregators/kraken_ticker_and_coingecko_20260624T1501.json.gz";
    let Some(text) = recording::unpacked(name) else { return };
    let answers: Value = serde_json::from_slice(&text).unwrap();
    let body: Value = serde_json::from_str(answers[0]["body_text"].as_str().unwrap()).unwrap();
    let (mut count, mut without_ask, mut crossed, mut without_volume) = (0, 0, 0, 0);
    for (pair, row) in body["result"].as_object().unwrap() {
        let one = format!(r#"{{"error":[],"result":{{"{pair}":{row}}}}}"#);
        let mut out = Decoded::default();
        Product::Kraken.decode_ticker(one.as_bytes(), &mut out).unwrap();
        let [Event::Top(top), Event::Ticker(ticker)] = &out.events[..] else { panic!("{pair}") };
        let text = |field: &str, at: usize| row[field][at].as_str().map(number);
        let price = |field: &str, at: usize| text(field, at).filter(|px| !px.is_zero());
        let volume = text("v", 1).map(Sum::from);
        let told = out.statistics.unwrap();
        assert_eq!((told.ticker(), told.last_px), (ticker.ticker, price("c", 0)), "{pair}");
        assert_eq!((told.volume, told.vwap), (volume, price("p", 1).map(Sum::from)), "{pair}");
        assert_eq!(told.trade_count, row["t"][1].as_u64(), "{pair}");
        without_volume += usize::from(volume == Some(Sum::ZERO));
        assert_eq!((told.low_px, told.high_px), (price("l", 1), price("h", 1)), "{pair}");
        if text("b", 0).unwrap().compare(text("a", 0).unwrap()).is_ge() {
            assert!(top.top.ask.is_none() && text("a", 0).unwrap().is_zero(), "{pair}: zero means absent");
            crossed += 1;
        }
        if top.top.ask.is_none() {
            assert!(text("a", 0).unwrap().is_zero() || text("a", 2).unwrap().is_zero(), "{pair}");
            without_ask += 1;
        }
        if pair == "BTC/USD" {
            let (bid, ask) = (top.top.bid.unwrap().px, top.top.ask.unwrap().px);
            let sum = bid.rescale(-2).unwrap() + ask.rescale(-2).unwrap();
            assert_eq!(sum, 2 * 6_101_860, "the MANIFEST's mid is 61018.60");
        }
        count += 1;
    }
    assert_eq!(count, 1_530);
    assert_eq!(
        (crossed, without_volume),
        (17, 108),
        "the MANIFEST knows 17 pairs without an ask, 108 without volume"
    );
    assert!(without_ask >= crossed);
}
