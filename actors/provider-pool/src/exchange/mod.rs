//! The exchange with providers: goes along a call's candidates until one begins to answer, with the calling thread's connections.
//!
//! What happens per chunk is in [`stream`]; who may answer is the pool's business; what the bytes mean is the formats'.

mod account;
mod buffer;
mod endpoints;
mod stream;

pub(crate) use endpoints::{client_of, unreachable};

use crate::formats::{Decoding, Encode, ErrorAnswer, ModelSettings};
use crate::outcome::{CallFailed, CallRecovered};
use crate::provider::{Model, Provider};
use crate::shard::{Grant, GrantCall};
use crate::table::{Candidate, merge};
use account::{Account, Ledger};
use actix_http::HttpMessage as _;
use awc::http::header::{CONTENT_ENCODING, HeaderMap};
use buffer::Buffer;
use bytes::{Bytes, BytesMut};
use contract::LocalBoxFuture;
use contract::chat::EventStream;
use contract::clock::SharedClock;
use contract::failure::{Failure, FailureClass};
use contract::provider::{Called, ModelAnswer, ModelCall, Models};
use contract::status::Gauges;
use contract::store::SharedAudit;
use endpoints::Endpoints;
use futures_util::StreamExt as _;
use runtime::{Port, TaskSet};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use stream::{Idle, ProviderStream, WholeAnswer};

/// How long the thread's own shard may take.
const GRANT_DEADLINE: Duration = Duration::from_secs(5);
/// How long a call may wait for a place at a provider that is busy with others.
const PLACE_DEADLINE: Duration = Duration::from_secs(30);
/// The largest whole answer, and the largest error body that is read.
const MAX_ANSWER: usize = 64 << 20;
const MAX_ERROR: usize = 256 << 10;
/// How long a refusal's body may take: the status alone says enough.
const ERROR_DEADLINE: Duration = Duration::from_secs(5);
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
    /// Counts connections.
    pub gauges: Arc<Gauges>,
    /// Time.
    pub clock: SharedClock,
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
}

impl Exchange {
    /// An exchange for the calling thread.
    pub fn new(ports: ExchangePorts) -> Self {
        let ExchangePorts { grant, failed, recovered, audit, gauges, clock } = ports;
        let ledger = Ledger { clock: Arc::clone(&clock), audit, gauges, failed, recovered };
        Self(Rc::new(Inner {
            grant,
            ledger,
            clock,
            endpoints: Endpoints::default(),
            rests: Rc::new(TaskSet::new(RESTS)),
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
    async fn call(&self, call: ModelCall) -> Result<Called, Failure> {
        let Grant(candidates) = self.grant.ask(GrantCall { target: call.target.clone() }, GRANT_DEADLINE).await??;
        let mut failures: Vec<Failure> = Vec::new();
        let last = candidates.iter().rposition(|candidate| matches!(candidate, Candidate::Model { .. }));
        for (at, candidate) in candidates.into_iter().enumerate() {
            let (provider, model) = match candidate {
                Candidate::Model { provider, model } => (provider, model),
                Candidate::Builtin => return Ok(Called::Builtin { failures }),
            };
            let failure = match self.attempt(&call, &provider, &model, last == Some(at)).await {
                Ok(answer) => return Ok(Called::Stream(answer)),
                Err(failure) => failure.from_provider(Arc::clone(&provider.name)),
            };
            tracing::info!(request_id = %call.request_id, model = %model.id, class = failure.class.as_str(), reason = %failure, "model did not answer");
            let goes_on = failure.class.may_fail_over();
            failures.push(failure);
            if !goes_on {
                break;
            }
        }
        Err(merge(failures).unwrap_or_else(|| Failure::new(FailureClass::NotFound, "the route has no entry")))
    }

    /// One candidate; a second time without tools if it turns out that the model takes none.
    async fn attempt(
        &self,
        call: &ModelCall,
        provider: &Arc<Provider>,
        model: &Arc<Model>,
        is_last: bool,
    ) -> Result<ModelAnswer, Failure> {
        let knew = model.refuses_tools();
        let first = self.exchange(call, provider, model, is_last).await;
        match first {
            Err(failure) if !knew && failure.code.as_deref() == Some("tools_unsupported") => {
                model.refuse_tools();
                self.exchange(call, provider, model, is_last).await
            }
            outcome => outcome,
        }
    }

    async fn exchange(
        &self,
        call: &ModelCall,
        provider: &Arc<Provider>,
        model: &Arc<Model>,
        is_last: bool,
    ) -> Result<ModelAnswer, Failure> {
        // The last of a route is worth a wait; before it, the next one answers sooner.
        let permit = provider.place(is_last.then(|| self.clock.pause(PLACE_DEADLINE))).await?;
        let without_tools: ModelSettings;
        let settings = if model.refuses_tools() {
            without_tools = ModelSettings { tools: Some(false), ..model.settings.clone() };
            &without_tools
        } else {
            &model.settings
        };
        let encode = Encode { body: &call.body, model: &model.name, stream: call.stream, settings };
        let encoded = provider.format.encode(&encode)?;
        let account =
            Account::open(&self.ledger, provider, model, &call.request_id, &call.caller, &encoded.body, permit);
        match self.converse(call, provider, model, encoded.body, account).await {
            Ok(events) => Ok(ModelAnswer {
                events,
                provider: Arc::clone(&provider.name),
                model: Arc::clone(&model.name),
                notices: encoded.notices,
            }),
            Err(failure) => Err(failure),
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
    ) -> Result<Pin<Box<dyn EventStream>>, Failure> {
        let limit = provider.config.first_token_timeout.0;
        let mut deadline = self.clock.pause(limit);
        let late = || {
            let message = format!("{} did not begin to answer within {} s", provider.name, limit.as_secs_f64());
            Failure::new(FailureClass::Timeout, message)
        };
        let mut response = tokio::select! {
            biased;
            sent = self.endpoints.send(provider, model, body, &self.clock) => match sent {
                Ok(response) => response,
                Err(failure) => return Err(account.refused(failure)),
            },
            () = &mut deadline => return Err(account.refused(late())),
        };
        if !response.status().is_success() {
            let status = response.status().as_u16();
            let headers = response.headers().clone();
            let body =
                read(&mut response, MAX_ERROR, self.clock.pause(ERROR_DEADLINE.min(limit))).await.unwrap_or_default();
            return Err(account.refused(self.refusal(provider, status, &headers, &body)));
        }
        if let Some(coding) = response.headers().get(CONTENT_ENCODING).filter(|coding| *coding != "identity") {
            let coding = coding.to_str().unwrap_or("unknown");
            let message =
                format!("{} sent its answer compressed ({coding}), though nobody asked for that", provider.name);
            return Err(account.refused(Failure::new(FailureClass::ServerError, message)));
        }
        let decoding = Decoding { model: Arc::clone(&model.name) };
        if call.stream {
            let body = response.take_payload();
            // The head's table of headers is 3 KiB that a stream would hold for its whole life.
            drop(response);
            let mut stream = ProviderStream {
                buffer: Buffer::new(call.relay, call.relay_usage),
                body: Some(body),
                decoder: provider.format.stream_decoder(&decoding),
                account,
                idle: Idle::new(&self.clock, provider.config.idle_timeout.0),
                begun: false,
                rests: Rc::clone(&self.rests),
                provider: Arc::clone(&provider.name),
            };
            tokio::select! {
                biased;
                begun = std::future::poll_fn(|context| stream.poll_begun(context)) => begun?,
                () = &mut deadline => return Err(stream.account.refused(late())),
            }
            stream.account.answered();
            return Ok(Box::pin(stream));
        }
        let body = match read(&mut response, MAX_ANSWER, deadline).await {
            Ok(body) => body,
            Err(Unread::Late) => return Err(account.refused(late())),
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
        match account.counting(&mut buffer, |sink| provider.format.decode_whole(&body, &decoding, sink)) {
            Ok(()) => {
                account.answered();
                account.complete();
                Ok(Box::pin(WholeAnswer(buffer)))
            }
            Err(failure) => Err(account.refused(failure)),
        }
    }

    fn refusal(&self, provider: &Provider, status: u16, headers: &HeaderMap, body: &[u8]) -> Failure {
        let headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        provider.format.failure(&ErrorAnswer { status, headers: &headers, body, now: self.clock.now() })
    }
}

/// Why a body could not be read.
enum Unread {
    Late,
    TooLong,
    Broken,
}

/// Reads a whole body to its end, so that the connection goes back to the pool.
async fn read(
    response: &mut awc::ClientResponse,
    limit: usize,
    mut deadline: contract::BoxFuture<'static, ()>,
) -> Result<Bytes, Unread> {
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    loop {
        let piece = tokio::select! {
            biased;
            piece = response.next() => piece,
            () = &mut deadline => return Err(Unread::Late),
        };
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
