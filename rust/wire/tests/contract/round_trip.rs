//! Any record reads back as it was.

use facade_model::{
    BookSide, Channel, Decimal, Integrity, Level, LevelChange, TakerSide, Ticker, TopOfBook, UpdateFlags,
};
use facade_wire::{Exponents, Header};
use proptest::prelude::*;
use prost_reflect::DynamicMessage;

use crate::given::{HEADER, WHOLE, number, trade_of};
use crate::reader::{decode, exact, exponents, get, optional, payload, values};

/// Numbers as venues print them: canonical, of either sign, up to 18 digits.
fn decimals() -> impl Strategy<Value = Decimal> {
    let mantissa = prop_oneof![0_i64..1_000, -1_000_000_000_i64..1_000_000_000];
    (mantissa, -9_i8..=0).prop_map(|(mantissa, exponent)| Decimal::new(mantissa, exponent).canonical())
}

fn levels() -> impl Strategy<Value = Vec<Level>> {
    prop::collection::vec((decimals(), decimals()).prop_map(|(px, qty)| Level { px, qty }), 0..60)
}

fn usuals() -> impl Strategy<Value = Exponents> {
    (-8_i8..=0, -8_i8..=0).prop_map(|(price, quantity)| Exponents { price, quantity })
}

fn headers() -> impl Strategy<Value = Header<'static>> {
    let names = prop_oneof![Just(("kraken", "BTC-USD", "")), Just(("binance-coinm", "BTC-USD-211231", "25"))];
    let sequences = (any::<Option<u64>>(), any::<Option<u64>>());
    let stamps = (any::<i64>(), any::<i64>(), any::<i64>());
    (names, stamps, sequences, any::<u64>(), any::<u32>(), any::<u32>()).prop_map(
        |((venue, symbol, variant), stamps, sequences, seq, epoch, flags)| Header {
            venue,
            symbol,
            variant,
            channel: Channel::BookL2,
            epoch,
            seq,
            ts_event: stamps.0,
            ts_recv: stamps.1,
            ts_publish: stamps.2,
            integrity: Integrity::Audited,
            flags: UpdateFlags(flags),
            venue_sequence_previous: sequences.0,
            venue_sequence: sequences.1,
        },
    )
}

fn assert_header(message: &DynamicMessage, header: &Header<'_>) {
    let sequence = |field| message.has_field_by_name(field).then(|| get(message, field).as_u64().unwrap());
    assert_eq!(get(message, "venue").as_str(), Some(header.venue));
    assert_eq!(get(message, "symbol").as_str(), Some(header.symbol));
    assert_eq!(get(message, "variant").as_str(), Some(header.variant));
    assert_eq!(get(message, "channel").as_enum_number(), Some(2));
    assert_eq!(get(message, "epoch").as_u32(), Some(header.epoch));
    assert_eq!(get(message, "seq").as_u64(), Some(header.seq));
    assert_eq!(get(message, "ts_event").as_i64(), Some(header.ts_event));
    assert_eq!(get(message, "ts_recv").as_i64(), Some(header.ts_recv));
    assert_eq!(get(message, "ts_publish").as_i64(), Some(header.ts_publish));
    assert_eq!(get(message, "integrity").as_enum_number(), Some(4));
    assert_eq!(get(message, "flags").as_u32(), Some(header.flags.0));
    assert_eq!(sequence("venue_sequence_previous"), header.venue_sequence_previous);
    assert_eq!(sequence("venue_sequence"), header.venue_sequence);
}

proptest! {
    #[test]
    fn a_delta_reads_back_as_it_was(
        header in headers(), usual in usuals(), bids in levels(), asks in levels(), turn in any::<prop::sample::Index>(),
    ) {
        let mut changes: Vec<LevelChange> = Vec::new();
        changes.extend(bids.iter().map(|level| LevelChange { side: BookSide::Bid, px: level.px, qty: level.qty }));
        let at = turn.index(changes.len() + 1); // asks stand anywhere among the bids
        changes.splice(
            at..at,
            asks.iter().map(|level| LevelChange { side: BookSide::Ask, px: level.px, qty: level.qty }),
        );
        let mut bytes = Vec::new();
        facade_wire::book_delta(&mut bytes, &header, usual, &changes).unwrap();
        let update = decode(&bytes);
        assert_header(&update, &header);
        let (price, quantity) = exponents(&update);
        prop_assert!(price <= usual.price.into() && quantity <= usual.quantity.into());
        let delta = payload(&update, "book_delta");
        prop_assert_eq!(values(&delta, "bid_prices", price), bids.iter().map(|l| l.px).collect::<Vec<_>>());
        prop_assert_eq!(values(&delta, "bid_quantities", quantity), bids.iter().map(|l| l.qty).collect::<Vec<_>>());
        prop_assert_eq!(values(&delta, "ask_prices", price), asks.iter().map(|l| l.px).collect::<Vec<_>>());
        prop_assert_eq!(values(&delta, "ask_quantities", quantity), asks.iter().map(|l| l.qty).collect::<Vec<_>>());
    }

    #[test]
    fn a_snapshot_reads_back_as_it_was(header in headers(), usual in usuals(), bids in levels(), asks in levels()) {
        let mut bytes = Vec::new();
        facade_wire::book_snapshot(&mut bytes, &header, usual, bids.iter().copied(), asks.iter().copied()).unwrap();
        let update = decode(&bytes);
        assert_header(&update, &header);
        let (price, quantity) = exponents(&update);
        let book = payload(&update, "book_snapshot");
        prop_assert_eq!(values(&book, "bid_prices", price), bids.iter().map(|l| l.px).collect::<Vec<_>>());
        prop_assert_eq!(values(&book, "bid_quantities", quantity), bids.iter().map(|l| l.qty).collect::<Vec<_>>());
        prop_assert_eq!(values(&book, "ask_prices", price), asks.iter().map(|l| l.px).collect::<Vec<_>>());
        prop_assert_eq!(values(&book, "ask_quantities", quantity), asks.iter().map(|l| l.qty).collect::<Vec<_>>());
    }

    #[test]
    fn a_trade_reads_back_as_it_was(header in headers(), usual in usuals(), px in decimals(), qty in decimals(), id: u64) {
        let trade = trade_of(id, px, qty, TakerSide::Buy);
        let mut bytes = Vec::new();
        facade_wire::trade(&mut bytes, &header, usual, &trade).unwrap();
        let update = decode(&bytes);
        assert_header(&update, &header);
        let (price, quantity) = exponents(&update);
        let read = payload(&update, "trade");
        prop_assert_eq!(exact(&get(&read, "price"), price), px);
        prop_assert_eq!(exact(&get(&read, "quantity"), quantity), qty);
        prop_assert_eq!(get(&read, "trade_id").as_u64(), Some(id));
        prop_assert_eq!(get(&read, "side").as_enum_number(), Some(1));
    }

    #[test]
    fn a_ticker_reads_back_as_it_was(
        header in headers(),
        usual in usuals(),
        prices in prop::array::uniform4(prop::option::of(decimals())),
        volumes in prop::array::uniform3(prop::option::of(decimals())),
        bid in prop::option::of((decimals(), decimals())),
        ask in prop::option::of((decimals(), decimals())),
    ) {
        let side = |side: Option<(Decimal, Decimal)>| side.map(|(px, qty)| Level { px, qty });
        let [last_px, open_px, high_px, low_px] = prices;
        let [last_qty, volume, quote_volume] = volumes;
        let top = TopOfBook { bid: side(bid), ask: side(ask) };
        let ticker = Ticker { last_px, last_qty, open_px, high_px, low_px, volume, quote_volume, top };
        let mut bytes = Vec::new();
        facade_wire::ticker(&mut bytes, &header, usual, &ticker).unwrap();
        let update = decode(&bytes);
        assert_header(&update, &header);
        let (price, quantity) = exponents(&update);
        let read = payload(&update, "ticker");
        for (field, px) in [
            ("last_price", last_px), ("open_24h", open_px), ("high_24h", high_px), ("low_24h", low_px),
            ("bid_price", bid.map(|side| side.0)), ("ask_price", ask.map(|side| side.0)),
        ] {
            prop_assert_eq!(optional(&read, field, price), px, "{}", field);
        }
        for (field, qty) in [
            ("last_quantity", last_qty),
            ("bid_quantity", bid.map(|side| side.1)),
            ("ask_quantity", ask.map(|side| side.1)),
        ] {
            prop_assert_eq!(optional(&read, field, quantity), qty, "{}", field);
        }
        for (field, sum) in [("volume_24h", volume), ("quote_volume_24h", quote_volume)] {
            let text = get(&read, field).as_str().unwrap().to_owned();
            prop_assert_eq!((!text.is_empty()).then(|| number(&text)), sum, "{}", field);
        }
    }
}

#[test]
fn a_snapshot_part_of_16384_levels_reads_back_and_costs_under_four_bytes_a_number() {
    let bids: Vec<Level> = (0..16_384)
        .map(|at| Level { px: Decimal::new(6_160_201 - at, -2), qty: Decimal::new(1 + at % 999, -3) })
        .collect();
    let mut bytes = Vec::new();
    facade_wire::book_snapshot(&mut bytes, &HEADER, WHOLE, bids.iter().copied(), std::iter::empty()).unwrap();
    assert!(bytes.len() < 2 * 4 * bids.len(), "{}", bytes.len());
    let book = payload(&decode(&bytes), "book_snapshot");
    assert_eq!(values(&book, "bid_prices", -2), bids.iter().map(|l| l.px.canonical()).collect::<Vec<_>>());
}

#[test]
fn numbers_at_the_ends_of_64_bits_read_back() {
    for mantissa in [i64::MIN, i64::MIN + 1, i64::MAX] {
        let px = Decimal::new(mantissa, -30);
        let mut bytes = Vec::new();
        facade_wire::trade(&mut bytes, &HEADER, WHOLE, &trade_of(u64::MAX, px, px, TakerSide::Unknown))
            .unwrap();
        assert_eq!(get(&payload(&decode(&bytes), "trade"), "price").as_i64(), Some(mantissa));
    }
}
