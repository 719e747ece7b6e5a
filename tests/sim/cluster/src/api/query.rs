//! The query of a request: names and values, percent-decoded. An unknown name is kept and ignored.

use super::{Answer, bad_parameter};

pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(&value.replace('+', " ")))
        };
        Self(pairs.map(pair).collect())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// From a request's body: JSON when it looks so, else a form.
    pub(crate) fn of_body(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        match serde_json::from_str::<serde_json::Value>(text.trim()) {
            Ok(serde_json::Value::Object(fields)) => Self(
                fields
                    .into_iter()
                    .map(|(name, value)| match value {
                        serde_json::Value::String(text) => (name, text),
                        serde_json::Value::Bool(on) => (name, u8::from(on).to_string()),
                        other => (name, other.to_string()),
                    })
                    .collect(),
            ),
            _ => Self::parse(text.trim()),
        }
    }

    /// All names that were given.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// An integer that is not negative.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Answer> {
        let parsed = |value: &str| value.parse::<i64>().ok().filter(|number| *number >= 0);
        match self.text(name) {
            None => Ok(None),
            Some(value) => match parsed(value) {
                Some(number) => Ok(Some(number)),
                None => Err(bad_parameter(name, &format!("type check ('integer') failed - got '{value}'"))),
            },
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| matches!(value, "1" | "on" | "yes" | "true"))
    }
}

/// Percent-decoded; what is no sequence stays as it is.
pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded() {
        let query = Query::parse("disk=%2Fdev%2Fsda&limit=10&errors=1&odd=%zz%&text=a+b");
        assert_eq!(query.text("disk"), Some("/dev/sda"));
        assert_eq!(query.number("limit"), Ok(Some(10)));
        assert!(query.flag("errors") && !query.flag("limits"));
        assert_eq!(query.text("odd"), Some("%zz%"));
        assert_eq!(query.text("text"), Some("a b"));
        assert!(query.number("disk").is_err());
        let json = Query::of_body(br#"{"target":"pve2","online":true,"timeout":60}"#);
        assert!(json.text("target") == Some("pve2") && json.flag("online") && json.number("timeout") == Ok(Some(60)));
        assert_eq!(Query::of_body(b"snapname=a%20b&vmstate=1").text("snapname"), Some("a b"));
        assert_eq!(decoded("UPID%3Apve1"), "UPID:pve1");
    }
}
