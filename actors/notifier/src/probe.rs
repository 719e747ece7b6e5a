//! Whether a channel would take a message now: it asks who is there and whether HAIA is let in. Nobody gets a message by it, and nothing is
//! kept.

use crate::channels::channel;
use crate::config::ChannelConfig;
use crate::wire::{OpenTransport, WireError};
use contract::clock::SharedClock;
use std::time::Duration;

/// How long one question may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Asks the receiver of a channel. What was seen, in a few words.
///
/// # Errors
/// Why a message would not arrive, for people, without secrets.
pub async fn probe(config: &ChannelConfig, open: &OpenTransport, clock: &SharedClock) -> Result<String, String> {
    let (channel, transport) = (channel(config), open(config));
    let mut seen = Vec::new();
    for check in channel.checks() {
        let answered = tokio::select! {
            answered = transport.send(check.dispatch) => answered,
            () = clock.pause(DEADLINE) => Err(WireError::Lost(format!("no answer within {} s", DEADLINE.as_secs()))),
        };
        let found = match answered {
            Err(WireError::NotSent(why) | WireError::Lost(why)) => Err(why),
            Ok(answer) => (check.seen)(&answer).ok_or_else(|| {
                let told = channel.classify(&answer).why().map(str::to_owned);
                told.unwrap_or_else(|| format!("it answered {}, as this kind of receiver does not", answer.status))
            }),
        };
        seen.push(found.map_err(|why| channel.scrubbed(&why))?);
    }
    Ok(seen.join(", "))
}
