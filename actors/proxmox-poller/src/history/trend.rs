//! What the past says: how a figure was on average, at its highest, and where it goes.

use super::{COARSE, COARSE_S, FINE, FINE_S, History, Metric, Row, Subject};
use jiff::Timestamp;

/// The fewest figures that a direction is read from: an hour of them.
const FEWEST: usize = 60;
/// Quarters of an hour in a day.
const DAY: usize = 96;
/// Minutes of a half hour, half hours of six hours, and the fewest steps between them that a steady growth is read from.
const HALF: i64 = 30;
const HALVES: i64 = 12;
const FEWEST_STEPS: usize = 4;
/// Growth within half an hour that counts: a thousandth.
const STEP: f64 = 0.001;

/// What the past says of one figure. Fractions, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trend {
    /// The average of the last hour.
    pub hour_average: Option<f64>,
    /// The average of the last 24 hours.
    pub day_average: Option<f64>,
    /// The highest quarter of an hour of the last 24 hours.
    pub day_highest: Option<f64>,
    /// The average of the last 7 days.
    pub week_average: Option<f64>,
    /// How fast it grows, per hour, by the last six hours (a straight line through them).
    pub growth_per_hour: Option<f64>,
    /// Seconds until it reaches 1 if it goes on like this; `None` when it does not grow.
    pub full_in_s: Option<u64>,
}

impl History {
    /// What the past says of a figure; `None` where there is none.
    pub fn trend(&self, metric: Metric, subject: Subject, now: Timestamp) -> Option<Trend> {
        self.rows.get(&(metric, subject)).map(|row| trend(row, now.as_second()))
    }
}

impl History {
    /// The median of seven days by quarters of an hour, where at least a day of them is known.
    pub fn week_median(&self, metric: Metric, subject: Subject, now: Timestamp) -> Option<f64> {
        let row = self.rows.get(&(metric, subject))?;
        let quarter = now.as_second().div_euclid(COARSE_S);
        let mut known: Vec<f64> =
            row.coarse.between(quarter - COARSE as i64, quarter).map(|(_, value)| value).collect();
        if known.len() < DAY {
            return None;
        }
        known.sort_by(f64::total_cmp);
        known.get(known.len() / 2).copied()
    }

    /// Seconds until a figure reaches 1 if it goes on as in the last six hours; `None` unless it has grown in most of them and still does: a
    /// single leap is no trend.
    pub fn steadily_full_in_s(&self, metric: Metric, subject: Subject, now: Timestamp) -> Option<u64> {
        let row = self.rows.get(&(metric, subject))?;
        let minute = now.as_second().div_euclid(FINE_S);
        // The means of the last half hours, the newest first.
        let means: Vec<f64> = (0..HALVES)
            .map_while(|back| {
                let last = minute - back * HALF;
                mean(row.fine.between(last - HALF + 1, last).map(|(_, value)| value))
            })
            .collect();
        let steps: Vec<f64> = means.windows(2).map(|pair| pair[0] - pair[1]).collect();
        let grown = steps.iter().filter(|step| **step > STEP).count();
        let is_steady = steps.len() >= FEWEST_STEPS && grown * 10 >= steps.len() * 8 && steps[0] > STEP;
        // Nor may one leap make up most of the growth.
        let (sum, most) = steps.iter().fold((0.0, 0.0), |(sum, most): (f64, f64), step| (sum + step, most.max(*step)));
        if !is_steady || most * 2.0 > sum {
            return None;
        }
        trend(row, now.as_second()).full_in_s
    }
}

fn trend(row: &Row, now_s: i64) -> Trend {
    let minute = now_s.div_euclid(FINE_S);
    let quarter = now_s.div_euclid(COARSE_S);
    let fine = |minutes: i64| row.fine.between(minute - minutes, minute).map(|(_, value)| value);
    let coarse = |quarters: i64| row.coarse.between(quarter - quarters, quarter).map(|(_, value)| value);
    // Before the first quarter of an hour has passed there are only minutes.
    let or_fine = |from_coarse: Option<f64>| from_coarse.or_else(|| mean(fine(FINE as i64)));
    let points: Vec<(f64, f64)> = row
        .fine
        .between(minute - FINE as i64, minute)
        .map(|(step, value)| ((step - minute) as f64 / 60.0, value))
        .collect();
    let growth = slope(&points);
    let last = row.minute.peek().map(|(_, value)| value).or_else(|| points.last().map(|(_, value)| *value));
    let full_in_s = growth.zip(last).filter(|(growth, _)| *growth > 0.0002).and_then(|(growth, last)| {
        let hours = (1.0 - last).max(0.0) / growth;
        // Further away than a year nobody can say.
        (hours < 24.0 * 365.0).then_some((hours * 3600.0) as u64)
    });
    Trend {
        hour_average: mean(fine(60)),
        day_average: or_fine(mean(coarse(96))),
        day_highest: coarse(96).chain(fine(15)).reduce(f64::max),
        week_average: or_fine(mean(coarse(COARSE as i64))),
        growth_per_hour: growth,
        full_in_s,
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// The slope of the straight line with the least squared distance.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    if points.len() < FEWEST {
        return None;
    }
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (x, y) = (x / count, y / count);
    let (above, below) = points.iter().fold((0.0, 0.0), |(above, below), point| {
        (above + (point.0 - x) * (point.1 - y), below + (point.0 - x).powi(2))
    });
    (below > 0.0).then(|| above / below)
}
