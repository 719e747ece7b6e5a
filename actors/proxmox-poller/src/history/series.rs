//! A row of figures in equal steps of time, in fixed memory: a ring of 16-bit fractions.

/// Stands for "no figure".
const MISSING: u16 = u16::MAX;
/// What 1.0 is stored as. Fractions above 1 (memory of a VM with overhead) are stored as 1.
const ONE: f64 = 65_534.0;

/// A ring of figures. A step is a whole number of grains since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Series {
    /// The newest step that was written.
    newest: i64,
    points: Box<[u16]>,
}

impl Series {
    pub(super) fn new(places: usize) -> Self {
        Self { newest: i64::MIN, points: vec![MISSING; places.max(1)].into() }
    }

    fn places(&self) -> i64 {
        i64::try_from(self.points.len()).unwrap_or(i64::MAX)
    }

    fn place(&self, step: i64) -> usize {
        usize::try_from(step.rem_euclid(self.places())).unwrap_or(0)
    }

    /// Writes the figure of a step. Steps that were passed over are missing; a step too old for the ring is forgotten.
    pub(super) fn set(&mut self, step: i64, fraction: f64) {
        self.set_raw(
            step,
            if fraction.is_finite() { (fraction.clamp(0.0, 1.0) * ONE).round() as u16 } else { MISSING },
        );
    }

    pub(super) fn set_raw(&mut self, step: i64, point: u16) {
        if self.newest == i64::MIN {
            self.newest = step - 1;
        }
        if step <= self.newest - self.places() {
            return;
        }
        if step > self.newest {
            let passed = (step - self.newest).min(self.places());
            for skipped in (step - passed + 1)..=step {
                let place = self.place(skipped);
                self.points[place] = MISSING;
            }
            self.newest = step;
        }
        let place = self.place(step);
        self.points[place] = point;
    }

    /// The stored figure of a step.
    pub(super) fn raw(&self, step: i64) -> u16 {
        if self.newest == i64::MIN || step > self.newest || step <= self.newest - self.places() {
            return MISSING;
        }
        self.points[self.place(step)]
    }

    /// The figure of a step.
    pub(super) fn get(&self, step: i64) -> Option<f64> {
        Some(self.raw(step)).filter(|point| *point != MISSING).map(|point| f64::from(point) / ONE)
    }

    /// The newest step that was written.
    pub(super) fn newest(&self) -> Option<i64> {
        Some(self.newest).filter(|newest| *newest != i64::MIN)
    }

    /// The figures of the steps from `first` to `last`, both included.
    pub(super) fn between(&self, first: i64, last: i64) -> impl Iterator<Item = (i64, f64)> + '_ {
        let oldest = self.newest.saturating_sub(self.places()).saturating_add(1);
        (first.max(oldest)..=last.min(self.newest)).filter_map(|step| Some((step, self.get(step)?)))
    }
}

/// Sums figures up to the average of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Mean {
    step: i64,
    sum: f64,
    count: u32,
}

impl Mean {
    /// Adds a figure. When it begins a new step, the average of the one before is returned.
    pub(super) fn add(&mut self, step: i64, fraction: f64) -> Option<(i64, f64)> {
        let ended = if step == self.step { None } else { self.take() };
        self.step = step;
        self.sum += fraction;
        self.count += 1;
        ended
    }

    /// The average so far; begins anew.
    pub(super) fn take(&mut self) -> Option<(i64, f64)> {
        let mean = std::mem::take(self);
        (mean.count > 0).then(|| (mean.step, mean.sum / f64::from(mean.count)))
    }

    /// The average so far.
    pub(super) fn peek(&self) -> Option<(i64, f64)> {
        (self.count > 0).then(|| (self.step, self.sum / f64::from(self.count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keeps_the_newest_and_tells_gaps() {
        let mut series = Series::new(4);
        for (step, fraction) in [(10, 0.1), (11, 0.2), (13, 0.4), (14, 2.0)] {
            series.set(step, fraction);
        }
        let kept: Vec<(i64, String)> =
            series.between(0, 99).map(|(step, value)| (step, format!("{value:.3}"))).collect();
        assert_eq!(kept, [(11, "0.200".to_owned()), (13, "0.400".to_owned()), (14, "1.000".to_owned())]);
        series.set(10, 0.9);
        assert_eq!(series.get(10), None, "too old");
        series.set(1000, 0.5);
        assert_eq!(series.between(0, 2000).count(), 1, "a long gap empties the ring");
    }

    #[test]
    fn averages_by_step() {
        let mut mean = Mean::default();
        assert_eq!(mean.add(1, 0.2), None);
        assert_eq!(mean.add(1, 0.4), None);
        let (step, value) = mean.add(2, 1.0).unwrap();
        assert!(step == 1 && (value - 0.3).abs() < 1e-9);
        assert_eq!(mean.take(), Some((2, 1.0)));
        assert_eq!(mean.take(), None);
    }

    proptest! {
        #[test]
        fn a_ring_gives_back_what_a_list_would(writes in prop::collection::vec((0i64..200, 0u16..1000), 0..300)) {
            let mut series = Series::new(16);
            let mut list = std::collections::BTreeMap::new();
            let mut newest = i64::MIN;
            for (step, point) in writes {
                if newest == i64::MIN || step > newest - 16 {
                    newest = newest.max(step);
                    list.insert(step, point);
                }
                series.set_raw(step, point);
            }
            for step in 0..200 {
                let wanted = list.get(&step).filter(|_| step > newest.saturating_sub(16)).copied();
                prop_assert_eq!(series.raw(step), wanted.unwrap_or(MISSING));
            }
        }
    }
}
