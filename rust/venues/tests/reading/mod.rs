//! Decoded events in comparable form, example frames of the venues' documents, and JSON trees to deform them.

use std::collections::BTreeMap;

use facade_model::{BookSide, LevelChange};
use facade_venues::{Decoded, Event, Product, Span};
use serde_json::value::RawValue;

/// Frames of the venues' documents and recordings, one of each kind that we read or know to ignore.
#[allow(dead_code, reason = "not every test binary uses every list")]
pub const BINANCE_FRAMES: [&str; 19] = [
    r#"{"stream":"nknusdt@depth@100ms","data":{"e":"depthUpdate","E":1633998512068,"s":"NKNUSDT","U":499869750,"u":499869752,"b":[["0.35130000","6195.00000000"]],"a":[]}}"#,
    r#"{"e":"depthUpdate","E":1633998512568,"s":"NKNUSDT","U":499869753,"u":499869754,"b":[],"a":[["0.35340000","0.00000000"]]}"#,
    r#"{"e":"depthUpdate","E":1784620800123,"T":1784620800120,"s":"BTCUSDT","U":157,"u":160,"pu":149,"b":[["97000.10","10"]],"a":[["97000.20","0"]]}"#,
    r#"{"e":"depthUpdate","E":1784620800123,"T":1784620800120,"s":"BTCUSD_PERP","ps":"BTCUSD","st":1,"U":157,"u":160,"pu":149,"b":[["97000.1","10",[]]],"a":[["97000.2","0"]]}"#,
    r#"{"e":"trade","E":1784620800512,"s":"BTCUSDT","t":5312345678,"p":"97012.01000000","q":"0.00125000","T":1784620800511,"m":true,"M":true}"#,
    r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}"#,
    r#"{"u":400900217,"s":"BTCUSDT","b":"97012.00000000","B":"1.21900000","a":"97012.01000000","A":"0.44660000"}"#,
    r#"{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256313}"#,
    r#"{"e":"24hrTicker","E":1784620801000,"s":"BTCUSDT","p":"1012.01","P":"1.054","w":"96710.33","x":"96000.00","c":"97012.01","Q":"0.00125","b":"97012.00","B":"1.219","a":"97012.01","A":"0.4466","o":"96000.00","h":"97500.00","l":"95500.10","v":"18211.22","q":"1761200000.00","O":1784534400511,"C":1784620800511,"F":5310000000,"L":5312345681,"n":2345682}"#,
    r#"{"e":"aggTrade","E":1784620800512,"s":"BTCUSDT","a":3712345678,"p":"97012.01000000","q":"0.01000000","f":5312345678,"l":5312345681,"T":1784620800511,"m":true,"M":true}"#,
    r#"{"e":"kline","E":1784620802003,"s":"BTCUSDT","k":{"t":1784620800000,"T":1784620859999,"s":"BTCUSDT","i":"1m","f":5312345600,"L":5312345681,"o":"97010.00000000","x":false,"B":"0"}}"#,
    r#"{"stream":"btcusdt@depth5","data":{"lastUpdateId":499869752,"bids":[["97012.00000000","1.21900000"]],"asks":[["97012.01000000","0.44660000"]]}}"#,
    r#"{"e":"serverShutdown","E":1770123456789}"#,
    r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#,
    r#"{"result":null,"id":1}"#,
    r#"{"result":["btcusdt@depth@100ms"],"id":3}"#,
    r#"{"code":2,"msg":"Invalid request: missing field `method`","id":5}"#,
    r#"{"error":{"code":2,"msg":"Invalid request: unknown variant"},"id":6}"#,
    r#"{"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker","E":1784620801000,"s":"BTCUSDT"}]}"#,
];

/// The same for Kraken.
#[allow(dead_code, reason = "not every test binary uses every list")]
pub const KRAKEN_FRAMES: [&str; 13] = [
    r#"{"channel":"status","type":"update","data":[{"api_version":"v2","connection_id":13834774380200032777,"system":"online","version":"2.0.0"}]}"#,
    r#"{"channel":"book","type":"snapshot","data":[{"symbol":"MATIC/USD","bids":[{"price":0.5666,"qty":4831.75496356},{"price":0.5665,"qty":6658.22734739}],"asks":[{"price":0.5668,"qty":4410.79769741}],"checksum":2439117997,"timestamp":"2023-10-06T17:35:55.440295Z"}]}"#,
    r#"{"channel":"book","type":"update","data":[{"symbol":"MATIC/USD","bids":[{"price":0.5657,"qty":1098.3947558}],"asks":[],"checksum":2114181697,"timestamp":"2023-10-06T17:35:55.440295Z"}]}"#,
    r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":105910.5,"qty":0.0001246,"ord_type":"market","trade_id":10218209,"timestamp":"2026-05-27T17:35:56.123456Z"},{"symbol":"BTC/USD","side":"buy","price":105910.6,"qty":1e-08,"ord_type":"limit","trade_id":10218210,"timestamp":"2026-05-27T17:35:56.123456Z"}]}"#,
    r#"{"channel":"ticker","type":"update","data":[{"symbol":"ALGO/USD","bid":0.10025,"bid_qty":740.0,"ask":0.10036,"ask_qty":1361.44813783,"last":0.10035,"volume":997038.98383185,"vwap":0.10148,"low":0.09979,"high":0.10285,"change":-0.00017,"change_pct":-0.17,"timestamp":"2026-05-27T09:04:31.742648Z"}]}"#,
    r#"{"channel":"ohlc","type":"update","timestamp":"2023-10-04T16:26:30.524394914Z","data":[{"symbol":"MATIC/USD","open":0.5624,"interval":5}]}"#,
    r#"{"channel":"instrument","type":"snapshot","data":{"assets":[{"id":"BTC","status":"enabled","precision":10,"precision_display":5}],"pairs":[{"symbol":"BTC/USD","base":"BTC","quote":"USD","status":"online","qty_precision":8,"qty_increment":1e-08,"price_precision":1,"price_increment":0.1,"cost_precision":5,"cost_min":0.5,"qty_min":0.0001,"marginable":true,"has_index":true,"tick_size":0.1}]}}"#,
    r#"{"channel":"heartbeat"}"#,
    r#"{"method":"pong","req_id":101,"time_in":"2026-05-27T09:05:00.123456Z","time_out":"2026-05-27T09:05:00.123500Z"}"#,
    r#"{"method":"subscribe","result":{"channel":"book","depth":10,"snapshot":true,"symbol":"BTC/USD"},"success":true,"time_in":"2026-05-27T17:35:55.219022Z","time_out":"2026-05-27T17:35:55.219067Z","req_id":1}"#,
    r#"{"error":"Currency pair not supported XBT/USD","method":"subscribe","success":false,"symbol":"XBT/USD","time_in":"2026-05-27T17:35:55.219022Z","time_out":"2026-05-27T17:35:55.219067Z","req_id":1}"#,
    r#"{"method":"unsubscribe","result":{"channel":"book","depth":10,"symbol":"BTC/USD"},"success":true,"time_in":"2026-05-27T17:35:55.219022Z","time_out":"2026-05-27T17:35:55.219067Z","req_id":2}"#,
    r#"{"method":"subscribe","result":{"channel":"instrument","snapshot":true},"success":true,"req_id":7}"#,
];

/// Returns the part of a frame that an event names.
#[allow(dead_code, reason = "not every test binary looks into frames")]
pub fn text(frame: &str, span: Span) -> &str {
    std::str::from_utf8(span.of(frame.as_bytes())).unwrap()
}

/// Decodes a frame that must be right.
pub fn decode(product: Product, frame: &str) -> Decoded {
    let mut out = Decoded::default();
    product.decode(frame.as_bytes(), &mut out).unwrap_or_else(|error| panic!("{error}: {frame}"));
    out
}

/// Tells events with their texts instead of spans, levels with bids first.
#[allow(dead_code, reason = "not every test binary compares")]
pub fn told(frame: &str, decoded: &Decoded) -> Vec<String> {
    let text = |span: Span| String::from_utf8_lossy(span.of(frame.as_bytes())).into_owned();
    let tell = |event: &Event| match event {
        Event::Book(book) => {
            let (mut bids, asks): (Vec<LevelChange>, Vec<LevelChange>) =
                decoded.levels_of(book).iter().partition(|level| level.side == BookSide::Bid);
            bids.extend(asks);
            let head = (book.is_snapshot, book.ts_event, book.sequence, book.checksum);
            format!("book {} {head:?} {bids:?}", text(book.symbol))
        }
        Event::Trades(trades) => {
            format!("trades {} {} {:?}", text(trades.symbol), trades.is_snapshot, decoded.trades_of(trades))
        }
        Event::Top(top) => format!("top {} {:?}", text(top.symbol), (top.ts_event, top.sequence, top.top)),
        Event::Ticker(ticker) => {
            format!("ticker {} {:?}", text(ticker.symbol), (ticker.ts_event, ticker.ticker))
        }
        Event::Acked(control) | Event::Refused(control) => {
            let is_acked = matches!(event, Event::Acked(_));
            let head = (is_acked, control.request_id, control.channel, control.is_subscribe);
            format!("answer {head:?} {} {}", text(control.symbol), text(control.message))
        }
        Event::InstrumentStatus(status) => {
            let rest = (status.status, status.price_precision, status.quantity_precision);
            format!("status {} {rest:?}", text(status.symbol))
        }
        other => format!("{other:?}"),
    };
    decoded.events.iter().map(tell).collect()
}

/// JSON with scalars as they were written.
#[derive(Debug, Clone)]
#[allow(dead_code, reason = "not every test binary deforms")]
pub enum Tree {
    Scalar(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

#[allow(dead_code, reason = "not every test binary deforms")]
impl Tree {
    /// Reads a text; members of objects come out sorted by name.
    pub fn parse(text: &str) -> Self {
        match text.as_bytes()[0] {
            b'{' => {
                let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).unwrap();
                Self::Object(
                    members.into_iter().map(|(name, value)| (name, Self::parse(value.get()))).collect(),
                )
            }
            b'[' => {
                let items: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap();
                Self::Array(items.iter().map(|item| Self::parse(item.get())).collect())
            }
            _ => Self::Scalar(text.to_owned()),
        }
    }

    /// Visits every object, the outermost last.
    pub fn objects(&mut self, visit: &mut impl FnMut(&mut Vec<(String, Tree)>)) {
        match self {
            Self::Scalar(_) => {}
            Self::Array(items) => {
                for item in items {
                    item.objects(visit);
                }
            }
            Self::Object(members) => {
                for (_, value) in members.iter_mut() {
                    value.objects(visit);
                }
                visit(members);
            }
        }
    }

    /// Writes the text with `space` at every place where JSON allows white space.
    pub fn render(&self, space: &str) -> String {
        let body = match self {
            Self::Scalar(text) => text.clone(),
            Self::Array(items) => {
                let items: Vec<String> = items.iter().map(|item| item.render(space)).collect();
                format!("[{}]", if items.is_empty() { space.to_owned() } else { items.join(",") })
            }
            Self::Object(members) => {
                let one = |(name, value): &(String, Self)| {
                    format!("{space}\"{name}\"{space}:{}", value.render(space))
                };
                let members: Vec<String> = members.iter().map(one).collect();
                format!("{{{}}}", if members.is_empty() { space.to_owned() } else { members.join(",") })
            }
        };
        format!("{space}{body}{space}")
    }
}
