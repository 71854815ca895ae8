//! Trades and tickers of Advanced Trade.

use facade_model::{Ticker, TopOfBook, Trade};

use crate::coinbase::taker_of_maker;
use crate::levels::best_level;
use crate::scan::{Scanner, Step, keys};
use crate::{DecodeErrorKind, Decoded, Event, Span, TickerEvent, TopEvent, TradesEvent};

keys! { TradesKey { Type = "type", Trades = "trades" } }

keys! {
    TradeKey {
        ProductId = "product_id",
        TradeId = "trade_id",
        Price = "price",
        Size = "size",
        Time = "time",
        Side = "side",
    }
}

keys! { TickersKey { Tickers = "tickers" } }

keys! {
    TickerKey {
        ProductId = "product_id",
        Price = "price",
        Volume24h = "volume_24_h",
        Low24h = "low_24_h",
        High24h = "high_24_h",
        BestBid = "best_bid",
        BestAsk = "best_ask",
        BestBidQuantity = "best_bid_quantity",
        BestAskQuantity = "best_ask_quantity",
    }
}

/// Reads a batch of trades, in any order and of any products: one event a product, oldest first.
pub(super) fn read_trades(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut is_snapshot = false;
    let mut event = scanner.object()?;
    while let Some(key) = event.next::<TradesKey>(scanner)? {
        match key {
            TradesKey::Type => is_snapshot = scanner.word()? == b"snapshot",
            TradesKey::Trades => {
                let mut trades = scanner.array()?;
                while trades.next(scanner)? {
                    out.unsorted.push(read_trade(scanner)?);
                }
            }
        }
    }
    out.unsorted.sort_unstable_by(|(left_symbol, left), (right_symbol, right)| {
        scanner.of(*left_symbol).cmp(scanner.of(*right_symbol)).then(left.id.cmp(&right.id))
    });
    for group in out.unsorted.chunk_by(|(left, _), (right, _)| scanner.of(*left) == scanner.of(*right)) {
        let start = u32::try_from(out.trades.len()).unwrap_or(u32::MAX);
        out.trades.extend(group.iter().map(|(_, trade)| *trade));
        let end = u32::try_from(out.trades.len()).unwrap_or(u32::MAX);
        let symbol = group.first().map_or(Span::default(), |(symbol, _)| *symbol);
        out.events.push(Event::Trades(TradesEvent { symbol, is_snapshot, trades: start..end }));
    }
    out.unsorted.clear();
    Ok(())
}

/// Reads one trade, of a push or a REST answer, and its product.
pub(super) fn read_trade(scanner: &mut Scanner<'_>) -> Step<(Span, Trade)> {
    let (mut symbol, mut id, mut px, mut qty, mut side, mut ts_event) =
        (Span::default(), None, None, None, None, 0);
    let mut trade = scanner.object()?;
    while let Some(key) = trade.next::<TradeKey>(scanner)? {
        match key {
            TradeKey::ProductId => symbol = scanner.string()?,
            TradeKey::TradeId => id = Some(scanner.unsigned()?),
            TradeKey::Price => px = Some(scanner.decimal()?),
            TradeKey::Size => qty = Some(scanner.decimal()?),
            TradeKey::Time => ts_event = scanner.rfc3339()?,
            TradeKey::Side => side = Some(scanner.word()?),
        }
    }
    if symbol.is_empty() {
        return Err(DecodeErrorKind::Missing("product_id"));
    }
    let trade = Trade {
        id: id.ok_or(DecodeErrorKind::Missing("trade_id"))?,
        px: px.ok_or(DecodeErrorKind::Missing("price"))?,
        qty: qty.ok_or(DecodeErrorKind::Missing("size"))?,
        side: taker_of_maker(side.ok_or(DecodeErrorKind::Missing("side"))?),
        ts_event,
        is_market: true,
    };
    Ok((symbol, trade))
}

/// Reads a batch of tickers.
pub(super) fn read_tickers(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut event = scanner.object()?;
    while let Some(TickersKey::Tickers) = event.next::<TickersKey>(scanner)? {
        let mut tickers = scanner.array()?;
        while tickers.next(scanner)? {
            read_ticker(scanner, out)?;
        }
    }
    Ok(())
}

/// Reads one ticker; `ticker_batch` tells no best prices, then there is no top either.
fn read_ticker(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let (mut symbol, mut ticker, mut has_top) = (Span::default(), Ticker::default(), false);
    let (mut bid_px, mut bid_qty, mut ask_px, mut ask_qty) = (None, None, None, None);
    let mut object = scanner.object()?;
    while let Some(key) = object.next::<TickerKey>(scanner)? {
        match key {
            TickerKey::ProductId => symbol = scanner.string()?,
            TickerKey::Price => ticker.last_px = scanner.decimal_or_absent()?,
            TickerKey::Volume24h => ticker.volume = scanner.decimal_or_absent()?,
            TickerKey::Low24h => ticker.low_px = scanner.decimal_or_absent()?,
            TickerKey::High24h => ticker.high_px = scanner.decimal_or_absent()?,
            TickerKey::BestBid => bid_px = scanner.decimal_or_absent()?,
            TickerKey::BestAsk => ask_px = scanner.decimal_or_absent()?,
            TickerKey::BestBidQuantity => {
                bid_qty = scanner.decimal_or_absent()?;
                has_top = true;
            }
            TickerKey::BestAskQuantity => {
                ask_qty = scanner.decimal_or_absent()?;
                has_top = true;
            }
        }
    }
    if symbol.is_empty() {
        return Err(DecodeErrorKind::Missing("product_id"));
    }
    ticker.top = TopOfBook { bid: best_level(bid_px, bid_qty), ask: best_level(ask_px, ask_qty) };
    if has_top {
        out.events.push(Event::Top(TopEvent { symbol, ts_event: 0, sequence: None, top: ticker.top }));
    }
    out.events.push(Event::Ticker(TickerEvent { symbol, ts_event: 0, ticker }));
    Ok(())
}
