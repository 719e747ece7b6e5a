//! `POST /v1/audio/speech` and `/v1/audio/transcriptions`: OpenAI's sound in and out, passed through.
//!
//! What is spoken goes out as it comes. A form goes to the provider while it arrives, from where it has named its model; what comes before that,
//! perhaps the whole recording, is kept until then, most of it on disk. `max_body` is the limit of both.

use super::{About, Endpoint, Verb, direct};
use crate::arriving::Arriving;
use crate::fields::Fields;
use crate::form::{Form, Reader};
use crate::openai::error::Refusal;
use crate::spool::{IN_MEMORY, Reading, Spool};
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::http::header;
use bytes::Bytes;
use contract::caller::Scope;
use contract::direct::{Arriving as Part, DirectBody, DirectKind, Pieces};
use contract::failure::{Failure, FailureClass};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A form up to this size is held even if it could stream: a short recording goes over a kept connection, and can be sent once more.
const SHORT: u64 = IN_MEMORY as u64;
/// The path whose body arrives while it goes out.
pub(super) const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        method: Verb::Post,
        path: "/v1/audio/speech",
        scope: Some(Scope::Control),
        starts_work: true,
        handler: |call| Box::pin(speech(call)),
        about: About {
            summary: "OpenAI speech of <provider>/<model>, passed on as it comes: kind openai",
            parameters: &[],
            takes: Some("SpeechRequest"),
            gives: ("audio/mpeg", None),
            status: 200,
        },
    },
    Endpoint {
        method: Verb::Post,
        path: TRANSCRIPTIONS,
        scope: Some(Scope::Control),
        starts_work: true,
        handler: |call| Box::pin(transcription(call)),
        about: About {
            summary: "OpenAI transcription by <provider>/<model>, in the form that the request asks for: kind openai",
            parameters: &[],
            takes: Some("TranscriptionForm"),
            gives: ("application/json", Some("Object")),
            status: 200,
        },
    },
];

async fn speech(call: Call) -> Result<HttpResponse, Refusal> {
    let fields = Fields::read(&call.body)?;
    let model: String = fields.need("model")?;
    if fields.raw("input").is_none() {
        return Err(Failure::invalid("input", "the field \"input\" is missing").into());
    }
    let asked = direct::asked(&call, DirectKind::Speech, &model)?;
    drop(fields);
    let body = DirectBody::Json(call.body.clone());
    direct::answer(call, asked, body).await
}

async fn transcription(call: Call) -> Result<HttpResponse, Refusal> {
    let content_type = call.http.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let arriving = call.arriving.clone();
    let arriving = arriving.ok_or_else(|| Refusal::internal("the form was read by somebody else"))?;
    let mut reader = Reader::new(&content_type)?;
    let is_short = arriving.left().is_some_and(|length| length <= SHORT);
    let mut spool = Spool::new(&call.ports().spool, &call.ports().clock);
    let is_whole = loop {
        let Some(piece) = arriving.piece().await? else { break true };
        reader.feed(&piece)?;
        spool.add(&piece).await.map_err(|error| not_kept(&call, &error))?;
        if reader.may_stream() && !is_short {
            break false;
        }
    };
    let Form { model, place } = if is_whole { reader.whole()? } else { reader.begun()? };
    let asked = direct::asked(&call, DirectKind::Transcription, &model)?;
    let kept = spool.kept();
    let (start, end) = (place.start as u64, place.end as u64);
    let (before, around_model, behind) = match kept.in_memory() {
        Some(held) => (None, (held.slice(..place.start), held.slice(place.end..)), None),
        None => {
            let before = Part { length: Some(start), pieces: Box::pin(kept.read(0..start)) };
            (Some(before), Default::default(), Some(kept.read(end..kept.length())))
        }
    };
    let behind_length = behind.as_ref().map_or(0, |_| kept.length() - end);
    let arrives = (!is_whole).then(|| (arriving.clone(), reader));
    let left = if is_whole { Some(0) } else { arriving.left() };
    let rest = (behind.is_some() || arrives.is_some())
        .then(|| Part { length: left.map(|left| left + behind_length), pieces: Box::pin(Rest { behind, arrives }) });
    drop(kept);
    let body = DirectBody::Form { content_type, before, around_model, rest };
    // Whoever sent half a form is told what is wrong with it, and not what that led to.
    direct::answer(call, asked, body).await.map_err(|refusal| arriving.refusal().unwrap_or(refusal))
}

/// The refusal for a form that could not be kept until its model was named.
fn not_kept(call: &Call, error: &io::Error) -> Refusal {
    let folder = &call.ports().spool;
    tracing::warn!(request_id = %call.access.request_id, folder = %folder.display(), %error, "a form could not be kept");
    Refusal::not_kept(error)
}

/// What of a form comes after its model's name.
struct Rest {
    /// What was kept of it.
    behind: Option<Reading>,
    /// What still arrives, to be read on the way.
    arrives: Option<(Arriving, Reader)>,
}

impl Pieces for Rest {
    fn poll_piece(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if let Some(behind) = &mut self.behind {
            if let Some(piece) = ready!(Pin::new(behind).poll_piece(context)) {
                return Poll::Ready(Some(piece));
            }
            self.behind = None;
        }
        let Some((arriving, reader)) = &mut self.arrives else { return Poll::Ready(None) };
        let read = match ready!(arriving.poll_piece(context)) {
            Ok(Some(piece)) => reader.feed(&piece).map(|()| Some(piece)).map_err(Refusal::from),
            Ok(None) => reader.end().map(|()| None).map_err(Refusal::from),
            Err(refusal) => Err(refusal),
        };
        let refused = read.map_err(|refusal| {
            let failure = Failure::new(FailureClass::InvalidRequest, refusal.message.clone());
            arriving.refuse(refusal);
            failure
        });
        Poll::Ready(refused.transpose())
    }
}
