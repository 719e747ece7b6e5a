//! A person's question as words, and patterns that recognise it. Pure.
//!
//! A pattern is words in order: `a|b` for alternatives, `@` for a name (of a guest, node or storage, with what kind it is said to be
//! beside it), `%` where a time must be named, `#` for a name that is plainly one (it has a digit or its kind beside it), a last `*` for whatever follows. Up to two other
//! words may stand between two of its words, and a word may be misspelt a little. What a pattern leaves over must be words without a
//! meaning of their own, or the question is about something else.

mod period;
mod spelling;
mod words;

pub(crate) use period::{Period, Window};
pub(crate) use words::Kind;

use spelling::{is_like, said_in_full};
use words::{Class, class, may_be_name};

/// The longest question looked at, in words: more is a story, which patterns cannot understand.
const LONGEST: usize = 60;
/// The longest word looked at, in bytes: as long as a name in the DNS can be.
const LONGEST_WORD: usize = 253;
/// Other words allowed between two words of a pattern.
const GAP: usize = 2;
/// The most words of a name.
const NAME_WORDS: usize = 3;
/// The most words of a name that is the whole question.
const BARE_NAME_WORDS: usize = 2;
/// What a found word counts; a found name counts one.
const WORD: usize = 2;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    words: Vec<String>,
    /// The words as the person wrote them.
    spelled: Vec<String>,
    classes: Vec<Class>,
    period: Option<Period>,
    named: Option<Named>,
    has_cluster: bool,
}

/// A name in a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    /// The name as the person wrote it, or a number.
    pub(crate) name: String,
    /// What it is said to be.
    pub(crate) kind: Option<Kind>,
}

/// How a pattern fits a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Match {
    /// How much of the pattern was found: two for a word, one for a name.
    pub(crate) found: usize,
    /// Words with a meaning that the pattern leaves over.
    pub(crate) left: usize,
    /// Words left over that only mean the whole cluster.
    pub(crate) places: usize,
    /// What the pattern's last `*` stands for.
    pub(crate) rest: Vec<String>,
    /// What its `@` or `#` stands for.
    pub(crate) named: Option<Named>,
}

/// A pattern while it is laid over the words.
#[derive(Clone, Default)]
struct Trial {
    used: Vec<bool>,
    found: usize,
    rest: Vec<String>,
    named: Option<Named>,
}

impl Question {
    /// Reads a message. Notes that clients put in front of it (`<attached_files>…`) are left out.
    pub(crate) fn new(text: &str) -> Self {
        let text = without_notes(text).replace('’', "'").replace("'s ", " is ").replace("'re ", " are ");
        let separates = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '!' | '?' | '(' | ')' | '"');
        let (mut words, mut spelled): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for written in text.split(separates) {
            let written = written.trim_end_matches(|c: char| !c.is_alphanumeric());
            let written = written.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '/').replace('\'', "");
            let word = written.to_lowercase();
            let parts = match (word.as_str(), numbered(&word)) {
                ("", _) => continue,
                // "Backed up" is one word here, since "up" means something else.
                ("up", _) if words.last().is_some_and(|before| before == "backed") => continue,
                (_, Some((kind, number))) => vec![kind, number],
                (word, None) => said_in_full(word).map_or_else(|| vec![word], |full| full.split(' ').collect()),
            };
            match parts[..] {
                [_] => spelled.push(written),
                _ => spelled.extend(parts.iter().map(|part| (*part).to_owned())),
            }
            words.extend(parts.into_iter().map(str::to_owned));
        }
        if words.len() > LONGEST || words.iter().any(|word| word.len() > LONGEST_WORD) {
            words.clear();
            spelled.clear();
        }
        let found = period::find(&words);
        let mut classes: Vec<Class> = words.iter().map(|word| class(word)).collect();
        // A greeting in front of the question.
        let greeting = usize::from(words.first().is_some_and(|word| word == "good"));
        if words.get(greeting).is_some_and(|word| matches!(word.as_str(), "morning" | "evening" | "afternoon")) {
            classes[greeting] = Class::Empty;
        }
        // "How do I …?" asks for instructions, which only a pattern with its own "how" can mean.
        if let [how, to, ..] = &words[..]
            && how == "how"
            && (to == "to" || (words.get(2).is_some_and(|i| ["i", "we", "you"].contains(&i.as_str())) && is_modal(to)))
        {
            classes[0] = Class::Trade;
        }
        let period = found.map(|(period, places)| {
            classes[places].fill(Class::Empty);
            period
        });
        Self { words, spelled, classes, period, named: None, has_cluster: false }
    }

    /// The time it is about, where it names one.
    pub(crate) fn period(&self) -> Option<Period> {
        self.period
    }

    /// The same with the name that the pattern it was recognised by found in it, and whether there is a cluster to ask.
    pub(crate) fn about(self, named: Option<Named>, has_cluster: bool) -> Self {
        Self { named, has_cluster, ..self }
    }

    /// Whether there is a cluster to ask.
    pub(crate) fn has_cluster(&self) -> bool {
        self.has_cluster
    }

    /// The name it is about.
    pub(crate) fn named(&self) -> Option<&Named> {
        self.named.as_ref()
    }

    /// Whether it has one of these words, `a|b`, or one like it.
    pub(crate) fn has(&self, words: &str) -> bool {
        self.words.iter().any(|word| words.split('|').any(|key| is_like(word, key)))
    }

    /// Whether it asks what a word means, and not how things are: "what is a container?"
    pub(crate) fn asks_for_a_meaning(&self) -> bool {
        matches!(self.words.iter().map(String::as_str).collect::<Vec<_>>()[..], ["what", "is" | "are", "a" | "an", _])
    }

    /// The question as nothing but a name, of one or two words.
    pub(crate) fn bare_name(&self) -> Option<Match> {
        self.matches("@").filter(|fit| fit.left == 0 && self.words.len() <= BARE_NAME_WORDS)
    }

    /// Whether a pattern fits, and how well.
    pub(crate) fn matches(&self, pattern: &str) -> Option<Match> {
        let tokens: Vec<&str> = pattern.split(' ').collect();
        let mut best = None;
        for from in 0..self.words.len() {
            let trial = Trial { used: vec![false; self.words.len()], ..Trial::default() };
            self.lay(&tokens, from, 1, trial, &mut best);
        }
        best
    }

    /// Lays the rest of a pattern over the words from `at` on; its first word may be `reach` words away.
    fn lay(&self, tokens: &[&str], at: usize, reach: usize, trial: Trial, best: &mut Option<Match>) {
        let Some((token, tokens)) = tokens.split_first() else {
            self.keep(trial, best);
            return;
        };
        match *token {
            "*" => {
                let rest: Vec<String> = (at..self.words.len())
                    .filter(|place| self.classes[*place] != Class::Empty)
                    .map(|place| self.words[place].clone())
                    .collect();
                if !rest.is_empty() {
                    let mut trial = Trial { rest, ..trial };
                    trial.used[at..].fill(true);
                    self.keep(trial, best);
                }
            }
            "%" => {
                if self.period.is_some() {
                    self.lay(tokens, at, reach, Trial { found: trial.found + WORD, ..trial }, best);
                }
            }
            "@" | "#" => {
                for (end, from, named) in self.names(at, reach) {
                    let is_plain = named.kind.is_some() || named.name.contains(|c: char| c.is_ascii_digit());
                    if *token == "@" || is_plain {
                        let mut trial = Trial { found: trial.found + 1, named: Some(named), ..trial.clone() };
                        trial.used[from..end].fill(true);
                        self.lay(tokens, end, 1 + GAP, trial, best);
                    }
                }
            }
            _ => {
                let fits = |place: &usize| token.split('|').any(|key| is_like(&self.words[*place], key));
                if let Some(place) = (at..self.end(at, reach)).find(fits) {
                    let mut trial = Trial { found: trial.found + WORD, ..trial };
                    trial.used[place] = true;
                    self.lay(tokens, place + 1, 1 + GAP, trial, best);
                }
            }
        }
    }

    /// The end of the places where the next word of a pattern may stand: words that say nothing do not count.
    fn end(&self, at: usize, reach: usize) -> usize {
        let mut left = reach;
        let mut end = at;
        while end < self.words.len() && left > 0 {
            if self.classes[end] != Class::Empty || reach == 1 {
                left -= 1;
            }
            end += 1;
        }
        end
    }

    /// The names that may begin within `reach` words of `at`: where each ends, where it begins with the words of its kind, and the name.
    fn names(&self, at: usize, reach: usize) -> Vec<(usize, usize, Named)> {
        let mut begin = at;
        let mut kind = None;
        let mut first_noun = None;
        while begin < self.words.len() && begin < at + reach + GAP {
            match self.classes[begin] {
                Class::Noun(said) => {
                    kind = said.or(kind);
                    first_noun.get_or_insert(begin);
                }
                Class::Empty => {}
                _ => break,
            }
            begin += 1;
        }
        let is_name = |place: usize| {
            // Beside its kind some words of the trade may be names too: "vm backup".
            let is_said = || kind.is_some() || matches!(self.classes.get(place + 1), Some(Class::Noun(Some(_))));
            self.classes[place] == Class::Name || (place == begin && may_be_name(&self.words[place]) && is_said())
        };
        let mut found = Vec::new();
        for end in begin + 1..=self.words.len().min(begin + NAME_WORDS) {
            if !is_name(end - 1) {
                break;
            }
            let name = self.spelled[begin..end].join(" ");
            let mut after = end;
            let mut kind = kind;
            while let Some(Class::Noun(said)) = self.classes.get(after) {
                kind = kind.or(*said);
                after += 1;
            }
            found.push((after, first_noun.unwrap_or(begin), Named { name, kind }));
        }
        found
    }

    /// Keeps the trial if it leaves less over than the best so far.
    fn keep(&self, trial: Trial, best: &mut Option<Match>) {
        let mut left = 0;
        let mut places = 0;
        for (class, _) in self.classes.iter().zip(&trial.used).filter(|(_, used)| !**used) {
            match class {
                Class::Empty => {}
                Class::Place => places += 1,
                _ => left += 1,
            }
        }
        let one = Match { found: trial.found, left, places, rest: trial.rest, named: trial.named };
        if best.as_ref().is_none_or(|best| (one.left, one.places) < (best.left, best.places)) {
            *best = Some(one);
        }
    }
}

/// `vm101`, `ct/102`: the kind and the number.
fn numbered(word: &str) -> Option<(&str, &str)> {
    let at = word.find(|c: char| c.is_ascii_digit())?;
    let (kind, number) = word.split_at(at);
    let kind = kind.trim_end_matches(['/', ':', '#']);
    let is_number = number.len() > 2 && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && matches!(class(kind), Class::Noun(Some(Kind::Guest)))).then_some((kind, number))
}

/// Whether a word asks for what can or should be done.
fn is_modal(word: &str) -> bool {
    ["do", "can", "could", "should", "would"].contains(&word)
}

/// The message without the notes that clients put into it in angle brackets.
fn without_notes(text: &str) -> &str {
    const NOTE: &str = "</attached_files>";
    match text.rfind(NOTE) {
        Some(at) if text.trim_start().starts_with("<attached_files>") => &text[at + NOTE.len()..],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_words() {
        for (text, words) in [
            ("What's the time?", vec!["what", "is", "the", "time"]),
            ("/help", vec!["/help"]),
            ("  whats up,doc!! ", vec!["what", "is", "up", "doc"]),
            ("time in Europe/Paris.", vec!["time", "in", "europe/paris"]),
            ("vm101 ct/102 LXC#103 web-01 vm1", vec!["vm", "101", "ct", "102", "lxc", "103", "web-01", "vm1"]),
            ("", vec![]),
            ("???", vec![]),
            ("<attached_files>\n<file name=\"a time.png\"/>\n</attached_files>\n\nhelp", vec!["help"]),
        ] {
            assert_eq!(Question::new(text).words, words, "{text}");
        }
    }

    #[test]
    fn patterns_fit_in_order_with_small_gaps() {
        let fits = |text: &str, pattern: &str| Question::new(text).matches(pattern).map(|one| (one.found, one.left));
        assert_eq!(fits("what is the time", "what time"), Some((4, 0)));
        assert_eq!(fits("waht tiem is it", "what time"), Some((4, 0)));
        assert_eq!(fits("time what", "what time"), None);
        assert_eq!(fits("what takes so much of my time", "what time"), Some((4, 1)));
        assert_eq!(fits("what bird sings every time", "what time"), None);
        assert_eq!(fits("what time did the backup run", "what time"), Some((4, 2)));
        assert_eq!(fits("stats please", "status|stats"), Some((2, 0)));
        assert_eq!(fits(&"what time ".repeat(40), "what time"), None);
        assert_eq!(fits(&format!("what time {}", "x".repeat(300)), "what time"), None);
        let places = Question::new("status of my proxmox cluster").matches("status").map(|one| (one.left, one.places));
        assert_eq!(places, Some((0, 2)));
    }

    #[test]
    fn a_star_takes_the_rest() {
        let rest = |text: &str| Question::new(text).matches("time in *").map(|one| one.rest.join(" "));
        assert_eq!(rest("what time is it in New York right now?").as_deref(), Some("new york"));
        assert_eq!(rest("time in"), None);
        assert_eq!(rest("time in the"), None);
    }

    #[test]
    fn names_are_found_with_their_kind() {
        let guest = Some(Kind::Guest);
        for (text, pattern, expected) in [
            ("why did web-01 stop?", "why @ stop", Some(("web-01", None))),
            ("why did the vm web-01 stop", "why @ stop", Some(("web-01", guest))),
            ("why did my web-01 container just stop", "why @ stop", Some(("web-01", guest))),
            ("why did vm 101 stop", "why @ stop", Some(("101", guest))),
            ("why did home assistant stop", "why @ stop", Some(("home assistant", None))),
            ("why did it stop", "why @ stop", None),
            ("why did the backup stop", "why @ stop", None),
            ("how is node pve2", "how @", Some(("pve2", Some(Kind::Node)))),
            ("how is the pve2 node", "how @", Some(("pve2", Some(Kind::Node)))),
            ("show vm backup", "show @", Some(("backup", guest))),
            ("vm 101", "#", Some(("101", guest))),
            ("web-01", "#", Some(("web-01", None))),
            ("poem", "#", None),
            ("the vms", "@", None),
        ] {
            let found = Question::new(text).matches(pattern).filter(|one| one.left == 0).and_then(|one| one.named);
            let expected = expected.map(|(name, kind)| Named { name: name.to_owned(), kind });
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn the_time_is_no_part_of_what_is_asked() {
        let question = Question::new("what happened in the last 6 hours?");
        assert_eq!(question.period(), Some(Period::Last(6 * 3600)));
        assert_eq!(question.matches("what happened").map(|one| one.left), Some(0));
        assert!(question.has("hapened") && !question.has("night"));
    }
}
