//! The exchange with a provider, with the calling thread's connections: a request goes out, and its answer begins or fails.
//!
//! Who is asked after whom is in [`attempts`], what happens per chunk in [`stream`]; what the bytes mean is the formats' business.

mod account;
mod attempts;
mod buffer;
mod direct;
mod endpoints;
mod estimate;
mod gathering;
mod passing;
mod pictures;
mod proofs;
mod stream;
mod thinking;
mod upload;
mod whole_events;

pub(crate) use endpoints::{client_of, unreachable};
pub use proofs::Proofs;

use crate::formats::{Decoding, Encode, ErrorAnswer, ModelSettings, Thoughts};
use crate::learned::{Learned, Lesson};
use crate::meter::Meter;
use crate::outcome::{CallFailed, CallRecovered};
use crate::provider::{Model, Provider};
use crate::shard::GrantCall;
use crate::standing::Manner;
use account::{Account, Ledger};
use actix_http::Payload;
use actix_http::error::PayloadError;
use attempts::Missed;
use buffer::Buffer;
use bytes::{Bytes, BytesMut};
use contract::LocalBoxFuture;
use contract::chat::EventStream;
use contract::clock::SharedClock;
use contract::failure::{Failure, FailureClass};
use contract::ids::SharedIds;
use contract::provider::{Called, ModelAnswer, ModelCall, Models, Target};
use contract::status::Gauges;
use contract::store::SharedAudit;
use endpoints::Endpoints;
use futures_util::{Stream, StreamExt as _};
use gathering::Gathering;
use pictures::Pictures;
use proofs::Whose;
use runtime::http::Answer;
use runtime::{Port, TaskSet};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use stream::{Idle, ProviderStream, WholeAnswer};
use thinking::Thinking;

/// How long the thread's own shard may take.
const GRANT_DEADLINE: Duration = Duration::from_secs(5);
/// The largest whole answer, and the largest error body that is read.
const MAX_ANSWER: usize = 64 << 20;
const MAX_ERROR: usize = 256 << 10;
/// How long a refusal's body may take.
const ERROR_DEADLINE: Duration = Duration::from_secs(5);
/// The same where another provider could answer instead, and only the body tells whether it may.
const UNSETTLED_ERROR_DEADLINE: Duration = Duration::from_secs(2);
/// The same where another provider could answer instead, and the status alone says enough.
const HASTY_ERROR_DEADLINE: Duration = Duration::from_millis(100);
/// Finished connections whose rest is being read.
const RESTS: usize = 256;

/// What an exchange needs of others.
#[derive(Clone)]
pub struct ExchangePorts {
    /// The shard of this thread.
    pub grant: Port<GrantCall>,
    /// Told when a provider's state gets worse.
    pub failed: Port<CallFailed>,
    /// Told when a provider works again.
    pub recovered: Port<CallRecovered>,
    /// The audit trail.
    pub audit: SharedAudit,
    /// The accounts.
    pub meter: Arc<Meter>,
    /// Counts connections.
    pub gauges: Arc<Gauges>,
    /// Time.
    pub clock: SharedClock,
    /// Chance, for pauses that spread, and ids for calls that have none.
    pub ids: SharedIds,
    /// Proofs of thinking, and thinking, that wait for clients to return; one for the whole process.
    pub proofs: Arc<Proofs>,
}

/// Calls models with this thread's connections.
#[derive(Clone)]
pub struct Exchange(Rc<Inner>);

struct Inner {
    grant: Port<GrantCall>,
    ledger: Ledger,
    clock: SharedClock,
    endpoints: Endpoints,
    rests: Rc<TaskSet>,
    proofs: Arc<Proofs>,
    pictures: Pictures,
}

impl Exchange {
    /// An exchange for the calling thread.
    pub fn new(ports: ExchangePorts) -> Self {
        let ExchangePorts { grant, failed, recovered, audit, meter, gauges, clock, ids, proofs } = ports;
        let ledger = Ledger { clock: Arc::clone(&clock), ids, audit, meter, gauges, failed, recovered };
        Self(Rc::new(Inner {
            grant,
            ledger,
            clock,
            endpoints: Endpoints::default(),
            rests: Rc::new(TaskSet::new(RESTS)),
            proofs,
            pictures: Pictures::default(),
        }))
    }
}

impl Models for Exchange {
    fn call(&self, call: ModelCall) -> LocalBoxFuture<'static, Result<Called, Failure>> {
        let inner = Rc::clone(&self.0);
        Box::pin(async move { inner.call(call).await })
    }
}

impl Inner {
    /// Under whose name what a client cannot keep is kept, if the provider `wants` it: of the agent's rounds the agent keeps it itself.
    fn whose(&self, call: &ModelCall, model: &Model, wants: bool) -> Option<Whose> {
        let is_kept = wants && matches!(call.target, Target::Model { .. });
        is_kept.then(|| Whose { who: Arc::clone(&call.caller.name), model: Arc::clone(&model.id) })
    }

    /// One exchange with one model, heeding what was learned of it.
    async fn exchange(
        &self,
        call: &ModelCall,
        provider: &Arc<Provider>,
        model: &Arc<Model>,
        learned: Learned,
        is_last: bool,
    ) -> Result<ModelAnswer, Missed> {
        let pictured = match provider.config.fetch_pictures {
            true => {
                self.pictures.put_in(provider.format, &call.body, &self.clock).await.map_err(Failure::particular)?
            }
            false => None,
        };
        let body = pictured.as_ref().unwrap_or(&call.body);
        // The last of a route is worth a wait; before it, the next one answers sooner.
        let places =
            provider.places(model, &call.caller.account(), is_last, &self.clock).await.map_err(Missed::Busy)?;
        let changed: ModelSettings;
        let context_loaded = model.standing.context();
        let settings = if learned.is_empty() && context_loaded == 0 {
            &model.settings
        } else {
            changed = ModelSettings { context_loaded, ..learned.applied(&model.settings) };
            &changed
        };
        let wants_back = match provider.format.keeps_proofs() {
            true => true,
            false => provider.format.keeps_thinking() && settings.reasoning_back,
        };
        // What was refused as a proof is not sent again: without it the model does not think on, and answers.
        let wants_back = wants_back && !learned.has(Lesson::ProofRefused);
        let whose = self.whose(call, model, wants_back);
        let returned =
            whose.as_ref().and_then(|whose| self.proofs.put_back(whose, provider.format, body, self.clock.monotonic()));
        let body = returned.as_ref().unwrap_or(body);
        let encode = Encode { body, model: &model.name, stream: call.stream, settings };
        // What this format cannot say the next one of the route may.
        let encoded = provider.format.encode(&encode).map_err(Failure::particular)?;
        model.standing.has_context(encoded.context);
        let mut account =
            Account::open(&self.ledger, provider, model, &call.request_id, &call.caller, &encoded.body, places);
        account.manner = Manner::of(call.stream);
        match self.converse(call, provider, model, encoded.body, account, is_last).await {
            Ok(events) => Ok(ModelAnswer {
                events,
                provider: Arc::clone(&provider.name),
                model: Arc::clone(&model.name),
                notices: encoded.notices,
            }),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Sends the request and waits until the answer has begun. Every way out settles the account.
    async fn converse(
        &self,
        call: &ModelCall,
        provider: &Arc<Provider>,
        model: &Arc<Model>,
        body: Bytes,
        mut account: Account,
        is_last: bool,
    ) -> Result<Pin<Box<dyn EventStream>>, Failure> {
        let whose = self.whose(call, model, provider.format.keeps_thinking() && thinking::may_follow(&body));
        // A whole answer begins when it is complete.
        let (limit, what) = match call.stream {
            true => (provider.config.first_token_timeout.0, "begin to answer"),
            false => (provider.config.answer_timeout().0, "answer"),
        };
        let mut deadline = self.clock.patience(limit);
        let late = || {
            let message = format!("{} did not {what} within {} s", provider.name, limit.as_secs_f64());
            Failure::new(FailureClass::Timeout, message)
        };
        let Answer { head, body: mut arriving } = tokio::select! {
            biased;
            sent = self.endpoints.send(provider, model, body, call.stream) => match sent {
                Ok(response) => response,
                Err(failure) => return Err(account.refused(failure)),
            },
            () = &mut deadline => return Err(account.refused(late())),
        };
        if !(200..300).contains(&head.status()) {
            let tells_wait = ["retry-after", "retry-after-ms"].iter().any(|name| head.header(name).is_some());
            let patience = patience(head.status(), tells_wait, is_last);
            let body = read(&mut arriving, MAX_ERROR, self.clock.pause(patience.min(limit))).await.unwrap_or_default();
            let headers: Vec<(&str, &[u8])> = head.headers().collect();
            return Err(account.refused(self.refusal(provider, head.status(), &headers, &body)));
        }
        if let Some(coding) = head.coding() {
            let message =
                format!("{} sent its answer compressed ({coding}), though nobody asked for that", provider.name);
            return Err(account.refused(Failure::new(FailureClass::ServerError, message).with_retry(Some(false))));
        }
        let thoughts =
            whose.map(|whose| Rc::new(Thinking::new(&self.proofs, whose, self.clock.monotonic())) as Rc<dyn Thoughts>);
        let decoding = Decoding { model: Arc::clone(&model.name), thoughts };
        let gathering = self
            .whose(call, model, provider.format.keeps_proofs())
            .map(|whose| Gathering::new(&self.proofs, &self.ledger.ids, whose, self.clock.monotonic()));
        if call.stream {
            drop(head);
            let mut stream = ProviderStream {
                buffer: Buffer::new(call.relay, call.relay_usage),
                body: Some(Payload::Stream { payload: Box::pin(arriving) }),
                decoder: match gathering {
                    Some(gathering) => gathering.around(provider.format.stream_decoder(&decoding)),
                    None => provider.format.stream_decoder(&decoding),
                },
                account,
                idle: Idle::new(&self.clock, provider.config.idle_timeout.0),
                begun: false,
                rests: Rc::clone(&self.rests),
                provider: Arc::clone(&provider.name),
            };
            if !stream.begun_before(&mut deadline).await? {
                return Err(stream.account.refused(late()));
            }
            stream.account.answered();
            return Ok(Box::pin(stream));
        }
        let body = match read_answer(&mut arriving, deadline, &self.clock, provider.config.idle_timeout.0).await {
            Ok(body) => body,
            Err(Unread::Late) => return Err(account.refused(late())),
            Err(Unread::Silent) => {
                return Err(account.refused(stream::silent(&provider.name, provider.config.idle_timeout.0)));
            }
            Err(Unread::TooLong) => {
                let message = format!("the answer of {} is larger than {} MiB", provider.name, MAX_ANSWER >> 20);
                return Err(account.refused(Failure::new(FailureClass::ServerError, message)));
            }
            Err(Unread::Broken) => {
                let message = format!("the connection to {} broke in the middle of its answer", provider.name);
                return Err(account.refused(Failure::new(FailureClass::Truncated, message)));
            }
        };
        account.received(body.len());
        let mut buffer = Buffer::new(call.relay, true);
        let read = account.counting(&mut buffer, |sink| match gathering {
            Some(mut gathering) => provider.format.decode_whole(&body, &decoding, &mut gathering.sink(sink)),
            None => provider.format.decode_whole(&body, &decoding, sink),
        });
        match read {
            Ok(()) => {
                account.complete_whole();
                Ok(Box::pin(WholeAnswer(buffer)))
            }
            Err(failure) => Err(account.refused(failure)),
        }
    }

    fn refusal(&self, provider: &Provider, status: u16, headers: &[(&str, &[u8])], body: &[u8]) -> Failure {
        let failure = provider.format.failure(&ErrorAnswer { status, headers, body, now: self.clock.wall() });
        // A provider that says whether to try again knows better than its status.
        let said = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-should-retry"));
        let said = said.and_then(|(_, value)| match *value {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        });
        let retry = said.or(failure.retry);
        failure.with_retry(retry)
    }
}

/// How long to wait for the body of a refusal. What a 400 means is in its body: a key that is refused, a prompt that is too long for this model
/// only, a request that is wrong everywhere; and so is the wait of a 429 without a header that tells it.
fn patience(status: u16, tells_wait: bool, is_last: bool) -> Duration {
    match status {
        _ if is_last => ERROR_DEADLINE,
        401..=404 | 408 | 500.. => HASTY_ERROR_DEADLINE,
        429 if tells_wait => HASTY_ERROR_DEADLINE,
        _ => UNSETTLED_ERROR_DEADLINE,
    }
}

/// Why a body could not be read.
enum Unread {
    Late,
    Silent,
    TooLong,
    Broken,
}

/// Reads a whole body to its end, so that the connection goes back to the pool.
async fn read(
    body: &mut (impl Stream<Item = Result<Bytes, PayloadError>> + Unpin),
    limit: usize,
    deadline: contract::BoxFuture<'static, ()>,
) -> Result<Bytes, Unread> {
    read_pieces(body, limit, deadline, None).await
}

/// Reads a whole answer to its end. Once it has begun to arrive, its pieces may be no further apart than those of a stream.
async fn read_answer(
    body: &mut (impl Stream<Item = Result<Bytes, PayloadError>> + Unpin),
    deadline: LocalBoxFuture<'static, ()>,
    clock: &SharedClock,
    silence: Duration,
) -> Result<Bytes, Unread> {
    read_pieces(body, MAX_ANSWER, deadline, Some((clock, silence))).await
}

async fn read_pieces(
    body: &mut (impl Stream<Item = Result<Bytes, PayloadError>> + Unpin),
    limit: usize,
    mut deadline: LocalBoxFuture<'static, ()>,
    silence: Option<(&SharedClock, Duration)>,
) -> Result<Bytes, Unread> {
    // Set up when it is first waited for: most answers come in one piece.
    let mut idle: Option<Idle> = None;
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    loop {
        let piece = tokio::select! {
            biased;
            piece = body.next() => piece,
            () = &mut deadline => return Err(Unread::Late),
            // Some servers send the head at once and work then: before the first piece the deadline alone counts.
            () = std::future::poll_fn(|context| match silence {
                Some((clock, limit)) if !first.is_empty() || !more.is_empty() => {
                    idle.get_or_insert_with(|| Idle::new(clock, limit)).poll_silent(context)
                }
                _ => Poll::Pending,
            }) => return Err(Unread::Silent),
        };
        if let Some(idle) = &mut idle {
            idle.touch();
        }
        match piece {
            None if more.is_empty() => return Ok(first),
            None => return Ok(more.freeze()),
            Some(Err(_)) => return Err(Unread::Broken),
            Some(Ok(piece)) if first.len() + more.len() + piece.len() > limit => return Err(Unread::TooLong),
            // An answer of one piece is not copied.
            Some(Ok(piece)) if first.is_empty() && more.is_empty() => first = piece,
            Some(Ok(piece)) => {
                if more.is_empty() {
                    more.extend_from_slice(&std::mem::take(&mut first));
                }
                more.extend_from_slice(&piece);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn haste_is_only_where_the_status_says_enough() {
        for (status, tells_wait, expected) in [
            (400, false, UNSETTLED_ERROR_DEADLINE),
            (413, false, UNSETTLED_ERROR_DEADLINE),
            (422, true, UNSETTLED_ERROR_DEADLINE),
            (429, false, UNSETTLED_ERROR_DEADLINE),
            (429, true, HASTY_ERROR_DEADLINE),
            (401, false, HASTY_ERROR_DEADLINE),
            (404, false, HASTY_ERROR_DEADLINE),
            (503, false, HASTY_ERROR_DEADLINE),
            (529, false, HASTY_ERROR_DEADLINE),
        ] {
            assert_eq!(patience(status, tells_wait, false), expected, "{status}");
            assert_eq!(patience(status, tells_wait, true), ERROR_DEADLINE, "{status}");
        }
    }
}
