//! The parameters of a reconciliation, checked once.

/// Ratios are whole billionths, so that a quote exactly at a border is inside it.
pub(crate) const BILLION: i128 = 1_000_000_000;
/// Widest deviation that the arithmetic is made for.
const DEVIATION_MAX: f64 = 0.25;
/// Widest share that a trimmed mean may lose.
const TRIM_MAX: f64 = 0.5;

/// How the prices that are no outliers become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Method {
    /// The middle one, or the mean of the middle two.
    #[default]
    TrimmedMedian,
    /// Their mean, without the highest and lowest.
    TrimmedMean,
}

/// Why parameters are none.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// Deviation of a quote that is no outlier.
    #[error("deviation_ratio_max: expected above 0 to 0.25 in whole billionths, received {0}")]
    Deviation(f64),
    /// Sources that must be left.
    #[error("sources_min: expected 2 or more, received {0}")]
    Sources(u32),
    /// Confidence below which nothing is answered.
    #[error("confidence_ratio_min: expected 0 to 1, received {0}")]
    Confidence(f64),
    /// Share that is trimmed in all.
    #[error("trim_ratio: expected 0 to 0.5 in whole billionths, received {0}")]
    Trim(f64),
}

/// Parameters of a reconciliation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    pub(crate) method: Method,
    pub(crate) deviation: i128, // billionths
    pub(crate) deviation_ratio: f64,
    pub(crate) sources_min: usize,
    pub(crate) confidence_min: f64,
    pub(crate) trim: i128, // billionths, both sides together
}

impl Rules {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`RulesError`] names the parameter and its bounds.
    pub fn new(
        method: Method,
        deviation_ratio_max: f64,
        sources_min: u32,
        confidence_ratio_min: f64,
        trim_ratio: f64,
    ) -> Result<Self, RulesError> {
        let deviation = billionths(deviation_ratio_max, DEVIATION_MAX);
        let deviation = deviation.filter(|&share| share > 0);
        let deviation = deviation.ok_or(RulesError::Deviation(deviation_ratio_max))?;
        let sources = usize::try_from(sources_min).unwrap_or(usize::MAX);
        if sources < 2 {
            return Err(RulesError::Sources(sources_min));
        }
        if !(0.0..=1.0).contains(&confidence_ratio_min) {
            return Err(RulesError::Confidence(confidence_ratio_min));
        }
        let trim = billionths(trim_ratio, TRIM_MAX).ok_or(RulesError::Trim(trim_ratio))?;
        Ok(Self {
            method,
            deviation,
            deviation_ratio: deviation_ratio_max,
            sources_min: sources,
            confidence_min: confidence_ratio_min,
            trim,
        })
    }

    /// Returns how many of so many quotes are cut off at each end.
    #[must_use]
    pub fn trimmed_each(&self, count: usize) -> usize {
        if self.method == Method::TrimmedMedian {
            return 0;
        }
        let count = i128::try_from(count).unwrap_or(i128::from(u32::MAX));
        usize::try_from(count * self.trim / (2 * BILLION)).unwrap_or(0)
    }

    /// Returns the confidence in a price that so many sources gave with such a deviation.
    #[must_use]
    pub fn confidence(&self, deviation_ratio: f64, count: usize) -> f64 {
        let agreement = (1.0 - deviation_ratio / self.deviation_ratio).max(0.0);
        let extra = u32::try_from(count.saturating_sub(self.sources_min)).unwrap_or(u32::MAX);
        (agreement + (0.05 * f64::from(extra)).min(0.2)).clamp(0.0, 1.0)
    }
}

/// Reads a ratio from 0 to `max` that is a whole number of billionths.
fn billionths(ratio: f64, max: f64) -> Option<i128> {
    if !(0.0..=max).contains(&ratio) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to a billion")]
    let whole = (ratio * 1e9).round() as u32;
    #[expect(clippy::float_cmp, reason = "a decimal of nine digits comes back as the same float")]
    let is_whole = f64::from(whole) / 1e9 == ratio;
    is_whole.then(|| i128::from(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median(deviation: f64) -> Result<Rules, RulesError> {
        Rules::new(Method::TrimmedMedian, deviation, 2, 0.7, 0.1)
    }

    #[test]
    fn parameters_out_of_bounds_are_named() {
        for wrong in [0.0, -0.01, 0.26, f64::NAN, f64::INFINITY, 1e-10] {
            assert!(matches!(median(wrong), Err(RulesError::Deviation(_))), "{wrong}");
        }
        let rules = |sources, confidence, trim| {
            Rules::new(Method::TrimmedMean, 0.01, sources, confidence, trim).unwrap_err()
        };
        assert_eq!(rules(1, 0.7, 0.1), RulesError::Sources(1));
        assert_eq!(rules(2, 1.1, 0.1), RulesError::Confidence(1.1));
        assert_eq!(rules(2, 0.7, 0.6), RulesError::Trim(0.6));
        assert!(rules(2, f64::NAN, 0.1).to_string().starts_with("confidence_ratio_min: "));
    }

    #[test]
    fn every_ratio_of_nine_digits_is_taken_as_it_is_written() {
        for text in ["0.01", "0.000000001", "0.1", "0.123456789", "0.25", "0.033"] {
            assert!(median(text.parse().unwrap()).is_ok(), "{text}");
        }
    }

    #[test]
    fn ten_percent_are_cut_half_at_each_end() {
        let rules = Rules::new(Method::TrimmedMean, 0.01, 2, 0.7, 0.1).unwrap();
        let cut: Vec<usize> = [2, 19, 20, 39, 40, 98, 100].map(|count| rules.trimmed_each(count)).into();
        assert_eq!(cut, [0, 0, 1, 1, 2, 4, 5]);
        assert_eq!(median(0.01).unwrap().trimmed_each(100), 0);
    }
}
