//! stats — repeated measurements of one value.

use std::fmt;
use std::time::Duration;

/// The values, sorted.
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// Converts durations to milliseconds.
    pub(crate) fn from_durations(times: impl IntoIterator<Item = Duration>) -> Self {
        Self::from_values(times.into_iter().map(|time| time.as_secs_f64() * 1e3))
    }

    pub(crate) fn from_values(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// NaN without measurements, which meets no goal.
    pub(crate) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match (self.0.get(middle), middle.checked_sub(1).and_then(|before| self.0.get(before))) {
            (Some(upper), Some(lower)) if self.0.len().is_multiple_of(2) => f64::midpoint(*lower, *upper),
            (Some(value), _) => *value,
            (None, _) => f64::NAN,
        }
    }

    pub(crate) fn min(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn max(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// The median, with the number of runs and the range: `1.2 MB (n=7, 1.1–1.3)`.
    pub(crate) fn summary(&self, digits: usize, unit: &str) -> String {
        format!("{:.digits$} {unit} ({})", self.median(), self.format_range(digits))
    }

    /// Number of runs and range: `n=7, 1.10–1.31`.
    pub(crate) fn format_range(&self, digits: usize) -> String {
        let Self(values) = self;
        format!("n={}, {:.digits$}–{:.digits$}", values.len(), self.min(), self.max())
    }
}

/// The median in milliseconds.
impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} ms", self.median())
    }
}
