//! `haia_profile.toml`: what the operator wrote down about this homelab. Read strictly, printed the same way every time.
//!
//! ```toml
//! notes = ["Two nodes in the basement, one at my parents' house."]
//! conventions = ["VMIDs from 100 are production, from 900 are tests.", "Reboots only after 22:00."]
//!
//! [hosts.nas]
//! address = "10.0.0.5"
//! role = "TrueNAS: backups of everything"
//! notes = "The disk in bay 3 is old."
//!
//! [people.anna]
//! role = "runs the homelab"
//! contact = "Telegram @anna"
//! notes = "Away on weekends."
//! ```
//!
//! Every member is optional. It is text for a prompt: nothing in it is executed, resolved or connected to.

use crate::settings::Problem;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The longest profile, in bytes: it is part of every prompt.
const LONGEST: usize = 64 << 10;

/// Facts about a homelab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    /// Machines and services, by name.
    pub hosts: BTreeMap<String, Host>,
    /// People, by name.
    pub people: BTreeMap<String, Person>,
    /// How things are done here.
    pub conventions: Vec<String>,
    /// Anything else.
    pub notes: Vec<String>,
}

/// A machine or service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Host {
    /// Where it is reached.
    pub address: Option<String>,
    /// What it is for.
    pub role: Option<String>,
    /// Anything else.
    pub notes: Option<String>,
}

/// A person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Person {
    /// What they have to do with the homelab.
    pub role: Option<String>,
    /// How they are reached.
    pub contact: Option<String>,
    /// Anything else.
    pub notes: Option<String>,
}

/// Reads a profile.
///
/// # Errors
/// What is wrong and in which line.
pub fn parse(text: &str) -> Result<Profile, Problem> {
    if text.len() > LONGEST {
        let message = format!("the profile is {} bytes long, and {LONGEST} at most go into a prompt", text.len());
        return Err(Problem { key: "profile", line: None, message });
    }
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        Problem { key: "profile", line, message: error.message().to_owned() }
    })
}

impl Profile {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The profile as a part of the system prompt.
    pub(crate) fn render(&self) -> String {
        let mut text = String::from("## About this homelab\n\nWritten down by its operator.\n");
        let hosts = self.hosts.iter().map(|(name, host)| {
            let name = match &host.address {
                Some(address) => format!("{} ({})", one_line(name), one_line(address)),
                None => one_line(name),
            };
            fact(&name, [&host.role, &host.notes])
        });
        let people = self
            .people
            .iter()
            .map(|(name, person)| fact(&one_line(name), [&person.role, &person.contact, &person.notes]));
        section(&mut text, "Hosts", hosts);
        section(&mut text, "People", people);
        section(&mut text, "Conventions", self.conventions.iter().map(|convention| one_line(convention)));
        section(&mut text, "Notes", self.notes.iter().map(|note| one_line(note)));
        text
    }
}

fn section(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.filter(|line| !line.is_empty()).peekable();
    if lines.peek().is_some() {
        let _ = write!(text, "\n{title}:\n");
        for line in lines {
            let _ = writeln!(text, "- {line}");
        }
    }
}

fn fact<const N: usize>(name: &str, said: [&Option<String>; N]) -> String {
    let said: Vec<String> =
        said.into_iter().flatten().map(|text| one_line(text)).filter(|text| !text.is_empty()).collect();
    if said.is_empty() { name.to_owned() } else { format!("{name}: {}", said.join("; ")) }
}

/// A text on one line, so that each fact is one item of its list.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"
        notes = ["Two nodes in the basement,\n  one at my parents' house."]
        conventions = ["VMIDs from 100 are production."]
        [hosts.nas]
        address = "10.0.0.5"
        role = "TrueNAS"
        notes = "The disk in bay 3 is old."
        [hosts.backup]
        [people.anna]
        role = "runs the homelab"
        contact = "Telegram @anna"
    "#;

    #[test]
    fn renders_the_same_every_time() {
        let profile = parse(EXAMPLE).expect("reads");
        assert_eq!(
            profile.render(),
            "## About this homelab\n\nWritten down by its operator.\n\
             \nHosts:\n- backup\n- nas (10.0.0.5): TrueNAS; The disk in bay 3 is old.\n\
             \nPeople:\n- anna: runs the homelab; Telegram @anna\n\
             \nConventions:\n- VMIDs from 100 are production.\n\
             \nNotes:\n- Two nodes in the basement, one at my parents' house.\n"
        );
        assert_eq!(parse(EXAMPLE).expect("reads").render(), profile.render());
        assert!(parse("").expect("empty").is_empty());
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (text, line, said) in [
            ("notes = [\"a\"]\nhost = 5\n", Some(2), "unknown field `host`"),
            ("[hosts.nas]\nadress = \"x\"\n", Some(2), "unknown field `adress`"),
            ("notes = \"one\"\n", Some(1), "invalid type: string"),
            ("\n\nnotes = [", Some(3), ""),
        ] {
            let problem = parse(text).expect_err(text);
            assert_eq!(problem.line, line, "{text}: {problem}");
            assert!(problem.message.contains(said), "{problem}");
        }
        let problem = parse(&format!("notes = [\"{}\"]", "x".repeat(LONGEST))).expect_err("too long");
        assert!(problem.message.contains("bytes long"), "{problem}");
    }
}
