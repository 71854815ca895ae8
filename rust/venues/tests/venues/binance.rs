//! Binance: the documents' example frames, answers, lists and requests.

use facade_model::{
    BookSide, Channel, InstrumentKind, InstrumentStatus, TakerSide, Ticker, TopOfBook, Trade,
};
use facade_venues::{Control, ControlOp, DecodeErrorKind, Decoded, Event, Product, Sequence};

use crate::reading::{BINANCE_FRAMES, decode, text};
use crate::witness::{change, level, number};

#[test]
fn spot_diff_in_a_combined_frame_tells_levels_and_ids() {
    let frame = BINANCE_FRAMES[0];
    let out = decode(Product::BinanceSpot, frame);
    let [Event::Book(book)] = &out.events[..] else { panic!("{:?}", out.events) };
    assert_eq!(text(frame, book.symbol), "NKNUSDT");
    assert_eq!(book.ts_event, 1_633_998_512_068_000_000);
    assert_eq!(book.sequence, Sequence { first: Some(499_869_750), last: Some(499_869_752), previous: None });
    assert!(!book.is_snapshot);
    assert_eq!(book.checksum, None);
    assert_eq!(out.levels_of(book), [change(BookSide::Bid, "0.3513", "6195")]);
}

#[test]
fn futures_diff_tells_the_previous_id_and_extra_members_do_no_harm() {
    for (product, frame, symbol) in [
        (Product::BinanceUsdm, BINANCE_FRAMES[2], "BTCUSDT"),
        (Product::BinanceCoinm, BINANCE_FRAMES[3], "BTCUSD_PERP"),
    ] {
        let out = decode(product, frame);
        let [Event::Book(book)] = &out.events[..] else { panic!("{:?}", out.events) };
        assert_eq!(text(frame, book.symbol), symbol);
        assert_eq!(book.sequence, Sequence { first: Some(157), last: Some(160), previous: Some(149) });
        let levels = [change(BookSide::Bid, "97000.1", "10"), change(BookSide::Ask, "97000.2", "0")];
        assert_eq!(out.levels_of(book), levels, "a third item of a level is passed over");
    }
}

#[test]
fn trade_tells_the_takers_side() {
    for (frame, side, ts_event) in [
        (BINANCE_FRAMES[4], TakerSide::Sell, 1_784_620_800_511_000_000),
        (BINANCE_FRAMES[5], TakerSide::Buy, 1_723_161_256_322_000_000),
    ] {
        let out = decode(Product::BinanceUsdm, frame);
        let [Event::Trades(event)] = &out.events[..] else { panic!("{:?}", out.events) };
        let [trade] = out.trades_of(event) else { panic!("one trade") };
        assert_eq!((trade.side, trade.ts_event, trade.is_market), (side, ts_event, true));
        assert_eq!(text(frame, event.symbol), "BTCUSDT");
    }
    let out = decode(Product::BinanceSpot, BINANCE_FRAMES[4]);
    let expected = Trade {
        id: 5_312_345_678,
        px: number("97012.01"),
        qty: number("0.00125"),
        side: TakerSide::Sell,
        ts_event: 1_784_620_800_511_000_000,
        is_market: true,
    };
    assert_eq!(out.trades, [expected]);
}

#[test]
fn trade_of_the_insurance_fund_is_no_market_trade() {
    for (kind, is_market) in [("MARKET", true), ("INSURANCE_FUND", false), ("ADL", false), ("NA", false)] {
        let frame = BINANCE_FRAMES[5].replace("MARKET", kind);
        assert_eq!(decode(Product::BinanceUsdm, &frame).trades[0].is_market, is_market);
    }
}

#[test]
fn book_ticker_of_spot_has_no_time_and_that_of_futures_has_one() {
    let spot = decode(Product::BinanceSpot, BINANCE_FRAMES[6]);
    let [Event::Top(top)] = &spot.events[..] else { panic!("{:?}", spot.events) };
    assert_eq!((top.ts_event, top.sequence), (0, Some(400_900_217)));
    assert_eq!(
        top.top,
        TopOfBook { bid: Some(level("97012", "1.219")), ask: Some(level("97012.01", "0.4466")) }
    );
    let futures = decode(Product::BinanceUsdm, BINANCE_FRAMES[7]);
    let [Event::Top(top)] = &futures.events[..] else { panic!("{:?}", futures.events) };
    assert_eq!((top.ts_event, top.sequence), (1_723_161_256_313_000_000, Some(5_123_107_839_020)));
}

#[test]
fn side_without_a_price_is_absent() {
    let frame = r#"{"u":1,"s":"X","b":"0.00000000","B":"0.00000000","a":"","A":""}"#;
    let out = decode(Product::BinanceSpot, frame);
    let [Event::Top(top)] = &out.events[..] else { panic!("{:?}", out.events) };
    assert_eq!(top.top, TopOfBook::default());
}

#[test]
fn ticker_tells_statistics_and_coin_margined_ones_no_quote_volume() {
    let expected = Ticker {
        last_px: Some(number("97012.01")),
        last_qty: Some(number("0.00125")),
        open_px: Some(number("96000")),
        high_px: Some(number("97500")),
        low_px: Some(number("95500.1")),
        volume: Some(number("18211.22")),
        quote_volume: Some(number("1761200000")),
        top: TopOfBook { bid: Some(level("97012", "1.219")), ask: Some(level("97012.01", "0.4466")) },
    };
    for (product, quote_volume) in
        [(Product::BinanceSpot, expected.quote_volume), (Product::BinanceCoinm, None)]
    {
        let out = decode(product, BINANCE_FRAMES[8]);
        let [Event::Ticker(event)] = &out.events[..] else { panic!("{:?}", out.events) };
        assert_eq!(event.ticker, Ticker { quote_volume, ..expected });
        assert_eq!(event.ts_event, 1_784_620_801_000_000_000);
    }
}

#[test]
fn microsecond_times_are_told_by_their_length() {
    let frame = BINANCE_FRAMES[1].replace("1633998512568", "1633998512568123");
    let out = decode(Product::BinanceSpot, &frame);
    let [Event::Book(book)] = &out.events[..] else { panic!("{:?}", out.events) };
    assert_eq!(book.ts_event, 1_633_998_512_568_123_000);
}

#[test]
fn shutdown_is_a_notice_raw_and_wrapped() {
    assert_eq!(decode(Product::BinanceSpot, BINANCE_FRAMES[12]).events, [Event::Notice]);
    assert_eq!(decode(Product::BinanceSpot, BINANCE_FRAMES[13]).events, [Event::Notice]);
}

#[test]
fn answers_carry_the_number_of_the_request() {
    let acked = |request_id| Event::Acked(Control { request_id, is_subscribe: true, ..Control::default() });
    assert_eq!(decode(Product::BinanceSpot, BINANCE_FRAMES[14]).events, [acked(Some(1))]);
    assert_eq!(decode(Product::BinanceSpot, BINANCE_FRAMES[15]).events, [acked(Some(3))]);
    assert_eq!(decode(Product::BinanceSpot, r#"{"result":null,"id":"a"}"#).events, [acked(None)]);
    for (frame, id, message) in [
        (BINANCE_FRAMES[16], Some(5), "Invalid request: missing field `method`"),
        (BINANCE_FRAMES[17], Some(6), "Invalid request: unknown variant"),
        (r#"{"code":3,"msg":"Invalid JSON"}"#, None, "Invalid JSON"),
    ] {
        let out = decode(Product::BinanceSpot, frame);
        let [Event::Refused(control)] = &out.events[..] else { panic!("{:?}", out.events) };
        assert_eq!((control.request_id, text(frame, control.message)), (id, message));
    }
}

#[test]
fn row_b17_unknown_types_and_shapes_are_ignored() {
    let more = [
        r#"{"e":"avgPrice","s":"BTCUSDT"}"#,
        r#"{"unheard":{"of":[1,2.5e3,null,true]}}"#,
        "[]",
        "[1,2]",
        "17",
    ];
    for frame in
        [BINANCE_FRAMES[9], BINANCE_FRAMES[10], BINANCE_FRAMES[11], BINANCE_FRAMES[18]].iter().chain(&more)
    {
        for product in [Product::BinanceSpot, Product::BinanceUsdm, Product::BinanceCoinm] {
            assert_eq!(decode(product, frame).events, [Event::Ignored], "{frame}");
        }
    }
}

#[test]
fn snapshot_of_rest_has_the_last_id_and_no_symbol() {
    for (product, body, ts_event) in [
        (
            Product::BinanceSpot,
            r#"{"lastUpdateId":1027024,"bids":[["97012.00000000","1.21900000"]],"asks":[["97012.01000000","0.44660000"]]}"#,
            0,
        ),
        (
            Product::BinanceUsdm,
            r#"{"lastUpdateId":1027024,"E":1723161256501,"T":1723161256493,"bids":[["97012","1.219"]],"asks":[["97012.01","0.4466"]]}"#,
            1_723_161_256_501_000_000,
        ),
        (
            Product::BinanceCoinm,
            r#"{"lastUpdateId":1027024,"symbol":"BTCUSD_PERP","pair":"BTCUSD","E":1,"T":1,"bids":[["97012","1.219"]],"asks":[["97012.01","0.4466"]]}"#,
            1_000_000,
        ),
    ] {
        let mut out = Decoded::default();
        product.decode_snapshot(body.as_bytes(), &mut out).unwrap();
        let [Event::Book(book)] = &out.events[..] else { panic!("{:?}", out.events) };
        assert!(book.is_snapshot && book.symbol.is_empty());
        assert_eq!(book.sequence, Sequence { last: Some(1_027_024), ..Sequence::default() });
        assert_eq!(book.ts_event, ts_event);
        let levels = [change(BookSide::Bid, "97012", "1.219"), change(BookSide::Ask, "97012.01", "0.4466")];
        assert_eq!(out.levels_of(book), levels);
    }
}

#[test]
fn refused_rest_request_is_an_error_of_its_own() {
    let body = br#"{"code":-1121,"msg":"Invalid symbol."}"#;
    let error = Product::BinanceSpot.decode_snapshot(body, &mut Decoded::default()).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::Refused);
    assert_eq!(Product::BinanceSpot.decode_instruments(body).unwrap_err().kind, DecodeErrorKind::Refused);
    let error = Product::BinanceSpot.decode_snapshot(b"<html>", &mut Decoded::default()).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::Syntax);
}

#[test]
fn coin_margined_contracts_carry_their_date_in_the_symbol() {
    let body = r#"{"timezone":"UTC","symbols":[
        {"symbol":"BTCUSD_PERP","pair":"BTCUSD","contractType":"PERPETUAL","deliveryDate":4133404800000,
         "contractStatus":"TRADING","contractSize":100,"marginAsset":"BTC","baseAsset":"BTC","quoteAsset":"USD",
         "pricePrecision":1,"filters":[{"minPrice":"0.1","tickSize":"0.1","filterType":"PRICE_FILTER"},
         {"stepSize":"1","filterType":"LOT_SIZE","minQty":"1"}]},
        {"symbol":"BTCUSD_211231","pair":"BTCUSD","contractType":"NEXT_QUARTER","contractStatus":"DELIVERED",
         "contractSize":100,"baseAsset":"BTC","quoteAsset":"USD","filters":[]},
        {"symbol":"NAMELESS","contractType":"PERPETUAL"}, "no row"]}"#;
    let listed = Product::BinanceCoinm.decode_instruments(body.as_bytes()).unwrap();
    let [perpetual, dated] = &listed[..] else { panic!("rows without names are left out: {listed:?}") };
    assert_eq!((perpetual.symbol.as_str(), perpetual.venue_symbol.as_str()), ("BTC-USD", "BTCUSD_PERP"));
    assert_eq!((perpetual.kind, perpetual.status), (InstrumentKind::Perpetual, InstrumentStatus::Trading));
    assert_eq!((perpetual.tick_size, perpetual.lot_size), (number("0.1"), number("1")));
    assert_eq!((perpetual.price_precision, perpetual.quantity_precision), (1, 0));
    assert_eq!(
        (perpetual.contract_size, &perpetual.aliases),
        (Some(number("100")), &vec!["BTCUSD".to_owned()])
    );
    assert_eq!((dated.symbol.as_str(), dated.kind), ("BTC-USD-211231", InstrumentKind::Future));
    assert_eq!(dated.status, InstrumentStatus::Delisted);
}

#[test]
fn stablecoin_margined_contracts_are_told_from_the_dated_ones() {
    let body = r#"{"symbols":[
        {"symbol":"BTCUSDT","pair":"BTCUSDT","contractType":"PERPETUAL","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[]},
        {"symbol":"TSLAUSDT","pair":"TSLAUSDT","contractType":"TRADIFI_PERPETUAL","status":"TRADING_HALT","baseAsset":"TSLA","quoteAsset":"USDT","filters":[]},
        {"symbol":"BTCUSDT_211231","pair":"BTCUSDT","contractType":"CURRENT_QUARTER","status":"SOMETHING_NEW","baseAsset":"BTC","quoteAsset":"USDT","filters":[]},
        {"symbol":"NEWUSDT","pair":"NEWUSDT","contractType":"","status":"PENDING_TRADING","baseAsset":"NEW","quoteAsset":"USDT","filters":[]}]}"#;
    let listed = Product::BinanceUsdm.decode_instruments(body.as_bytes()).unwrap();
    let told: Vec<_> = listed.iter().map(|row| (row.symbol.as_str(), row.kind, row.status)).collect();
    assert_eq!(
        told,
        [
            ("BTC-USDT", InstrumentKind::Perpetual, InstrumentStatus::Trading),
            ("TSLA-USDT", InstrumentKind::Perpetual, InstrumentStatus::Halted),
            ("BTC-USDT-211231", InstrumentKind::Future, InstrumentStatus::Unknown),
            ("NEWUSDT", InstrumentKind::Other, InstrumentStatus::Unknown),
        ]
    );
    assert!(listed.iter().all(|row| row.contract_size == Some(number("1"))));
}

#[test]
fn control_names_the_streams_in_lower_case() {
    let items = [("BTCUSDT", Channel::Trades), ("BTCUSDT", Channel::BookL2), ("ETHUSDT", Channel::TopOfBook)];
    let mut out = Vec::new();
    Product::BinanceSpot.control(ControlOp::Subscribe, 1, &items, 1_000, &mut out);
    let expected = r#"{"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@depth@100ms","ethusdt@bookTicker"],"id":1}"#;
    assert_eq!(out, [expected]);
    out.clear();
    Product::BinanceSpot.control(ControlOp::Unsubscribe, 2, &[("BTCUSDT", Channel::Ticker)], 0, &mut out);
    assert_eq!(out, [r#"{"method":"UNSUBSCRIBE","params":["btcusdt@ticker"],"id":2}"#]);
    out.clear();
    Product::BinanceUsdm.control(ControlOp::Subscribe, 3, &[("BTCUSDT", Channel::Ticker)], 0, &mut out);
    assert!(out.is_empty(), "statistics of USD-M futures live on another route");
    assert_eq!(Product::BinanceUsdm.stream_of(Channel::Ticker), None);
    assert_eq!(Product::BinanceSpot.stream_of(Channel::Klines), None);
}

#[test]
fn many_items_go_out_in_few_messages() {
    let symbols: Vec<String> = (0..450).map(|n| format!("S{n}USDT")).collect();
    let items: Vec<_> = symbols.iter().map(|symbol| (symbol.as_str(), Channel::Trades)).collect();
    let mut out = Vec::new();
    Product::BinanceSpot.control(ControlOp::Subscribe, 9, &items, 0, &mut out);
    let counts: Vec<usize> = out.iter().map(|text| text.matches("@trade").count()).collect();
    assert_eq!(counts, [200, 200, 50]);
    assert!(out.iter().all(|text| serde_json::from_str::<serde_json::Value>(text).unwrap()["id"] == 9));
}

#[test]
fn snapshot_path_uses_the_smallest_limit_that_is_enough() {
    let path = |product: Product, levels| product.snapshot_path("BTCUSDT", levels).unwrap();
    assert_eq!(path(Product::BinanceSpot, 1_000), "/api/v3/depth?symbol=BTCUSDT&limit=1000");
    assert_eq!(path(Product::BinanceSpot, 20_000), "/api/v3/depth?symbol=BTCUSDT&limit=5000");
    assert_eq!(path(Product::BinanceUsdm, 20), "/fapi/v1/depth?symbol=BTCUSDT&limit=50");
    assert_eq!(path(Product::BinanceCoinm, 1_001), "/dapi/v1/depth?symbol=BTCUSDT&limit=1000");
    let weights = [100, 500, 1_000, 5_000].map(|levels| Product::BinanceSpot.snapshot_weight(levels));
    assert_eq!(weights, [5, 25, 50, 250]);
    let weights = [50, 100, 500, 1_000].map(|levels| Product::BinanceUsdm.snapshot_weight(levels));
    assert_eq!(weights, [2, 5, 10, 20]);
    let path = Product::BinanceSpot.snapshot_path("币安USDT", 100).unwrap();
    assert_eq!(path, "/api/v3/depth?symbol=%E5%B8%81%E5%AE%89USDT&limit=100");
}
