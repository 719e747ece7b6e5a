//! A stream on which a client hears of changes: that of a session (GET), or the one that `subscriptions/listen` opens in the newer era.
//!
//! It looks at the published catalogue once a second, which costs a pointer's comparison: nobody has to know who listens.

use super::Choice;
use super::answer::{ALIVE, event};
use super::methods::software;
use crate::access_log::{Access, Outcome};
use crate::thread::Thread;
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use contract::BoxFuture;
use contract::caller::Caller;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// How often it is looked whether something changed.
const LOOK: Duration = Duration::from_secs(1);
/// Looks without news after which a sign of life is sent.
const SILENT_LOOKS: u32 = 10;
/// The most streams of this daemon at once.
const STREAMS: usize = 1024;

/// Counts one stream for as long as it is open.
pub(crate) struct Seat(Arc<AtomicUsize>);

impl Seat {
    /// Takes a seat; `None` where all are taken.
    pub(crate) fn take(taken: &Arc<AtomicUsize>) -> Option<Self> {
        let seat = Self(Arc::clone(taken));
        (taken.fetch_add(1, Ordering::Relaxed) < STREAMS).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a client of the newer era wants to hear of.
#[derive(Default, Deserialize)]
pub(crate) struct ListenParams {
    #[serde(default)]
    notifications: Wanted,
}

#[derive(Default, Deserialize)]
struct Wanted {
    #[serde(default, rename = "toolsListChanged")]
    tools: Option<bool>,
}

/// For whom it is opened.
pub(crate) enum For {
    /// A session of the older era.
    Session(String),
    /// The request with this id of the newer era, and what it wants.
    Subscription(String, ListenParams),
}

/// The stream.
pub(crate) struct ListenBody {
    thread: Rc<Thread>,
    caller: Caller,
    access: Rc<Access>,
    whom: For,
    choice: Choice,
    fingerprint: u64,
    silent: u32,
    waiting: VecDeque<Bytes>,
    look: BoxFuture<'static, ()>,
    ended: bool,
    _seat: Seat,
}

impl ListenBody {
    pub(crate) fn new(
        thread: Rc<Thread>,
        caller: Caller,
        access: Rc<Access>,
        whom: For,
        choice: Choice,
        seat: Seat,
    ) -> Self {
        let look = thread.gateway.ports.clock.pause(LOOK);
        let mut waiting = VecDeque::new();
        waiting.push_back(match &whom {
            // Something must come at once, so that the head goes out.
            For::Session(_) => ALIVE,
            For::Subscription(id, wanted) => {
                let accepted = if wanted.wants_tools() { json!({ "toolsListChanged": true }) } else { json!({}) };
                let params = json!({ "_meta": subscription(id), "notifications": accepted });
                event(&json!({ "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params }).to_string())
            }
        });
        let mut body = Self {
            thread,
            caller,
            access,
            whom,
            choice,
            fingerprint: 0,
            silent: 0,
            waiting,
            look,
            ended: false,
            _seat: seat,
        };
        body.fingerprint = body.newest();
        body
    }

    fn newest(&self) -> u64 {
        let gateway = &self.thread.gateway;
        let listing = gateway.shared.mcp().listing(&gateway.ports.tools, self.choice);
        listing.view(self.caller.scope).fingerprint
    }

    /// Whether the stream may go on: HAIA is not about to end, and the session still exists.
    fn may_go_on(&self) -> bool {
        let gateway = &self.thread.gateway;
        let now = gateway.ports.clock.monotonic();
        let timeout = gateway.shared.now().config.mcp.session_timeout.0;
        let has_place = match &self.whom {
            // Whoever listens uses the session.
            For::Session(id) => gateway.shared.mcp().sessions.touch(id, &self.caller.name, now, timeout),
            For::Subscription(..) => true,
        };
        has_place && !gateway.shared.is_draining()
    }

    fn look(&mut self) {
        if !self.may_go_on() {
            self.ended = true;
            if let For::Subscription(id, _) = &self.whom {
                let mut meta = subscription(id);
                meta["io.modelcontextprotocol/serverInfo"] = software();
                let result = json!({ "resultType": "complete", "_meta": meta });
                self.waiting.push_back(event(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)));
            }
            return;
        }
        self.tell_updates();
        let newest = self.newest();
        if newest != self.fingerprint {
            self.fingerprint = newest;
            if let Some(news) = self.changed() {
                self.silent = 0;
                self.waiting.push_back(news);
                return;
            }
        }
        self.silent += 1;
        if self.silent >= SILENT_LOOKS {
            self.silent = 0;
            self.waiting.push_back(ALIVE);
        }
    }

    /// Tells of resources that were updated.
    fn tell_updates(&mut self) {
        let For::Session(id) = &self.whom else { return };
        let gateway = &self.thread.gateway;
        let updates = &gateway.ports.tools.updates;
        for uri in gateway.shared.mcp().sessions.updated(id, |uri| updates.count(uri)) {
            let params = json!({ "uri": uri });
            let message = json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": params });
            self.waiting.push_back(event(&message.to_string()));
        }
    }

    fn changed(&self) -> Option<Bytes> {
        let mut message = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
        match &self.whom {
            For::Session(_) => {}
            For::Subscription(id, wanted) if wanted.wants_tools() => {
                message["params"] = json!({ "_meta": subscription(id) })
            }
            For::Subscription(..) => return None,
        }
        Some(event(&message.to_string()))
    }
}

impl ListenParams {
    fn wants_tools(&self) -> bool {
        self.notifications.tools == Some(true)
    }
}

/// Tells to which request of the client a notification belongs.
fn subscription(id: &str) -> Value {
    let id: Value = serde_json::from_str(id).unwrap_or_default();
    json!({ "io.modelcontextprotocol/subscriptionId": id })
}

impl MessageBody for ListenBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let body = self.get_mut();
        loop {
            if let Some(piece) = body.waiting.pop_front() {
                body.access.sent(piece.len());
                return Poll::Ready(Some(Ok(piece)));
            }
            if body.ended {
                body.access.ended(Outcome::Done);
                return Poll::Ready(None);
            }
            if body.look.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            body.look = body.thread.gateway.ports.clock.pause(LOOK);
            body.look();
        }
    }
}
