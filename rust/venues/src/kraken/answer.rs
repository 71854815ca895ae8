//! Kraken's answers to our requests: one per symbol, all with the request's number.

use facade_model::Channel;

use crate::scan::{Scanner, Step, keys};
use crate::{Control, Decoded, Event, Span};

keys! {
    /// An answer; a refusal has no `result`, but `error` and often `symbol`.
    Answer { Error = "error", Method = "method", Result = "result", Success = "success", Symbol = "symbol",
             RequestId = "req_id" }
}

keys! {
    /// What was subscribed.
    Subscribed { Channel = "channel", Symbol = "symbol" }
}

/// What an answer says about its item.
#[derive(Debug, Clone, Copy, Default)]
struct Item {
    channel: Option<Channel>,
    symbol: Span,
    /// A channel that we have no items of (`instrument`).
    is_foreign: bool,
}

/// Reads a frame without a channel.
pub(super) fn push_answer(scanner: &mut Scanner<'_>, out: &mut Decoded) -> Step<()> {
    let mut method = &b""[..];
    let (mut item, mut symbol) = (Item::default(), Span::default());
    let (mut message, mut is_success, mut request_id) = (Span::default(), None, None);
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Answer>(scanner)? {
        match key {
            Answer::Error => message = scanner.string()?,
            Answer::Method => method = scanner.word()?,
            Answer::Result => item = read_item(scanner)?,
            Answer::Success => is_success = Some(scanner.boolean()?),
            Answer::Symbol => symbol = scanner.string()?,
            Answer::RequestId => request_id = scanner.unsigned_or_absent()?,
        }
    }
    if !item.symbol.is_empty() {
        symbol = item.symbol;
    }
    let is_subscribe = method != b"unsubscribe";
    let control = Control { request_id, channel: item.channel, symbol, is_subscribe, message };
    out.events.push(match (method, is_success) {
        (b"pong", _) => Event::Pong,
        (_, Some(false)) => Event::Refused(control),
        (b"subscribe" | b"unsubscribe", Some(true)) if !item.is_foreign => Event::Acked(control),
        _ => Event::Ignored,
    });
    Ok(())
}

/// Reads what an acknowledgement concerns.
fn read_item(scanner: &mut Scanner<'_>) -> Step<Item> {
    let mut item = Item::default();
    if scanner.peek() != Some(b'{') {
        scanner.skip()?;
        return Ok(item);
    }
    let mut members = scanner.object()?;
    while let Some(key) = members.next::<Subscribed>(scanner)? {
        match key {
            Subscribed::Channel => {
                item.channel = match scanner.word()? {
                    b"book" => Some(Channel::BookL2),
                    b"trade" => Some(Channel::Trades),
                    b"ticker" => Some(Channel::Ticker),
                    _ => None,
                };
                item.is_foreign = item.channel.is_none();
            }
            Subscribed::Symbol => item.symbol = scanner.string()?,
        }
    }
    Ok(item)
}
