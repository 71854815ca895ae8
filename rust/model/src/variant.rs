//! What a topic's channel is narrowed to: the kline's interval or bar type, the book's depth. A closed set.

use std::fmt;

use crate::{Channel, Decimal};

/// Levels a side that a depth topic may show.
pub const DEPTHS: [u16; 5] = [10, 25, 50, 100, 500];
/// Interval of klines of whom no other was asked, seconds.
const KLINE_SECONDS_DEFAULT: u32 = 60;
/// Longest interval of klines, seconds: one week. Months come from the venue only.
const KLINE_SECONDS_MAX: u64 = 604_800;
/// Units of an interval, longest first: seconds and letter.
const UNITS: [(u32, char); 5] = [(604_800, 'w'), (86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
/// Longest text of a variant.
const TEXT_LENGTH_MAX: usize = 24;

/// A channel has no such variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("channel {channel:?} has no such variant")]
pub struct UnknownVariant {
    /// The channel.
    pub channel: Channel,
}

/// Variant of a topic. [`fmt::Display`] writes its canonical text, which names the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Variant {
    /// The channel as it is: the empty text.
    #[default]
    Plain,
    /// Klines closed by time: `1s`, `90s`, `1m`, `4h`, `1d`, `1w`.
    Time {
        /// Length, from 1 second to one week.
        seconds: u32,
    },
    /// Klines closed after so many trades: `100t`.
    Count(u64),
    /// Klines closed after so much volume in the base asset: `2.5v`.
    Volume(Decimal),
    /// Klines closed after so much value in the quote asset: `100000q`.
    Value(Decimal),
    /// The best levels of each side: `25`.
    Depth(u16),
}

impl Variant {
    /// Reads a variant of a channel; klines of no variant are those of one minute.
    ///
    /// Equal variants in different words are one: `60s` is `1m`, `7d` is `1w`, `1.50v` is `1.5v`.
    ///
    /// # Errors
    /// [`UnknownVariant`] if the channel has no such variant.
    ///
    /// # Examples
    /// ```
    /// use facade_model::{Channel, Variant};
    ///
    /// let hour = Variant::parse(Channel::Klines, "60m")?;
    /// assert_eq!(hour, Variant::Time { seconds: 3_600 });
    /// assert_eq!(hour.to_string(), "1h");
    /// assert!(Variant::parse(Channel::Trades, "1h").is_err());
    /// # Ok::<(), facade_model::UnknownVariant>(())
    /// ```
    pub fn parse(channel: Channel, text: &str) -> Result<Self, UnknownVariant> {
        let parsed = match (channel, text) {
            (Channel::Klines, "") => Some(Self::Time { seconds: KLINE_SECONDS_DEFAULT }),
            (Channel::Klines, _) => kline(text),
            (_, "") => Some(Self::Plain),
            (Channel::BookL2, _) => {
                DEPTHS.into_iter().find(|depth| depth.to_string() == text).map(Self::Depth)
            }
            _ => None,
        };
        parsed.ok_or(UnknownVariant { channel })
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Plain => Ok(()),
            Self::Time { seconds } => {
                let whole = |&(unit, _): &(u32, char)| seconds.is_multiple_of(unit);
                let (unit, letter) = UNITS.into_iter().find(whole).unwrap_or((1, 's'));
                write!(out, "{}{letter}", seconds / unit)
            }
            Self::Count(trades) => write!(out, "{trades}t"),
            Self::Volume(volume) => write!(out, "{volume}v"),
            Self::Value(value) => write!(out, "{value}q"),
            Self::Depth(levels) => write!(out, "{levels}"),
        }
    }
}

/// Reads an interval or a bar type: a plain number above 0 and a letter.
fn kline(text: &str) -> Option<Variant> {
    let letter = text.chars().next_back().filter(char::is_ascii_lowercase)?;
    let number = text.strip_suffix(letter)?;
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if text.len() > TEXT_LENGTH_MAX || !is_plain {
        return None;
    }
    let amount = Decimal::parse(number.as_bytes()).ok().filter(|amount| !amount.is_zero())?;
    match letter {
        'v' => return Some(Variant::Volume(amount)),
        'q' => return Some(Variant::Value(amount)),
        _ if number.contains('.') => return None,
        _ => {}
    }
    let count = u64::try_from(amount.rescale(0)?).ok()?;
    if letter == 't' {
        return Some(Variant::Count(count));
    }
    let (unit, _) = UNITS.into_iter().find(|&(_, name)| name == letter)?;
    let seconds = count.checked_mul(u64::from(unit)).filter(|&seconds| seconds <= KLINE_SECONDS_MAX)?;
    Some(Variant::Time { seconds: u32::try_from(seconds).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(channel: Channel, text: &str) -> Option<String> {
        Variant::parse(channel, text).ok().map(|variant| variant.to_string())
    }

    #[test]
    fn every_named_interval_is_its_own_canonical_text() {
        for text in [
            "1s", "5s", "10s", "15s", "30s", "1m", "3m", "5m", "10m", "15m", "30m", "1h", "2h", "4h", "6h",
            "8h", "12h", "1d", "1w",
        ] {
            assert_eq!(canonical(Channel::Klines, text).as_deref(), Some(text));
        }
    }

    #[test]
    fn equal_variants_in_other_words_name_one_topic() {
        for (text, expected) in [
            ("", "1m"),
            ("60s", "1m"),
            ("90s", "90s"),
            ("3600s", "1h"),
            ("24h", "1d"),
            ("7d", "1w"),
            ("36h", "36h"),
            ("100t", "100t"),
            ("0.50v", "0.5v"),
            ("250000.00q", "250000q"),
            ("01m", "1m"),
        ] {
            assert_eq!(canonical(Channel::Klines, text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_variant_is_refused() {
        for text in [
            "m",
            "0s",
            "0t",
            "0v",
            "-1m",
            "+1m",
            "1M",
            "1.5m",
            "1.5t",
            "1e3s",
            "8d",
            "2w",
            "604801s",
            "1y",
            "1 m",
            "10",
            "1mm",
            "ä",
            "1ä",
            ".5v",
            "9999999999999999999999t",
            "99999999999999999999v",
        ] {
            assert_eq!(canonical(Channel::Klines, text), None, "{text}");
        }
        for text in ["0", "5", "1000", "025", "1m"] {
            assert_eq!(canonical(Channel::BookL2, text), None, "{text}");
        }
        for channel in [Channel::Trades, Channel::TopOfBook, Channel::Ticker, Channel::ConsolidatedTop] {
            assert_eq!(canonical(channel, "").as_deref(), Some(""));
            assert_eq!(canonical(channel, "25"), None);
        }
    }

    proptest! {
        #[test]
        fn canonical_text_reads_back_as_the_same_variant(number in 1_u64..700_000, letter in "[smhdwtvq]") {
            if let Ok(variant) = Variant::parse(Channel::Klines, &format!("{number}{letter}")) {
                let text = variant.to_string();
                prop_assert_eq!(Variant::parse(Channel::Klines, &text), Ok(variant));
                prop_assert_eq!(canonical(Channel::Klines, &text), Some(text));
            }
        }
    }
}
