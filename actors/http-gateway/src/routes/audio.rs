//! `POST /v1/audio/speech` and `/v1/audio/transcriptions`: OpenAI's sound in and out, passed through.
//!
//! What is spoken goes out as it comes. A form that names its model before its recording goes to the provider while it arrives; one that names
//! it behind has to be held until then. `max_body` is the limit of both.

use super::{About, Endpoint, Verb, direct};
use crate::arriving::Arriving;
use crate::fields::Fields;
use crate::form::{Form, Reader};
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::http::header;
use bytes::{Bytes, BytesMut};
use contract::caller::Scope;
use contract::direct::{DirectBody, DirectKind, Pieces};
use contract::failure::{Failure, FailureClass};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A form up to this size is held even if it could stream: a short recording goes over a kept connection, and can be sent once more.
const SHORT: u64 = 256 << 10;
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
    let mut held = BytesMut::new();
    let is_whole = loop {
        let Some(piece) = arriving.piece().await? else { break true };
        reader.feed(&piece)?;
        held.extend_from_slice(&piece);
        if reader.may_stream() && !is_short {
            break false;
        }
    };
    let held = held.freeze();
    let Form { model, around } = if is_whole { reader.whole(&held)? } else { reader.begun(&held)? };
    let asked = direct::asked(&call, DirectKind::Transcription, &model)?;
    let rest = (!is_whole).then(|| Rest { arriving: arriving.clone(), reader });
    let rest = rest.map(|rest| contract::direct::Arriving { length: arriving.left(), pieces: Box::pin(rest) });
    let body = DirectBody::Form { content_type, around_model: around, rest };
    // Whoever sent half a form is told what is wrong with it, and not what that led to.
    direct::answer(call, asked, body).await.map_err(|refusal| arriving.refusal().unwrap_or(refusal))
}

/// The rest of a form, on its way to the provider.
struct Rest {
    arriving: Arriving,
    reader: Reader,
}

impl Rest {
    fn refuse(&self, refusal: Refusal) -> Failure {
        let failure = Failure::new(FailureClass::InvalidRequest, refusal.message.clone());
        self.arriving.refuse(refusal);
        failure
    }
}

impl Pieces for Rest {
    fn poll_piece(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        let read = match ready!(self.arriving.poll_piece(context)) {
            Ok(Some(piece)) => self.reader.feed(&piece).map(|()| Some(piece)).map_err(Refusal::from),
            Ok(None) => self.reader.end().map(|()| None).map_err(Refusal::from),
            Err(refusal) => Err(refusal),
        };
        Poll::Ready(read.map_err(|refusal| self.refuse(refusal)).transpose())
    }
}
