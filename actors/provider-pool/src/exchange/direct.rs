//! Calls beside chats: one provider, one model, no failover; the answer goes to its reader whole or piece by piece as it comes.
//!
//! Deadlines, places, accounts and failures are those of chats. What the bytes mean is the formats'.

use super::account::Account;
use super::stream::{Idle, read_rest};
use super::{GRANT_DEADLINE, Inner, MAX_ANSWER, Unread, read};
use crate::backoff;
use crate::formats::direct::{self, Asked, Outgoing, Reading};
use crate::formats::{Decoder, Decoding};
use crate::provider::{Model, Provider};
use crate::shard::{Grant, GrantCall};
use crate::table::Candidate;
use actix_http::{HttpMessage as _, Payload};
use awc::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use bytes::Bytes;
use contract::LocalBoxFuture;
use contract::chat::{Event, EventSink, Usage};
use contract::direct::{Direct, DirectAnswer, DirectAnswerBody, DirectCall, DirectKind, Directed, Pieces};
use contract::failure::{Failure, FailureClass};
use contract::provider::{BUILTIN, Target};
use futures_util::Stream;
use runtime::TaskSet;
use runtime::http::is_end;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

impl Direct for super::Exchange {
    fn direct(&self, call: DirectCall) -> LocalBoxFuture<'static, Result<Directed, Failure>> {
        let inner = Rc::clone(&self.0);
        Box::pin(async move { inner.direct(call).await })
    }
}

impl Inner {
    async fn direct(&self, call: DirectCall) -> Result<Directed, Failure> {
        let target = Target::Model { provider: Arc::clone(&call.provider), model: Arc::clone(&call.model) };
        let Grant(candidates) =
            self.grant.ask(GrantCall::new(target, &call.caller, call.stream), GRANT_DEADLINE).await??;
        let Some(Candidate::Model { provider, model }) = candidates.into_iter().next() else {
            return Ok(Directed::Unsupported { kind: BUILTIN });
        };
        let asked = Asked {
            kind: call.kind,
            body: &call.body,
            model: &model.name,
            stream: call.stream,
            settings: &model.settings,
        };
        let named = |failure: Failure| failure.from_provider(Arc::clone(&provider.name));
        let mut tries = 0;
        loop {
            let Some(outgoing) = direct::outgoing(provider.format.kind(), &asked).map_err(named)? else {
                return Ok(Directed::Unsupported { kind: provider.kind });
            };
            let failure = match self.directly(&call, &provider, &model, outgoing).await {
                Ok(answer) => return Ok(Directed::Answer(answer)),
                Err(failure) => named(failure),
            };
            tries += 1;
            let again = tries <= provider.config.retries;
            let pause = again.then(|| backoff::pause(&failure, tries, self.ledger.chance())).flatten();
            let pause_ms = pause.map(|pause| pause.as_millis() as u64);
            tracing::info!(
                request_id = %call.request_id, model = %model.id, class = failure.class.as_str(), reason = %failure,
                path = call.kind.path(), again_in_ms = pause_ms, "provider did not answer"
            );
            match pause {
                Some(pause) => self.clock.pause(pause).await,
                None => return Err(failure),
            }
        }
    }

    async fn directly(
        &self,
        call: &DirectCall,
        provider: &Arc<Provider>,
        model: &Arc<Model>,
        outgoing: Outgoing,
    ) -> Result<DirectAnswer, Failure> {
        let places = provider.places(model, &call.caller.account(), true, &self.clock).await?;
        let sample = outgoing.body.first().map_or(&[][..], |first| first);
        let mut account = Account::open(&self.ledger, provider, model, &call.request_id, &call.caller, sample, places);
        let limit = provider.config.first_token_timeout.0;
        let mut deadline = self.clock.pause(limit);
        let late = || {
            let message = format!("{} did not answer within {} s", provider.name, limit.as_secs_f64());
            Failure::new(FailureClass::Timeout, message)
        };
        let beta = call.beta.clone().map(|beta| ("anthropic-beta", beta));
        let headers: Vec<(&'static str, String)> = beta.into_iter().collect();
        let mut response = tokio::select! {
            biased;
            sent = self.endpoints.send_direct(provider, model, &outgoing, &headers, &self.clock) => match sent {
                Ok(response) => response,
                Err(failure) => return Err(account.refused(failure)),
            },
            () = &mut deadline => return Err(account.refused(late())),
        };
        if !response.status().is_success() {
            let failure = self.refused(call.kind, provider, &mut response).await;
            return Err(account.refused(failure));
        }
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        if let Some(coding) = header(CONTENT_ENCODING).filter(|coding| *coding != "identity") {
            let message =
                format!("{} sent its answer compressed ({coding}), though nobody asked for that", provider.name);
            return Err(account.refused(Failure::new(FailureClass::ServerError, message)));
        }
        let content_type = header(CONTENT_TYPE).unwrap_or("application/octet-stream").to_owned();
        let is_json = content_type.to_ascii_lowercase().contains("json");
        let decoding = Decoding { model: Arc::clone(&model.name) };
        let comes_in_pieces = match &outgoing.reading {
            Reading::Through => !is_json,
            Reading::Translated(_) => false,
            Reading::Chat => call.stream,
        };
        if comes_in_pieces {
            let decoder = matches!(outgoing.reading, Reading::Chat).then(|| provider.format.stream_decoder(&decoding));
            // With neither a length nor chunks the connection's end is the body's.
            let until_end = header(CONTENT_LENGTH).is_none() && header(TRANSFER_ENCODING).is_none();
            let mut pieces = Passing {
                missing: header(CONTENT_LENGTH).and_then(|length| length.parse().ok()),
                until_end,
                body: Some(response.take_payload()),
                held: VecDeque::new(),
                decoder,
                idle: Idle::new(&self.clock, provider.config.idle_timeout.0),
                account,
                rests: Rc::clone(&self.rests),
                provider: Arc::clone(&provider.name),
                begun: false,
            };
            drop(response);
            tokio::select! {
                biased;
                begun = std::future::poll_fn(|context| pieces.poll_begun(context)) => begun?,
                () = &mut deadline => return Err(pieces.account.refused(late())),
            }
            pieces.account.answered();
            return Ok(DirectAnswer { content_type, body: DirectAnswerBody::Pieces(Box::pin(pieces)) });
        }
        let body = match read(&mut response, MAX_ANSWER, deadline).await {
            Ok(body) => body,
            Err(Unread::Late) => return Err(account.refused(late())),
            Err(Unread::TooLong) => {
                let message = format!("the answer of {} is larger than {} MiB", provider.name, MAX_ANSWER >> 20);
                return Err(account.refused(Failure::new(FailureClass::ServerError, message)));
            }
            Err(Unread::Broken) => return Err(account.refused(broke(&provider.name))),
        };
        account.received(body.len());
        let understood = match outgoing.reading {
            Reading::Chat => account
                .counting(&mut Ignored, |sink| provider.format.decode_whole(&body, &decoding, sink))
                .map(|()| (body, content_type)),
            Reading::Through => direct::look(&body).map(|usage| {
                counted(&mut account, usage);
                (body, content_type)
            }),
            Reading::Translated(translate) => translate(&body).map(|translated| {
                counted(&mut account, translated.usage);
                (translated.body, "application/json".to_owned())
            }),
        };
        match understood {
            Ok((body, content_type)) => {
                account.answered_whole();
                account.complete();
                Ok(DirectAnswer { content_type, body: DirectAnswerBody::Whole(body) })
            }
            Err(failure) => Err(account.refused(failure)),
        }
    }

    /// What an answer with an error status means. A server that does not know the path has nothing of the kind, whatever the model.
    async fn refused(&self, kind: DirectKind, provider: &Provider, response: &mut awc::ClientResponse) -> Failure {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let limit = super::ERROR_DEADLINE.min(provider.config.first_token_timeout.0);
        let body = read(response, super::MAX_ERROR, self.clock.pause(limit)).await.unwrap_or_default();
        let speaks_of_model = || String::from_utf8_lossy(&body).to_ascii_lowercase().contains("model");
        if kind != DirectKind::Messages && matches!(status, 404 | 405 | 501) && !speaks_of_model() {
            let message = format!("{} has no {} (HTTP {status})", provider.name, kind.path());
            return Failure::new(FailureClass::InvalidRequest, message).with_code("unsupported_endpoint");
        }
        let headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        self.refusal(provider, status, &headers, &body)
    }
}

fn counted(account: &mut Account, usage: Usage) {
    if !usage.is_empty() {
        account.counting(&mut Ignored, |sink| sink.event(Event::Usage(usage)));
    }
}

fn broke(provider: &str) -> Failure {
    let message = format!("the connection to {provider} broke in the middle of its answer");
    Failure::new(FailureClass::Truncated, message)
}

/// Takes events that only the account wants.
struct Ignored;

impl EventSink for Ignored {
    fn event(&mut self, _: Event<'_>) {}
}

/// Notices when something of substance came: until then a failure is still an HTTP status.
#[derive(Default)]
struct Substance(bool);

impl EventSink for Substance {
    fn event(&mut self, event: Event<'_>) {
        self.0 |= !matches!(event, Event::Head(_) | Event::Usage(_) | Event::KeepAlive);
    }
}

/// An answer that is passed on as it comes. With a decoder it is also understood: what breaks off is told as broken off.
struct Passing {
    body: Option<Payload>,
    /// What came before something of substance did.
    held: VecDeque<Bytes>,
    decoder: Option<Box<dyn Decoder>>,
    idle: Idle,
    account: Account,
    rests: Rc<TaskSet>,
    provider: Arc<str>,
    /// Bytes that were promised and have not come yet.
    missing: Option<u64>,
    /// Whether the connection's end is the body's.
    until_end: bool,
    begun: bool,
}

impl Passing {
    /// Reads on until the answer has begun; what is not understood has begun with its first byte.
    fn poll_begun(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let mut substance = Substance(self.decoder.is_none());
        loop {
            match self.poll_next(context, &mut substance) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(piece))) => self.held.push_back(piece),
                Poll::Ready(Some(Err(failure))) => return Poll::Ready(Err(failure)),
                Poll::Ready(None) => substance.0 = true,
            }
            if substance.0 {
                self.begun = true;
                self.idle.touch();
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        sink: &mut dyn EventSink,
    ) -> Poll<Option<Result<Bytes, Failure>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let complete = self.decoder.as_ref().is_some_and(|decoder| decoder.is_complete());
        match Pin::new(body).poll_next(context) {
            Poll::Pending if complete => {
                if let Some(body) = self.body.take() {
                    read_rest(body, self.idle.clock(), &self.rests);
                }
                self.account.complete();
                Poll::Ready(None)
            }
            Poll::Pending if !self.begun => Poll::Pending,
            Poll::Pending => match self.idle.poll_silent(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => {
                    let message = format!("{} fell silent in the middle of its answer", self.provider);
                    self.fail(Failure::new(FailureClass::Timeout, message))
                }
            },
            Poll::Ready(Some(Ok(bytes))) => {
                self.idle.touch();
                self.account.received(bytes.len());
                self.missing = self.missing.map(|missing| missing.saturating_sub(bytes.len() as u64));
                let fed = match &mut self.decoder {
                    Some(decoder) => self.account.counting(sink, |sink| decoder.feed(&bytes, sink)),
                    None => Ok(()),
                };
                match fed {
                    Ok(()) => Poll::Ready(Some(Ok(bytes))),
                    Err(failure) => self.fail(failure),
                }
            }
            Poll::Ready(Some(Err(error))) if !(complete || self.until_end && is_end(&error)) => {
                self.fail(broke(&self.provider))
            }
            // awc takes a connection's end for a body's, whatever length was promised.
            Poll::Ready(None) if !complete && self.missing.is_some_and(|missing| missing > 0) => {
                self.fail(broke(&self.provider))
            }
            Poll::Ready(None | Some(Err(_))) => {
                self.body = None;
                let ended = match &mut self.decoder {
                    Some(decoder) => self.account.counting(sink, |sink| decoder.end(sink)),
                    None => Ok(()),
                };
                match ended {
                    Ok(()) => {
                        self.account.complete();
                        Poll::Ready(None)
                    }
                    Err(failure) => self.fail(failure),
                }
            }
        }
    }

    fn fail(&mut self, failure: Failure) -> Poll<Option<Result<Bytes, Failure>>> {
        self.body = None;
        let failure = failure.from_provider(Arc::clone(&self.provider));
        self.account.fail(&failure);
        Poll::Ready(Some(Err(failure)))
    }
}

impl Pieces for Passing {
    fn poll_piece(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if let Some(piece) = self.held.pop_front() {
            return Poll::Ready(Some(Ok(piece)));
        }
        self.poll_next(context, &mut Ignored)
    }
}
