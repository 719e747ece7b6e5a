//! The older HTTP transport, which servers of before 2025 speak: an event stream brings what the server says, and its first event tells
//! where to post what the client says.

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use runtime::http::sse::{Event, Sse, TooLarge};
use std::collections::VecDeque;

/// The most bytes of one event.
const EVENT_BYTES: usize = 16 << 20;

/// Why the connection cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct EventsError(String);

impl From<TooLarge> for EventsError {
    fn from(error: TooLarge) -> Self {
        Self(error.to_string())
    }
}

/// A connection.
pub(crate) struct EventsTransport {
    client: reqwest::Client,
    headers: HeaderMap,
    endpoint: reqwest::Url,
    stream: Option<BoxStream<'static, Result<bytes::Bytes, reqwest::Error>>>,
    events: Sse,
    waiting: VecDeque<RxJsonRpcMessage<RoleClient>>,
}

impl EventsTransport {
    /// Opens the stream and waits for the place to post to. The deadline is the caller's.
    ///
    /// # Errors
    /// Why there is no such stream.
    pub(crate) async fn open(client: reqwest::Client, url: &str, headers: HeaderMap) -> Result<Self, EventsError> {
        let response = client.get(url).headers(headers.clone()).header(ACCEPT, "text/event-stream").send().await;
        let response = response.map_err(|error| EventsError(told(error)))?;
        if !response.status().is_success() {
            return Err(EventsError(format!("the server answered {}", response.status())));
        }
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("text/event-stream") {
            return Err(EventsError("the server answered with no event stream".to_owned()));
        }
        let base = response.url().clone();
        let mut stream = response.bytes_stream().boxed();
        let mut events = Sse::new(EVENT_BYTES);
        let mut waiting = VecDeque::new();
        let mut endpoint = None;
        while endpoint.is_none() {
            let Some(piece) = stream.next().await else {
                return Err(EventsError("the event stream ended before it told where to post".to_owned()));
            };
            let piece = piece.map_err(|error| EventsError(told(error)))?;
            events.feed(&piece, |event| {
                if event.name == b"endpoint" && endpoint.is_none() {
                    endpoint = Some(resolve(&base, &String::from_utf8_lossy(event.data))?);
                } else {
                    waiting.extend(parse(event.data));
                }
                Ok::<(), EventsError>(())
            })?;
        }
        match endpoint {
            Some(endpoint) => Ok(Self { client, headers, endpoint, stream: Some(stream), events, waiting }),
            None => Err(EventsError("the event stream did not tell where to post".to_owned())),
        }
    }
}

/// The place to post to: of the same server, since the headers with keys go there.
fn resolve(base: &reqwest::Url, told: &str) -> Result<reqwest::Url, EventsError> {
    let endpoint =
        base.join(told.trim()).map_err(|_| EventsError("the server told no usable place to post to".to_owned()))?;
    if endpoint.origin() != base.origin() {
        return Err(EventsError("the server told a place to post to on another server".to_owned()));
    }
    Ok(endpoint)
}

/// A message; what is none is left out, as on the other transports.
fn parse(data: &[u8]) -> Option<RxJsonRpcMessage<RoleClient>> {
    serde_json::from_str(&String::from_utf8_lossy(data))
        .inspect_err(|error| tracing::debug!(%error, "an MCP server sent an event that is no message"))
        .ok()
}

fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut said = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(deeper) = source {
        said = format!("{said}: {deeper}");
        source = deeper.source();
    }
    said
}

impl Transport<RoleClient> for EventsTransport {
    type Error = EventsError;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let request = self.client.post(self.endpoint.clone()).headers(self.headers.clone()).json(&item);
        async move {
            let response = request.send().await.map_err(|error| EventsError(told(error)))?;
            if response.status().is_success() {
                // Read to its end, so that the connection can be used again.
                let _ = response.bytes().await;
                return Ok(());
            }
            Err(EventsError(format!("the server answered {}", response.status())))
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Some(message);
            }
            // Waiting here can be given up at any time: nothing is taken before a piece is there.
            let piece = self.stream.as_mut()?.next().await?;
            let waiting = &mut self.waiting;
            let read = piece.map_err(told).and_then(|piece| {
                let take = |event: Event<'_>| {
                    waiting.extend(parse(event.data));
                    Ok(())
                };
                self.events.feed(&piece, take).map_err(|error: TooLarge| error.to_string())
            });
            match read {
                Ok(()) => {}
                Err(error) => {
                    tracing::debug!(error, "an event stream of an MCP server broke");
                    self.stream = None;
                    return None;
                }
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.stream = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_go_to_the_same_server() {
        let base = reqwest::Url::parse("http://host:1/a/sse?key=1").expect("a URL");
        for (told, expected) in [
            ("/messages?id=1", Some("http://host:1/messages?id=1")),
            ("messages", Some("http://host:1/a/messages")),
            ("?session=2", Some("http://host:1/a/sse?session=2")),
            ("http://host:1/x", Some("http://host:1/x")),
            ("http://other:1/x", None),
            ("https://host:1/x", None),
            ("//evil/x", None),
            ("file:///etc/passwd", None),
        ] {
            assert_eq!(resolve(&base, told).ok().as_ref().map(reqwest::Url::as_str), expected, "{told}");
        }
    }
}
