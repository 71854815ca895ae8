//! A seeded market of one symbol: a snapshot, then depth frames of 330 bytes whose ids chain without a hole.
//! Pure: time is an argument.

use std::io::Write as _;

use facade_benches::{FIRST_ID, IDS_PER_FRAME, Ladder, Side};

const BEST_BID: i64 = 6_000_000; // ticks of 0.01
const LEVELS: i64 = 1_000; // a side, in the snapshot
const NEAR: u64 = 60; // ticks from the best in which levels change
const CHANGES: usize = 4; // a side and frame
const QTY_MAX: u64 = 1_000_000; // lots of 0.00001
const TICK: i64 = 1_000_000; // in 1e-8
const LOT: i64 = 1_000; // in 1e-8

/// One symbol.
pub struct Market {
    /// The venue's name of it, as `BTCUSDT`.
    pub symbol: String,
    /// Its book behind the last frame that was written.
    pub ladder: Ladder,
    last: u64,
    state: u64,
}

impl Market {
    /// Returns a market whose snapshot is not yet followed by any frame.
    pub fn new(symbol: &str, seed: u64) -> Self {
        let mut market = Self {
            symbol: symbol.to_owned(),
            ladder: Ladder::default(),
            last: FIRST_ID - IDS_PER_FRAME,
            state: seed,
        };
        for step in 0..LEVELS {
            for side in [Side::Bid, Side::Ask] {
                let lots = market.quantity();
                market
                    .ladder
                    .set(side, price(side, step) * TICK, lots * LOT);
            }
        }
        market
    }

    /// Returns the answer of `/api/v3/depth`. Its last id lies inside the next frame, which so is the bridge.
    pub fn snapshot(&self) -> Vec<u8> {
        let [bids, asks] = [Side::Bid, Side::Ask].map(|side| {
            let rows = self.ladder.levels(side);
            let rows = rows.iter().map(|(px, qty)| level(px / TICK, qty / LOT));
            rows.collect::<Vec<_>>().join(",")
        });
        format!(
            "{{\"lastUpdateId\":{},\"bids\":[{bids}],\"asks\":[{asks}]}}",
            self.last + 3
        )
        .into_bytes()
    }

    /// Writes the next frame, as the raw stream has it.
    pub fn write_frame(&mut self, event_ms: u64, into: &mut Vec<u8>) -> std::io::Result<()> {
        let (first, last) = (self.last + 1, self.last + IDS_PER_FRAME);
        self.last = last;
        let symbol = &self.symbol;
        write!(
            into,
            "{{\"e\":\"depthUpdate\",\"E\":{event_ms},\"s\":\"{symbol}\",\"U\":{first},\"u\":{last},\"b\":["
        )?;
        self.write_levels(Side::Bid, into)?;
        into.extend_from_slice(b"],\"a\":[");
        self.write_levels(Side::Ask, into)?;
        into.extend_from_slice(b"]}");
        Ok(())
    }

    fn write_levels(&mut self, side: Side, into: &mut Vec<u8>) -> std::io::Result<()> {
        let mut steps = [i64::MAX; CHANGES];
        for at in 0..CHANGES {
            let step = loop {
                let step = self.below(NEAR);
                if !steps.contains(&step) {
                    break step;
                }
            };
            let is_gone = step > 0 && self.below(10) < 3; // the best level stays, so the book never crosses
            let lots = if is_gone { 0 } else { self.quantity() };
            if let Some(place) = steps.get_mut(at) {
                *place = step;
            }
            self.ladder.set(side, price(side, step) * TICK, lots * LOT);
            if at > 0 {
                into.push(b',');
            }
            into.write_all(level(price(side, step), lots).as_bytes())?;
        }
        Ok(())
    }

    fn quantity(&mut self) -> i64 {
        self.below(QTY_MAX - 1) + 1
    }

    /// Draws a number from 0 to `bound - 1` (splitmix64; the bias is of no matter here).
    fn below(&mut self, bound: u64) -> i64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((mixed ^ (mixed >> 31)) % bound).unwrap_or(0)
    }
}

fn price(side: Side, step: i64) -> i64 {
    match side {
        Side::Bid => BEST_BID - step,
        Side::Ask => BEST_BID + 1 + step,
    }
}

/// Writes a level as the venue does, with eight places.
fn level(ticks: i64, lots: i64) -> String {
    let (whole, cents) = (ticks / 100, ticks % 100);
    let (units, part) = (lots / 100_000, lots % 100_000);
    format!("[\"{whole}.{cents:02}000000\",\"{units}.{part:05}000\"]")
}

/// Returns the answer of `/api/v3/exchangeInfo`.
pub fn listing(symbols: &[String]) -> Vec<u8> {
    let rows = symbols.iter().map(|symbol| {
        let base = symbol.trim_end_matches("USDT");
        serde_json::json!({
            "symbol": symbol, "status": "TRADING", "baseAsset": base, "quoteAsset": "USDT",
            "baseAssetPrecision": 8, "quotePrecision": 8, "quoteAssetPrecision": 8, "orderTypes": ["LIMIT"],
            "isSpotTradingAllowed": true, "isMarginTradingAllowed": false, "permissions": ["SPOT"],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000",
                 "tickSize": "0.01000000"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000",
                 "stepSize": "0.00001000"},
            ],
        })
    });
    let rows: Vec<_> = rows.collect();
    serde_json::json!({"timezone": "UTC", "serverTime": 0, "rateLimits": [], "symbols": rows})
        .to_string()
        .into_bytes()
}
