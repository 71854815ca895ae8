//! The closed sets of words that an answer says about its sources and about itself.

/// Whether a quote took part, and why not. The first that applies, in this order, is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// It took part.
    Used,
    /// The source answered and gave no price.
    NotGiven,
    /// Text that is no number, `NaN`, an infinity.
    NotANumber,
    /// Zero or below.
    NotPositive,
    /// No price that anything has ever had, or more digits than 64 bits hold.
    OutOfRange,
    /// Quoted in another currency, and no rate is at hand.
    NotConvertible,
    /// The source does not say how old its price is, or says that it comes from the future.
    AgeUnknown,
    /// Older than this source may be.
    TooOld,
    /// The prices of a bar contradict one another: the low is not the lowest, the high not the highest.
    NotOrdered,
    /// Further from the first median than is allowed.
    Outlier,
    /// No outlier; cut off as one of the highest or lowest of a trimmed mean.
    Trimmed,
}

impl Reason {
    /// All reasons, at the places of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Used,
        Self::NotGiven,
        Self::NotANumber,
        Self::NotPositive,
        Self::OutOfRange,
        Self::NotConvertible,
        Self::AgeUnknown,
        Self::TooOld,
        Self::NotOrdered,
        Self::Outlier,
        Self::Trimmed,
    ];

    /// Returns the word of the contract; empty: it took part.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Used => "",
            Self::NotGiven => "NOT_GIVEN",
            Self::NotANumber => "NOT_A_NUMBER",
            Self::NotPositive => "NOT_POSITIVE",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::NotConvertible => "NOT_CONVERTIBLE",
            Self::AgeUnknown => "AGE_UNKNOWN",
            Self::TooOld => "TOO_OLD",
            Self::NotOrdered => "NOT_ORDERED",
            Self::Outlier => "OUTLIER",
            Self::Trimmed => "TRIMMED",
        }
    }
}

/// Whether there is an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// There is one.
    Accepted,
    /// Fewer sources agree than are needed.
    InsufficientSources,
    /// Enough sources are left, but they lie too far apart.
    LowConfidence,
}

impl Outcome {
    /// All outcomes, at the places of their numbers.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::InsufficientSources, Self::LowConfidence];

    /// Returns the word of the contract; empty: there is an answer.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "",
            Self::InsufficientSources => "INSUFFICIENT_SOURCES",
            Self::LowConfidence => "LOW_CONFIDENCE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_at_the_places_of_their_numbers() {
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, at);
        }
        for (at, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, at);
        }
    }
}
