//! Which alerts a silence is about: matchers as Alertmanager writes them, `alertname="DiskFull"`. Pure.

use serde_json::{Value, json};
use std::fmt;

/// The longest value, in characters.
const LONGEST: usize = 200;

/// How a label's value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    Is,
    IsNot,
    Fits,
    FitsNot,
}

impl How {
    /// The longer signs first.
    const ALL: [(How, &'static str); 4] = [(How::IsNot, "!="), (How::FitsNot, "!~"), (How::Fits, "=~"), (How::Is, "=")];

    fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(how, _)| *how == self).map_or("=", |(_, sign)| sign)
    }
}

/// A condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Matcher {
    name: String,
    how: How,
    value: String,
}

impl Matcher {
    /// Reads `name="value"`, with `=`, `!=`, `=~` or `!~`; the quotes may be left out.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!("{text:?} is no matcher: {why}; write for example alertname=\"DiskFull\" or instance=~\"nas.*\"")
        };
        let text_of = text.trim();
        let at = text_of.find(['=', '!']).ok_or_else(|| wrong("it compares nothing"))?;
        let (name, rest) = (text_of[..at].trim_end(), &text_of[at..]);
        let (how, sign) = How::ALL
            .into_iter()
            .find(|(_, sign)| rest.starts_with(sign))
            .ok_or_else(|| wrong("its sign is none of =, !=, =~, !~"))?;
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        if !name.starts_with(first) || !name.chars().all(|c| first(c) || c.is_ascii_digit()) {
            return Err(wrong("its label is no name"));
        }
        let value = unquoted(rest[sign.len()..].trim()).ok_or_else(|| wrong("its quotes do not fit"))?;
        if value.chars().count() > LONGEST || value.chars().any(char::is_control) {
            return Err(wrong("its value is too long, or holds characters that no label has"));
        }
        Ok(Self { name: name.to_owned(), how, value })
    }

    /// Whether it narrows what it matches to something: a silence needs at least one that does.
    pub(super) fn is_narrow(&self) -> bool {
        match self.how {
            How::Is => !self.value.is_empty(),
            How::Fits => self.value.chars().any(char::is_alphanumeric),
            How::IsNot | How::FitsNot => false,
        }
    }

    /// Whether it is a pattern.
    pub(super) fn is_pattern(&self) -> bool {
        matches!(self.how, How::Fits | How::FitsNot)
    }

    /// The alerts' name that it asks for.
    pub(super) fn alert_name(&self) -> Option<&str> {
        (self.name == "alertname" && self.how == How::Is).then_some(self.value.as_str())
    }

    /// As the API takes it.
    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.name, "value": self.value, "isRegex": self.is_pattern(), "isEqual": matches!(self.how, How::Is | How::Fits),
        })
    }

    /// Reads it as the API gives it; `None` for what it is not.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let how = match (value["isRegex"].as_bool().unwrap_or(false), value["isEqual"].as_bool().unwrap_or(true)) {
            (false, true) => How::Is,
            (false, false) => How::IsNot,
            (true, true) => How::Fits,
            (true, false) => How::FitsNot,
        };
        Some(Self { name: value["name"].as_str()?.to_owned(), how, value: value["value"].as_str()?.to_owned() })
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "{}{}\"{value}\"", self.name, self.how.sign())
    }
}

/// A value without its quotes; one without quotes holds none.
fn unquoted(text: &str) -> Option<String> {
    let Some(inner) = text.strip_prefix('"') else {
        return (!text.contains('"')).then(|| text.to_owned());
    };
    let (mut value, mut characters) = (String::new(), inner.chars());
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(value),
            '\\' => match characters.next()? {
                escaped @ ('"' | '\\') => value.push(escaped),
                // As in a pattern: `\.` stays as it is.
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn matchers_are_read_and_written() {
        for (text, written, is_narrow) in [
            (r#"alertname="DiskFull""#, r#"alertname="DiskFull""#, true),
            (" severity = critical ", r#"severity="critical""#, true),
            (r#"instance=~"nas.*""#, r#"instance=~"nas.*""#, true),
            (r#"job!="a\"b\\c""#, r#"job!="a\"b\\c""#, false),
            (r#"a!~"x""#, r#"a!~"x""#, false),
            (r#"a=~".*""#, r#"a=~".*""#, false),
            ("a=", r#"a="""#, false),
        ] {
            let matcher = Matcher::parse(text).unwrap();
            assert_eq!((matcher.to_string().as_str(), matcher.is_narrow()), (written, is_narrow), "{text}");
            assert_eq!(Matcher::read(&matcher.json()), Some(matcher));
        }
        for wrong in [
            "",
            "alertname",
            "=x",
            "1a=x",
            "a b=x",
            r#"a="x"#,
            r#"a="x"y"#,
            r#"a=x"y""#,
            "a!x",
            "a=x\u{7}y",
            "{a=\"b\"}",
        ] {
            assert!(Matcher::parse(wrong).unwrap_err().contains("is no matcher"), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_reads_the_same(value in "[^\\p{C}]{0,40}", how in 0usize..4) {
            let matcher = Matcher { name: "a_1".to_owned(), how: How::ALL[how].0, value };
            // A lone backslash before something else is written twice, and read once.
            prop_assert_eq!(Matcher::parse(&matcher.to_string()).unwrap(), matcher);
        }

        #[test]
        fn nothing_crashes(text in ".{0,60}") {
            let _ = Matcher::parse(&text);
        }
    }
}
