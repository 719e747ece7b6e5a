//! Request bodies: always read to their end, whatever becomes of the request.
//!
//! A body that is left unread costs the connection (actix lingers on it, then closes), and a client that is still sending would see a
//! broken pipe instead of the answer.

use crate::openai::error::Refusal;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use bytes::{Bytes, BytesMut};
use contract::LocalBoxFuture;
use contract::clock::Clock;
use contract::units::Size;
use futures_util::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long a client may be silent in the middle of its body.
const SILENCE: Duration = Duration::from_secs(30);
/// How many times the limit is read and thrown away before the connection is given up.
const DISCARDED: usize = 4;
/// The most that is set aside because a header promises as much.
const PROMISED: usize = 1 << 20;

/// Reads a body of at most `most` bytes. One that arrives in one piece is not copied.
pub(crate) async fn read(
    payload: &mut Payload,
    length: Option<usize>,
    most: Size,
    clock: &dyn Clock,
) -> Result<Bytes, Refusal> {
    if length.is_some_and(|length| length > most.0) {
        discard(payload, most, clock).await?;
        return Err(Refusal::too_large(most));
    }
    let Some(first) = piece(payload, clock).await? else { return Ok(Bytes::new()) };
    if first.len() > most.0 {
        discard(payload, most, clock).await?;
        return Err(Refusal::too_large(most));
    }
    let Some(second) = piece(payload, clock).await? else { return Ok(first) };
    let mut body = BytesMut::with_capacity(length.unwrap_or(0).min(PROMISED).max(first.len() + second.len()));
    body.extend_from_slice(&first);
    let mut next = Some(second);
    while let Some(more) = next {
        if body.len() + more.len() > most.0 {
            drop(body);
            discard(payload, most, clock).await?;
            return Err(Refusal::too_large(most));
        }
        body.extend_from_slice(&more);
        next = piece(payload, clock).await?;
    }
    Ok(body.freeze())
}

/// Reads a body and keeps nothing of it: for requests that are refused anyway.
pub(crate) async fn discard(payload: &mut Payload, most: Size, clock: &dyn Clock) -> Result<(), Refusal> {
    let mut left = most.0.saturating_mul(DISCARDED);
    while let Some(more) = piece(payload, clock).await? {
        if more.len() > left {
            return Err(Refusal::too_large(most));
        }
        left -= more.len();
    }
    Ok(())
}

async fn piece(payload: &mut Payload, clock: &dyn Clock) -> Result<Option<Bytes>, Refusal> {
    let mut timer = None;
    poll_fn(|context| poll_piece(payload, &mut timer, clock, context)).await
}

/// Waits for the next piece. The timer is only set once the client lets us wait: most bodies are there with their head.
pub(crate) fn poll_piece(
    payload: &mut Payload,
    timer: &mut Option<LocalBoxFuture<'static, ()>>,
    clock: &dyn Clock,
    context: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, Refusal>> {
    match Pin::new(payload).poll_next(context) {
        Poll::Ready(None) => return Poll::Ready(Ok(None)),
        Poll::Ready(Some(Ok(bytes))) => return Poll::Ready(Ok(Some(bytes))),
        Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(broken(&error))),
        Poll::Pending => {}
    }
    let timer = timer.get_or_insert_with(|| clock.patience(SILENCE));
    timer.as_mut().poll(context).map(|()| Err(Refusal::too_slow()))
}

fn broken(error: &PayloadError) -> Refusal {
    match error {
        PayloadError::EncodingCorrupted => Refusal::invalid("the request's body is not chunked as it says"),
        _ => Refusal::invalid("the request's body broke off"),
    }
}
