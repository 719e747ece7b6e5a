//! What a written line asks for. Pure.

use contract::units::Span;
use std::time::Duration;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// How everything is.
    Status,
    /// Open alerts.
    Alerts,
    /// Take notice of an alert.
    Acknowledge(u64),
    /// Silence an alert's rule and object.
    Silence(u64, Duration),
    /// An alert was meant to happen.
    Expected(u64),
    /// Proposals that wait for a person.
    Proposals,
    /// Approve a proposal.
    Approve(u64),
    /// Deny a proposal.
    Deny(u64),
    /// What can be written.
    Help,
    /// A question to the agent.
    Ask(String),
    /// A command that is not complete: what to write.
    Incomplete(&'static str),
}

/// The longest silence by chat.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// What can be written.
pub const HELP: &str = "**What you can write**\n\
    - /alerts: open alerts\n\
    - /status: how everything is\n\
    - `/ack 17`: take notice of alert 17; no more reminders\n\
    - `/silence 17 2h`: no messages about it for two hours\n\
    - `/expected 17`: it was meant to happen\n\
    - /proposals: what waits for an approval\n\
    - `/approve 7`, `/deny 7`: decide on proposal 7\n\
    Anything else is a question to HAIA.";

/// Reads what was written. `bot` is the bot's own name: a command for another bot, or an empty line, is nothing.
pub fn parse(text: &str, bot: Option<&str>) -> Option<Command> {
    let text = text.trim();
    let Some(rest) = text.strip_prefix('/') else {
        return (!text.is_empty()).then(|| decision(text).unwrap_or_else(|| Command::Ask(text.to_owned())));
    };
    let mut words = rest.split_whitespace();
    let name = words.next()?;
    let (name, addressed) = name.split_once('@').map_or((name, None), |(name, bot)| (name, Some(bot)));
    if let (Some(addressed), Some(bot)) = (addressed, bot)
        && !addressed.eq_ignore_ascii_case(bot)
    {
        return None;
    }
    let number = words.next().and_then(|word| word.trim_start_matches('#').parse::<u64>().ok());
    let duration = words.next().and_then(|word| word.parse::<Span>().ok()).map(|span| span.0);
    Some(match (name.to_ascii_lowercase().as_str(), number, duration) {
        ("status", ..) => Command::Status,
        ("alerts", ..) => Command::Alerts,
        ("help" | "start", ..) => Command::Help,
        ("ack", Some(alert), _) => Command::Acknowledge(alert),
        ("ack", None, _) => Command::Incomplete("Which alert? For example /ack 17; /alerts lists them."),
        ("expected", Some(alert), _) => Command::Expected(alert),
        ("expected", None, _) => Command::Incomplete("Which alert? For example /expected 17; /alerts lists them."),
        ("proposals" | "approvals", ..) => Command::Proposals,
        ("approve", Some(proposal), _) => Command::Approve(proposal),
        ("deny", Some(proposal), _) => Command::Deny(proposal),
        ("approve" | "deny", None, _) => {
            Command::Incomplete("Which proposal? For example /approve 7; /proposals lists them.")
        }
        ("silence", Some(alert), Some(time)) if !time.is_zero() && time <= LONGEST => Command::Silence(alert, time),
        ("silence", ..) => {
            Command::Incomplete("Which alert, and for how long (up to 30d)? For example /silence 17 2h.")
        }
        _ => Command::Incomplete("I do not know this command; /help lists them."),
    })
}

/// `approve 7`, as in other chats: the line alone, with nothing around it.
fn decision(text: &str) -> Option<Command> {
    let mut words = text.split_ascii_whitespace();
    let (word, number) = (words.next()?, words.next()?);
    let digits = number.strip_prefix('#').unwrap_or(number).trim_end_matches(['.', '!']);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let proposal = digits.parse().ok().filter(|_| is_number && words.next().is_none())?;
    match word.to_ascii_lowercase().as_str() {
        "approve" => Some(Command::Approve(proposal)),
        "deny" => Some(Command::Deny(proposal)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_commands_or_questions() {
        for (text, command) in [
            ("/alerts", Some(Command::Alerts)),
            ("/ACK #17", Some(Command::Acknowledge(17))),
            ("/silence 3 2h", Some(Command::Silence(3, Duration::from_secs(7200)))),
            ("/expected@haia_bot 4", Some(Command::Expected(4))),
            ("/approve 7", Some(Command::Approve(7))),
            ("/deny #7", Some(Command::Deny(7))),
            ("Approve #7", Some(Command::Approve(7))),
            ("deny 7.", Some(Command::Deny(7))),
            ("approve 7 now", Some(Command::Ask("approve 7 now".to_owned()))),
            ("approve seven", Some(Command::Ask("approve seven".to_owned()))),
            ("approve -7", Some(Command::Ask("approve -7".to_owned()))),
            ("\"approve 7\"", Some(Command::Ask("\"approve 7\"".to_owned()))),
            ("/proposals", Some(Command::Proposals)),
            ("/start", Some(Command::Help)),
            ("/alerts@other_bot", None),
            ("why is web-01 down?", Some(Command::Ask("why is web-01 down?".to_owned()))),
            ("  ", None),
            ("/", None),
        ] {
            assert_eq!(parse(text, Some("haia_bot")), command, "{text}");
        }
        for text in [
            "/ack",
            "/ack x",
            "/silence 3",
            "/silence 3 0s",
            "/silence 3 40d",
            "/expected",
            "/approve",
            "/deny x",
            "/reboot",
        ] {
            assert!(matches!(parse(text, None), Some(Command::Incomplete(_))), "{text}");
        }
    }
}
