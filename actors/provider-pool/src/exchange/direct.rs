//! Calls beside chats: one provider, one model, no failover; the answer goes to its reader whole or piece by piece as it comes.
//!
//! Deadlines, places, accounts and failures are those of chats. What the bytes mean is the formats'.

use super::account::Account;
use super::passing::{Ignored, Passing, broke, late};
use super::stream::{Idle, silent};
use super::upload::Upload;
use super::whole_events::WholeEvents;
use super::{GRANT_DEADLINE, Inner, MAX_ANSWER, Unread, read, read_answer};
use crate::backoff;
use crate::formats::Decoding;
use crate::formats::direct::{self, Asked, Outgoing, Reading};
use crate::learned::{Learned, Lesson};
use crate::provider::{Model, Provider};
use crate::shard::{Grant, GrantCall};
use crate::table::Candidate;
use awc::http::header::CONTENT_TYPE;
use contract::LocalBoxFuture;
use contract::chat::{Event, Usage};
use contract::direct::{Direct, DirectAnswer, DirectAnswerBody, DirectBody, DirectCall, DirectKind, Directed};
use contract::failure::{Failure, FailureClass};
use contract::provider::{BUILTIN, Target};
use runtime::http::{Answer, Body, Head};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long whoever asked for a stream waits at most until what has come of it is passed on.
const PATIENCE: Duration = Duration::from_secs(10);

const JSON: &str = "application/json";

impl Direct for super::Exchange {
    fn direct(&self, call: DirectCall) -> LocalBoxFuture<'static, Result<Directed, Failure>> {
        let inner = Rc::clone(&self.0);
        Box::pin(async move { inner.direct(call).await })
    }
}

impl Inner {
    async fn direct(&self, mut call: DirectCall) -> Result<Directed, Failure> {
        let (before, rest) = match &mut call.body {
            DirectBody::Form { before, rest, .. } => (before.take(), rest.take()),
            DirectBody::Json(_) => (None, None),
        };
        let upload = Upload::new(before, rest, &self.clock);
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
        let parts = direct::parts(provider.format.kind(), &asked).map_err(named)?;
        if parts.is_empty() {
            return self.directed(&call, &provider, &model, &asked, &upload).await;
        }
        let mut answers = Vec::with_capacity(parts.len());
        for body in &parts {
            match self.directed(&call, &provider, &model, &Asked { body, ..asked }, &upload).await? {
                Directed::Answer(DirectAnswer { body: DirectAnswerBody::Whole(answer), .. }) => answers.push(answer),
                other => return Ok(other),
            }
        }
        let body = DirectAnswerBody::Whole(direct::join(&answers).map_err(named)?);
        Ok(Directed::Answer(DirectAnswer { content_type: JSON.to_owned(), body }))
    }

    /// One request, asked again after a moment where that is of use, and at once in another way if it turns out what the model does not take.
    async fn directed(
        &self,
        call: &DirectCall,
        provider: &Arc<Provider>,
        model: &Arc<Model>,
        asked: &Asked<'_>,
        upload: &Upload,
    ) -> Result<Directed, Failure> {
        let named = |failure: Failure| failure.from_provider(Arc::clone(&provider.name));
        let write = |learned: Learned| match learned.is_empty() {
            true => direct::outgoing(provider.format.kind(), asked),
            false => {
                let settings = &learned.applied(asked.settings);
                direct::outgoing(provider.format.kind(), &Asked { settings, ..*asked })
            }
        };
        let mut tries = 0;
        let mut learned = model.memory.learned();
        loop {
            let Some(outgoing) = write(learned).map_err(named)? else {
                return Ok(Directed::Unsupported { kind: provider.kind });
            };
            let sent = outgoing.body.clone();
            let failure = match self.directly(call, provider, model, outgoing, upload).await {
                Ok(answer) => return Ok(Directed::Answer(answer)),
                Err(failure) => match upload.broken() {
                    Some(left) => return Err(left),
                    None => named(failure),
                },
            };
            if let Some(lesson) = Lesson::of(&failure).filter(|lesson| !learned.has(*lesson)) {
                learned = learned.and(lesson);
                // If it changes nothing, the caller itself wrote what was refused, and is told so. It says nothing of what others may write then:
                // a model that refuses one kind of tools, or one way of thinking, may well take another.
                let changes = write(learned).is_ok_and(|outgoing| outgoing.is_some_and(|other| other.body != sent));
                if changes {
                    model.memory.learn(lesson);
                }
                if changes && upload.is_repeatable() {
                    tracing::info!(request_id = %call.request_id, model = %model.id, reason = %failure, ?lesson, "model is asked in another way");
                    continue;
                }
            }
            tries += 1;
            let again = tries <= provider.config.retries && upload.is_repeatable();
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
        upload: &Upload,
    ) -> Result<DirectAnswer, Failure> {
        let places = provider.places(model, &call.caller.account(), true, &self.clock).await?;
        let sample = outgoing.body.first().map_or(&[][..], |first| first);
        let mut account = Account::open(&self.ledger, provider, model, &call.request_id, &call.caller, sample, places);
        let config = &provider.config;
        let limit = if call.stream { config.first_token_timeout.0 } else { config.answer_timeout().0 };
        let late = || late(&provider.name, limit);
        let begun = self.clock.monotonic();
        let beta = call.beta.clone().map(|beta| ("anthropic-beta", beta));
        let headers: Vec<(&'static str, String)> = beta.into_iter().collect();
        let Answer { head, body: mut arriving } = tokio::select! {
            biased;
            sent = self.endpoints.send_direct(provider, model, &outgoing, upload, &headers) => match sent {
                Ok(answer) => answer,
                // The account ends as one that was cancelled.
                Err(failure) if upload.broken().is_some() => return Err(failure),
                Err(failure) => return Err(account.refused(failure)),
            },
            late = upload.late(&provider.name, provider.config.idle_timeout.0, limit) => return Err(account.refused(late)),
        };
        if !(200..300).contains(&head.status()) {
            let failure = self.refused(call.kind, provider, &head, &mut arriving).await;
            return Err(account.refused(failure));
        }
        let deadline = self.clock.pause(upload.left(limit));
        if let Some(coding) = head.coding() {
            let message =
                format!("{} sent its answer compressed ({coding}), though nobody asked for that", provider.name);
            return Err(account.refused(Failure::new(FailureClass::ServerError, message)));
        }
        let content_type = head.header(CONTENT_TYPE.as_str()).and_then(|value| std::str::from_utf8(value).ok());
        let content_type = content_type.unwrap_or("application/octet-stream").to_owned();
        let is_events = content_type.to_ascii_lowercase().starts_with("text/event-stream");
        let decoding = Decoding { model: Arc::clone(&model.name), thoughts: None };
        let comes_in_pieces = match &outgoing.reading {
            Reading::Through => direct::passes(call.kind, &content_type),
            Reading::Translated(_) => false,
            Reading::Chat => call.stream,
        };
        if comes_in_pieces {
            let decoder = matches!(outgoing.reading, Reading::Chat).then(|| provider.format.stream_decoder(&decoding));
            let mut pieces = Passing {
                body: Some(arriving),
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
            drop(head);
            std::future::poll_fn(|context| pieces.poll_begun(context)).await?;
            return Ok(DirectAnswer { content_type, body: DirectAnswerBody::Pieces(Box::pin(pieces)) });
        }
        let body = match read_answer(&mut arriving, deadline, &self.clock, config.idle_timeout.0).await {
            Ok(body) if arriving.is_whole() => body,
            Err(Unread::Late) => return Err(account.refused(late())),
            Err(Unread::Silent) => return Err(account.refused(silent(&provider.name, provider.config.idle_timeout.0))),
            Err(Unread::TooLong) => {
                let message = format!("the answer of {} is larger than {} MiB", provider.name, MAX_ANSWER >> 20);
                return Err(account.refused(Failure::new(FailureClass::ServerError, message)));
            }
            Ok(_) | Err(Unread::Broken) => return Err(account.refused(broke(&provider.name))),
        };
        account.received(body.len());
        let understood = match outgoing.reading {
            Reading::Chat => account
                .counting(&mut Ignored, |sink| provider.format.decode_whole(&body, &decoding, sink))
                .map(|()| (body, content_type)),
            Reading::Through => direct::look(call.kind, &body).map(|usage| {
                counted(&mut account, usage);
                // What was read as JSON is some, whatever the provider called it.
                (body, JSON.to_owned())
            }),
            Reading::Translated(translate) => translate(&body).map(|translated| {
                counted(&mut account, translated.usage);
                (translated.body, JSON.to_owned())
            }),
        };
        match understood {
            Ok((body, content_type)) => {
                account.complete_whole();
                Ok(DirectAnswer { content_type, body: DirectAnswerBody::Whole(body) })
            }
            Err(failure) if failure.code.as_deref() == Some(direct::NO_SUCH_PATH) => {
                Err(account.refused(no_such_path(call.kind, provider, head.status())))
            }
            Err(failure) => Err(account.refused(failure)),
        }
    }

    /// What an answer with an error status means. A server that does not know the path has nothing of the kind, whatever the model.
    async fn refused(&self, kind: DirectKind, provider: &Provider, head: &Head, body: &mut Body) -> Failure {
        let status = head.status();
        let limit = super::ERROR_DEADLINE.min(provider.config.first_token_timeout.0);
        let body = read(body, super::MAX_ERROR, self.clock.pause(limit)).await.unwrap_or_default();
        let speaks_of_model = || String::from_utf8_lossy(&body).to_ascii_lowercase().contains("model");
        if kind != DirectKind::Messages && matches!(status, 404 | 405 | 501) && !speaks_of_model() {
            return no_such_path(kind, provider, status);
        }
        let headers: Vec<(&str, &[u8])> = head.headers().collect();
        self.refusal(provider, status, &headers, &body)
    }
}

/// The server does not know the path, whatever the model.
fn no_such_path(kind: DirectKind, provider: &Provider, status: u16) -> Failure {
    let message = format!("{} has no {} (HTTP {status})", provider.name, kind.path());
    Failure::new(FailureClass::InvalidRequest, message).with_code(direct::NO_SUCH_PATH)
}

fn counted(account: &mut Account, usage: Usage) {
    if !usage.is_empty() {
        account.counting(&mut Ignored, |sink| sink.event(Event::Usage(usage)));
    }
}
