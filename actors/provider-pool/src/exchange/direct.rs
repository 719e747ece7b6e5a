//! Calls beside chats: one provider, one model, no failover; the answer goes to its reader whole or piece by piece as it comes.
//!
//! Deadlines, places, accounts and failures are those of chats. What the bytes mean is the formats'.

use super::account::Account;
use super::passing::{Ignored, Passing, broke, late};
use super::stream::Idle;
use super::whole_events::WholeEvents;
use super::{GRANT_DEADLINE, Inner, MAX_ANSWER, Unread, read};
use crate::backoff;
use crate::formats::Decoding;
use crate::formats::direct::{self, Asked, Outgoing, Reading};
use crate::provider::{Model, Provider};
use crate::shard::{Grant, GrantCall};
use crate::table::Candidate;
use actix_http::HttpMessage as _;
use awc::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use contract::LocalBoxFuture;
use contract::chat::{Event, Usage};
use contract::direct::{Direct, DirectAnswer, DirectAnswerBody, DirectCall, DirectKind, Directed};
use contract::failure::{Failure, FailureClass};
use contract::provider::{BUILTIN, Target};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long whoever asked for a stream waits at most until what has come of it is passed on.
const PATIENCE: Duration = Duration::from_secs(10);

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
            self.grant.ask(GrantCall { target, who: Arc::clone(&call.caller.name) }, GRANT_DEADLINE).await??;
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
        let places = provider.places(model, &call.caller.name, true, &self.clock).await?;
        let sample = outgoing.body.first().map_or(&[][..], |first| first);
        let mut account = Account::open(&self.ledger, provider, model, &call.request_id, &call.caller, sample, places);
        let limit = provider.config.first_token_timeout.0;
        let mut deadline = self.clock.pause(limit);
        let late = || late(&provider.name, limit);
        let begun = self.clock.monotonic();
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
        let kind = content_type.to_ascii_lowercase();
        let (is_json, is_events) = (kind.contains("json"), kind.starts_with("text/event-stream"));
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
                events: (is_events || decoder.is_some()).then(WholeEvents::new),
                decoder,
                idle: Idle::new(&self.clock, provider.config.idle_timeout.0),
                account,
                rests: Rc::clone(&self.rests),
                provider: Arc::clone(&provider.name),
                begun: false,
                given_out: false,
                failed: None,
                deadline,
                limit,
                patience: self.clock.pause((begun + PATIENCE).saturating_sub(self.clock.monotonic())),
            };
            drop(response);
            std::future::poll_fn(|context| pieces.poll_begun(context)).await?;
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
                account.answered();
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
