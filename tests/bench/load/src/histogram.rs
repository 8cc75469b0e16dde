//! Histogram of times, with an error below one percent.

/// Number of buckets for each power of two.
const STEPS: u64 = 128;

/// Counts of times, in nanoseconds.
pub struct Histogram {
    counts: Vec<u32>,
    total: u64,
    max: u64,
}

impl Histogram {
    /// Empty histogram.
    pub fn new() -> Self {
        Histogram { counts: vec![0; 64 * STEPS as usize], total: 0, max: 0 }
    }

    /// Adds a time.
    pub fn add(&mut self, time: u64) {
        self.counts[index(time)] += 1;
        self.total += 1;
        self.max = self.max.max(time);
    }

    /// Time below which a share of all times lies, in milliseconds; 0 if there are none.
    pub fn percentile(&self, share: f64) -> f64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += *count as u64;
            if seen >= wanted && seen > 0 {
                return middle(index).min(self.max) as f64 / 1e6;
            }
        }
        0.0
    }
}

fn index(time: u64) -> usize {
    if time < STEPS {
        return time as usize;
    }
    let shift = time.ilog2() as u64 - STEPS.ilog2() as u64;
    ((shift + 1) * STEPS + (time >> shift) - STEPS) as usize
}

fn middle(index: usize) -> u64 {
    let index = index as u64;
    if index < STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    ((index % STEPS + STEPS) << shift) + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_times_within_a_percent() {
        for time in [0, 1, 127, 128, 129, 1000, 123_456, 987_654_321, 60_000_000_000] {
            let kept = middle(index(time)) as f64;
            assert!((kept - time as f64).abs() <= time as f64 / 100.0, "{time} {kept}");
        }
    }
}
