//! Reads server-sent events from bytes, however they are cut: pure, bounded.

/// The most bytes of one event.
const EVENT_BYTES: usize = 16 << 20;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerEvent {
    /// Its type; `message` where none is given.
    pub(crate) kind: String,
    /// Its lines of data, joined.
    pub(crate) data: String,
}

/// The state between two pieces.
#[derive(Default)]
pub(crate) struct Events {
    line: Vec<u8>,
    kind: String,
    data: String,
    has_data: bool,
    after_return: bool,
}

impl Events {
    /// Takes a piece and gives the events that it completes.
    ///
    /// # Errors
    /// An event that is too large; the stream cannot be used any more.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<ServerEvent>, String> {
        let mut events = Vec::new();
        for byte in bytes {
            let is_second = std::mem::take(&mut self.after_return) && *byte == b'\n';
            match byte {
                _ if is_second => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    events.extend(self.take(&String::from_utf8_lossy(&line)));
                }
                byte => self.line.push(*byte),
            }
            if self.line.len() + self.data.len() > EVENT_BYTES {
                return Err(format!("an event has more than {}", super::text::bytes(EVENT_BYTES)));
            }
        }
        Ok(events)
    }

    fn take(&mut self, line: &str) -> Option<ServerEvent> {
        if line.is_empty() {
            let kind = std::mem::take(&mut self.kind);
            let data = std::mem::take(&mut self.data);
            let kind = if kind.is_empty() { "message".to_owned() } else { kind };
            return std::mem::take(&mut self.has_data).then_some(ServerEvent { kind, data });
        }
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                self.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, data: &str) -> ServerEvent {
        ServerEvent { kind: kind.to_owned(), data: data.to_owned() }
    }

    const STREAM: &str = "\u{feff}event: endpoint\r\ndata: /messages?id=1\r\n\r\n: comment\n\ndata:one\ndata: two\nid: 7\n\nretry: 3\n\ndata\n\nevent: ä\rdata: ü\r\rdata: unfinished\n";

    fn expected() -> Vec<ServerEvent> {
        vec![event("endpoint", "/messages?id=1"), event("message", "one\ntwo"), event("message", ""), event("ä", "ü")]
    }

    #[test]
    fn reads_events() {
        assert_eq!(Events::default().feed(STREAM.as_bytes()), Ok(expected()));
    }

    proptest::proptest! {
        #[test]
        fn any_split_gives_the_same(cuts in proptest::collection::vec(0usize..STREAM.len(), 0..12)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            cuts.push(STREAM.len());
            let (mut events, mut found, mut from) = (Events::default(), Vec::new(), 0);
            for cut in cuts {
                found.extend(events.feed(&STREAM.as_bytes()[from..cut]).expect("events"));
                from = cut;
            }
            proptest::prop_assert_eq!(found, expected());
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut events = Events::default();
        let piece = vec![b'x'; 1 << 20];
        let refused = (0..20).any(|_| events.feed(&piece).is_err());
        assert!(refused);
    }
}
