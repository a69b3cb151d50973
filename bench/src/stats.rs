//! Percentiles of measured values.

/// The value below which so many percent of the values lie. NaN without values.
pub fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) * percent / 100).copied().unwrap_or(f64::NAN)
}

/// The median of the values. NaN without values.
pub fn median(values: Vec<f64>) -> f64 {
    percentile(values, 50)
}
