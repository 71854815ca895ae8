//! What Binance is asked for: stream names and REST paths.

use std::fmt::Write as _;

use facade_model::Channel;

use super::Binance;
use crate::ControlOp;
use crate::request::{push_json_string, push_percent_encoded};

/// Streams of one control message: few large ones, since clients may send 5 a second.
const STREAMS_PER_MESSAGE: usize = 200;

/// Limits of `/api/v3/depth` with their weights. Source: `rest-api.md`, 2026-07-21.
const SPOT_DEPTH_LIMITS: [(u32, u32); 4] = [(100, 5), (500, 25), (1_000, 50), (5_000, 250)];

/// Limits of the futures' depth with their weights. Source: derivatives pages, 2026-01.
const FUTURES_DEPTH_LIMITS: [(u32, u32); 4] = [(50, 2), (100, 5), (500, 10), (1_000, 20)];

impl Binance {
    /// Returns what stands behind the symbol in the stream's name; `None`: no such stream on this socket.
    ///
    /// USD-M statistics live on another route (`/market`), where the socket of books and trades (`/public`) gets an
    /// acknowledgement and then silence.
    pub(super) const fn stream_suffix(self, channel: Channel) -> Option<&'static str> {
        match (channel, self) {
            (Channel::Trades, _) => Some("@trade"),
            (Channel::BookL2, _) => Some("@depth@100ms"),
            (Channel::TopOfBook, _) => Some("@bookTicker"),
            (Channel::Ticker, Self::Spot | Self::Coinm) => Some("@ticker"),
            _ => None,
        }
    }

    /// Appends `SUBSCRIBE` or `UNSUBSCRIBE` messages; all carry the same id.
    pub(super) fn push_control(
        self,
        op: ControlOp,
        request_id: u64,
        items: &[(&str, Channel)],
        out: &mut Vec<String>,
    ) {
        let method = match op {
            ControlOp::Subscribe => "SUBSCRIBE",
            ControlOp::Unsubscribe => "UNSUBSCRIBE",
        };
        let streams: Vec<String> = items
            .iter()
            .filter_map(|(symbol, channel)| Some(symbol.to_lowercase() + self.stream_suffix(*channel)?))
            .collect();
        for streams in streams.chunks(STREAMS_PER_MESSAGE) {
            let mut text = format!("{{\"method\":\"{method}\",\"params\":[");
            for (index, stream) in streams.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                push_json_string(&mut text, stream);
            }
            let _ = write!(text, "],\"id\":{request_id}}}");
            out.push(text);
        }
    }

    /// Returns the smallest limit of a REST book that covers `levels`, else the largest, and its weight.
    pub(super) fn depth_limit(self, levels: u32) -> (u32, u32) {
        let [.., most] = self.depth_limits();
        self.depth_limits().into_iter().find(|(limit, _)| *limit >= levels).unwrap_or(most)
    }

    /// Returns the limits of a REST book that the venue knows, with their weights.
    const fn depth_limits(self) -> [(u32, u32); 4] {
        match self {
            Self::Spot => SPOT_DEPTH_LIMITS,
            Self::Usdm | Self::Coinm => FUTURES_DEPTH_LIMITS,
        }
    }

    /// Returns path and query of a REST book.
    pub(super) fn depth_path(self, venue_symbol: &str, levels: u32) -> String {
        let mut path = String::from(match self {
            Self::Spot => "/api/v3/depth?symbol=",
            Self::Usdm => "/fapi/v1/depth?symbol=",
            Self::Coinm => "/dapi/v1/depth?symbol=",
        });
        push_percent_encoded(&mut path, venue_symbol);
        let _ = write!(path, "&limit={}", self.depth_limit(levels).0);
        path
    }
}
