//! Keeps the first events of an answer until its reader comes: a call counts as begun only when something of substance arrived, and the
//! reader is given the answer only then.

use bytes::Bytes;
use contract::chat::{Event, EventSink, FinishReason, Head, OpaquePart, Relayed, Stop, Usage};

/// An event that owns its text.
enum Kept {
    Head(Head),
    Text(String),
    Thinking(String),
    Refusal(String),
    ToolStart { index: u32, id: Option<String>, name: String },
    ToolArguments { index: u32, json: String },
    ToolEnd { index: u32 },
    Opaque(OpaquePart),
    Usage(Usage),
    Stopped(Stop),
    Finish(FinishReason),
    Relay(Bytes, Relayed),
    RelayWhole(Bytes),
}

/// Events on hold.
pub struct Buffer {
    kept: Vec<Kept>,
    relays: bool,
    relays_usage: bool,
    substance: bool,
}

impl Buffer {
    /// A buffer that answers for its reader whether verbatim bytes are of use.
    pub fn new(relays: bool, relays_usage: bool) -> Self {
        Self { kept: Vec::new(), relays, relays_usage, substance: false }
    }

    /// Whether something came that the person asked for: text, thinking, a call, or the end.
    pub fn has_substance(&self) -> bool {
        self.substance
    }

    /// Whether nothing is on hold.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Hands everything over, in order.
    pub fn replay(&mut self, sink: &mut dyn EventSink) {
        for kept in self.kept.drain(..) {
            match kept {
                Kept::Head(head) => sink.event(Event::Head(head)),
                Kept::Text(text) => sink.event(Event::Text(&text)),
                Kept::Thinking(text) => sink.event(Event::Thinking(&text)),
                Kept::Refusal(text) => sink.event(Event::Refusal(&text)),
                Kept::ToolStart { index, id, name } => {
                    sink.event(Event::ToolStart { index, id: id.as_deref(), name: &name });
                }
                Kept::ToolArguments { index, json } => sink.event(Event::ToolArguments { index, json: &json }),
                Kept::ToolEnd { index } => sink.event(Event::ToolEnd { index }),
                Kept::Opaque(part) => sink.event(Event::Opaque(part)),
                Kept::Usage(usage) => sink.event(Event::Usage(usage)),
                Kept::Stopped(stop) => sink.event(Event::Stopped(stop)),
                Kept::Finish(reason) => sink.event(Event::Finish(reason)),
                Kept::Relay(bytes, holds) => sink.relay(bytes, holds),
                Kept::RelayWhole(body) => sink.relay_whole(body),
            }
        }
        self.kept = Vec::new();
    }
}

impl EventSink for Buffer {
    fn event(&mut self, event: Event<'_>) {
        let kept = match event {
            Event::Head(head) => Kept::Head(head),
            Event::Text(text) => Kept::Text(text.to_owned()),
            Event::Thinking(text) => Kept::Thinking(text.to_owned()),
            Event::Refusal(text) => Kept::Refusal(text.to_owned()),
            Event::ToolStart { index, id, name } => {
                Kept::ToolStart { index, id: id.map(str::to_owned), name: name.to_owned() }
            }
            Event::ToolArguments { index, json } => Kept::ToolArguments { index, json: json.to_owned() },
            Event::ToolEnd { index } => Kept::ToolEnd { index },
            Event::Opaque(part) => Kept::Opaque(part),
            Event::Usage(usage) => Kept::Usage(usage),
            Event::Stopped(stop) => Kept::Stopped(stop),
            Event::Finish(reason) => Kept::Finish(reason),
            // A provider has no status of HAIA's tools to tell.
            _ => return,
        };
        self.substance |= !matches!(kept, Kept::Head(_) | Kept::Usage(_));
        self.kept.push(kept);
    }

    fn relay(&mut self, bytes: Bytes, holds: Relayed) {
        self.substance |= holds.content || holds.finish;
        self.kept.push(Kept::Relay(bytes, holds));
    }

    fn relay_whole(&mut self, body: Bytes) {
        self.substance = true;
        self.kept.push(Kept::RelayWhole(body));
    }

    fn relays(&self) -> bool {
        self.relays
    }

    fn relays_usage(&self) -> bool {
        self.relays_usage
    }
}
