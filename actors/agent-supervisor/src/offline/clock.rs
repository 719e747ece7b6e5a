//! The moment of an answer, as the tool `get_time` tells it: how long ago something was, and its time of day where HAIA runs. Pure.

use super::facts::{Facts, value};
use contract::tools::ToolResult;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Now, and where.
#[derive(Clone, Debug)]
pub(super) struct Now {
    at: Timestamp,
    zone: TimeZone,
}

impl Now {
    /// Reads the result of `get_time` at `at` of the plan.
    ///
    /// # Errors
    /// There is none, or it tells no time.
    pub(super) fn read(results: &[ToolResult], at: usize) -> Result<Self, String> {
        let value = value(results, at)?;
        let facts = Facts::new(&value);
        let now =
            facts.text("utc").and_then(|text| text.parse().ok()).ok_or_else(|| "the time is missing".to_owned())?;
        let zone = facts.text("timezone").and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
        Ok(Self { at: now, zone })
    }

    /// Seconds since midnight.
    pub(super) fn second_of_day(&self) -> u64 {
        let time = self.at.to_zoned(self.zone.clone()).time();
        [(time.hour(), 3600), (time.minute(), 60), (time.second(), 1)]
            .into_iter()
            .map(|(count, seconds)| u64::try_from(count).unwrap_or(0) * seconds)
            .sum()
    }

    /// How many seconds ago a moment was; 0 for one to come.
    pub(super) fn ago_s(&self, moment: Timestamp) -> u64 {
        u64::try_from(self.at.duration_since(moment).as_secs()).unwrap_or(0)
    }

    /// In how many seconds a moment is; 0 for one that is over.
    pub(super) fn in_s(&self, moment: Timestamp) -> u64 {
        u64::try_from(moment.duration_since(self.at).as_secs()).unwrap_or(0)
    }

    /// `08:00`, with the date where it is another day's.
    pub(super) fn shown(&self, moment: Timestamp) -> String {
        let (moment, now) = (moment.to_zoned(self.zone.clone()), self.at.to_zoned(self.zone.clone()));
        let form = if moment.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        moment.strftime(form).to_string()
    }
}

/// A member that is a moment.
pub(super) fn moment(facts: Facts<'_>, name: &str) -> Option<Timestamp> {
    facts.text(name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_where_haia_runs() {
        let found = [ToolResult::ok(r#"{"utc":"2026-03-01T12:00:00Z","timezone":"Europe/Paris"}"#)];
        let now = Now::read(&found, 0).expect("a time");
        let at = |text: &str| text.parse::<Timestamp>().expect("a moment");
        assert_eq!(now.second_of_day(), 13 * 3600);
        assert_eq!(now.shown(at("2026-03-01T07:05:00Z")), "08:05");
        assert_eq!(now.shown(at("2026-03-02T07:00:00Z")), "2026-03-02 08:00");
        assert_eq!((now.ago_s(at("2026-03-01T11:59:00Z")), now.in_s(at("2026-03-01T11:59:00Z"))), (60, 0));
        assert!(Now::read(&[ToolResult::ok("{}")], 0).is_err());
    }
}
