//! A port to an actor that starts later: two actors that tell each other things cannot both be started first.
//!
//! Until it is connected, what is sent is refused as to an actor that has ended, and counted; nothing waits for the connection.

use crate::letter::Envelope;
use crate::mailbox::{Deliver, Delivery, Port};
use crate::stats::Stats;
use contract::message::{Fault, Msg};
use std::sync::{Arc, OnceLock};

/// The end that is connected once the actor runs.
pub struct Late<M: Msg> {
    name: &'static str,
    port: Arc<OnceLock<Port<M>>>,
}

impl<M: Msg> Late<M> {
    /// A port to the actor of that name, to be connected.
    pub fn port(name: &'static str) -> (Port<M>, Self) {
        let port = Arc::new(OnceLock::new());
        let way = Way { port: Arc::clone(&port), stats: Stats::new(name, usize::MAX) };
        (Port::by(Arc::new(way)), Self { name, port })
    }

    /// Connects it, once. A second connection is a mistake of the wiring and is told in the log.
    pub fn connect(self, port: Port<M>) {
        if self.port.set(port).is_err() {
            tracing::error!(actor = self.name, message = M::NAME, "a late port was connected twice");
        }
    }
}

struct Way<M: Msg> {
    port: Arc<OnceLock<Port<M>>>,
    stats: Stats,
}

impl<M: Msg> Deliver<M> for Way<M> {
    fn deliver(&self, envelope: Envelope<M>) -> Delivery {
        match self.port.get() {
            Some(port) => port.deliver(envelope),
            None => Delivery::Refused(Fault::Closed { actor: self.stats.name() }),
        }
    }

    fn stats(&self) -> &Stats {
        self.port.get().map_or(&self.stats, Port::stats)
    }
}
