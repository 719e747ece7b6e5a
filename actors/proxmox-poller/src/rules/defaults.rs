//! How rules are set where nothing is configured: small builders for the table. Times are seconds.

use contract::monitor::{LevelSettings, RuleSettings};
use contract::units::Span;

const PLAIN: LevelSettings =
    LevelSettings { above: None, below: None, clear: None, hold: None, clear_for: None, enabled: None };

/// A level without a threshold.
pub(super) const fn level(hold_s: u64, clear_for_s: u64) -> LevelSettings {
    LevelSettings { hold: Some(Span::seconds(hold_s)), clear_for: Some(Span::seconds(clear_for_s)), ..PLAIN }
}

/// A level that raises at or above a threshold.
pub(super) const fn above(mark: f64, clear: f64, hold_s: u64, clear_for_s: u64) -> LevelSettings {
    LevelSettings { above: Some(mark), clear: Some(clear), ..level(hold_s, clear_for_s) }
}

/// A level that raises at or below a threshold.
pub(super) const fn below(mark: f64, clear: f64, hold_s: u64, clear_for_s: u64) -> LevelSettings {
    LevelSettings { below: Some(mark), clear: Some(clear), ..level(hold_s, clear_for_s) }
}

/// A rule's settings: its levels, then the time over which it counts and the extra time that it allows.
pub(super) const fn settings(
    levels: [Option<LevelSettings>; 3],
    within_s: Option<u64>,
    grace_s: Option<u64>,
) -> RuleSettings {
    let [info, warning, critical] = levels;
    let within = match within_s {
        Some(seconds) => Some(Span::seconds(seconds)),
        None => None,
    };
    let grace = match grace_s {
        Some(seconds) => Some(Span::seconds(seconds)),
        None => None,
    };
    RuleSettings { enabled: None, except: Vec::new(), info, warning, critical, within, grace }
}

/// The same for a rule that is off until it is switched on.
pub(super) const fn off(info: LevelSettings) -> RuleSettings {
    RuleSettings {
        enabled: Some(false),
        except: Vec::new(),
        info: Some(info),
        warning: None,
        critical: None,
        within: None,
        grace: None,
    }
}

/// Four restarts, over when there was none for ten minutes.
pub(super) const LOOP: LevelSettings = LevelSettings { above: Some(4.0), ..level(0, 600) };

/// Two failures in a row, over when the count is back at none.
pub(super) const REPLICATION: LevelSettings = above(2.0, 1.0, 0, 0);
