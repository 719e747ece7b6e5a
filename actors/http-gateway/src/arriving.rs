//! A request's body that its route reads by itself while it arrives, within the limits and the patience that every body has.
//!
//! It keeps nothing: what nobody asks for stays with the client. A request that is answered before its body was read gets its answer at once,
//! and what its client still sends is read and thrown away meanwhile.

use crate::body;
use crate::openai::error::Refusal;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Payload;
use bytes::Bytes;
use contract::LocalBoxFuture;
use contract::clock::SharedClock;
use contract::units::Size;
use std::cell::RefCell;
use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// The body. Its clones are the same body.
#[derive(Clone)]
pub(crate) struct Arriving(Rc<RefCell<State>>);

struct State {
    /// None once it was read to its end, or given away.
    payload: Option<Payload>,
    /// What the request's head says of it.
    length: Option<usize>,
    read: usize,
    most: Size,
    timer: Option<LocalBoxFuture<'static, ()>>,
    clock: SharedClock,
    refusal: Option<Refusal>,
}

impl Arriving {
    /// A body of at most `most` bytes.
    pub(crate) fn new(payload: Payload, length: Option<usize>, most: Size, clock: SharedClock) -> Self {
        let state = State { payload: Some(payload), length, read: 0, most, timer: None, clock, refusal: None };
        Self(Rc::new(RefCell::new(state)))
    }

    /// Waits for the next piece; none at the body's end.
    ///
    /// # Errors
    /// It is larger than `most`, broke off, or the client fell silent.
    pub(crate) fn poll_piece(&self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Refusal>> {
        let mut state = self.0.borrow_mut();
        if let Some(refusal) = &state.refusal {
            return Poll::Ready(Err(refusal.clone()));
        }
        let piece = ready!(state.poll_piece(context));
        if let Err(refusal) = &piece {
            state.refusal = Some(refusal.clone());
        }
        Poll::Ready(piece)
    }

    /// Waits for the next piece, as [`Arriving::poll_piece`].
    pub(crate) async fn piece(&self) -> Result<Option<Bytes>, Refusal> {
        poll_fn(|context| self.poll_piece(context)).await
    }

    /// How many bytes are still to come, if the client told.
    pub(crate) fn left(&self) -> Option<u64> {
        let state = self.0.borrow();
        state.length.map(|length| length.saturating_sub(state.read) as u64)
    }

    /// What the client did wrong with it, if it did.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.0.borrow().refusal.clone()
    }

    /// Refuses the rest of it, for what it holds.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.0.borrow_mut().refusal.get_or_insert(refusal);
    }

    /// The answer to this body's request. What of the body was not read by now is read with it, and thrown away.
    pub(crate) fn answered(&self, answer: BoxBody) -> BoxBody {
        let mut state = self.0.borrow_mut();
        let Some(mut payload) = state.payload.take() else { return answer };
        let (most, clock) = (state.most, state.clock.clone());
        let rest = async move {
            // The answer has been given already.
            let _ = body::discard(&mut payload, most, clock.as_ref()).await;
        };
        BoxBody::new(Answered { answer, rest: Some(Box::pin(rest)) })
    }
}

impl State {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Refusal>> {
        if self.length.is_some_and(|length| length > self.most.0) {
            return Poll::Ready(Err(Refusal::too_large(self.most)));
        }
        let Some(payload) = &mut self.payload else { return Poll::Ready(Ok(None)) };
        let piece = ready!(body::poll_piece(payload, &mut self.timer, self.clock.as_ref(), context));
        // Silence is counted from piece to piece.
        self.timer = None;
        Poll::Ready(match piece {
            Ok(Some(piece)) if piece.len() > self.most.0 - self.read => Err(Refusal::too_large(self.most)),
            Ok(Some(piece)) => {
                self.read += piece.len();
                Ok(Some(piece))
            }
            Ok(None) => {
                self.payload = None;
                Ok(None)
            }
            Err(refusal) => {
                self.payload = None;
                Err(refusal)
            }
        })
    }
}

/// An answer, and what is left to read of its request.
struct Answered {
    answer: BoxBody,
    rest: Option<LocalBoxFuture<'static, ()>>,
}

impl MessageBody for Answered {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        // The answer lies in the connection by now; its end is told when the request is over too.
        if let Some(piece) = ready!(Pin::new(&mut self.answer).poll_next(context)) {
            return Poll::Ready(Some(piece));
        }
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(context));
            self.rest = None;
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use actix_web::error::PayloadError;
    use contract::clock::Clock as _;
    use futures_util::StreamExt as _;
    use futures_util::stream::{self, Stream};
    use runtime::world::World;
    use std::cell::Cell;
    use std::time::Duration;

    type Piece = Result<Bytes, PayloadError>;

    fn of(world: &World, pieces: impl Stream<Item = Piece> + 'static, length: Option<usize>) -> Arriving {
        let pieces: Pin<Box<dyn Stream<Item = Piece>>> = Box::pin(pieces);
        Arriving::new(Payload::Stream { payload: pieces }, length, Size(8), world.clock.clone())
    }

    fn pieces(pieces: &[&'static str]) -> impl Stream<Item = Piece> + use<> {
        let pieces: Vec<Piece> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect();
        stream::iter(pieces)
    }

    #[test]
    fn a_body_is_counted_as_it_comes() {
        World::run(async |world| {
            let whole = of(world, pieces(&["abc", "defgh"]), Some(8));
            assert_eq!(whole.piece().await, Ok(Some(Bytes::from_static(b"abc"))));
            assert_eq!(whole.left(), Some(5));
            assert_eq!(whole.piece().await, Ok(Some(Bytes::from_static(b"defgh"))));
            assert_eq!((whole.piece().await, whole.piece().await), (Ok(None), Ok(None)));
            assert_eq!((whole.left(), whole.refusal()), (Some(0), None));

            let told = of(world, pieces(&["abc"]), Some(9));
            assert_eq!(told.piece().await.map_err(|refusal| refusal.status), Err(413));
            let untold = of(world, pieces(&["abc", "defgh", "i"]), None);
            assert_eq!(untold.left(), None);
            assert!(untold.piece().await.is_ok() && untold.piece().await.is_ok());
            for _ in 0..2 {
                assert_eq!(untold.piece().await.map_err(|refusal| refusal.status), Err(413));
            }
            assert_eq!(untold.refusal().map(|refusal| refusal.status), Some(413));
        });
    }

    #[test]
    fn a_client_may_be_slow_but_not_silent() {
        World::run(async |world| {
            let clock = world.clock.clone();
            let slow = stream::unfold(0, move |given| {
                let clock = clock.clone();
                async move {
                    clock.pause(Duration::from_secs(if given < 3 { 29 } else { 31 })).await;
                    Some((Ok(Bytes::from_static(b"a")), given + 1))
                }
            });
            let slow = of(world, slow, None);
            for _ in 0..3 {
                assert_eq!(slow.piece().await, Ok(Some(Bytes::from_static(b"a"))));
            }
            assert_eq!(slow.piece().await.map_err(|refusal| refusal.status), Err(408));
            let cut = stream::iter([Err(PayloadError::Incomplete(None))]);
            assert_eq!(of(world, cut, None).piece().await.map_err(|refusal| refusal.status), Err(400));
        });
    }

    #[test]
    fn an_early_answer_is_not_kept_back_by_what_its_client_still_sends() {
        World::run(async |world| {
            let read = Rc::new(Cell::new(0));
            let seen = Rc::clone(&read);
            let body = stream::iter(0..20).map(move |_| {
                seen.set(seen.get() + 1);
                Ok(Bytes::from_static(b"a"))
            });
            let early = of(world, body, None);
            assert!(early.piece().await.is_ok());
            let mut answer = early.answered(BoxBody::new("no"));
            assert_eq!(answer.size(), BodySize::Sized(2));
            let first = poll_fn(|context| Pin::new(&mut answer).poll_next(context)).await;
            assert_eq!((first.and_then(Result::ok), read.get()), (Some(Bytes::from_static(b"no")), 1));
            assert_eq!(early.piece().await, Ok(None), "it is nobody else's any more");
            assert!(poll_fn(|context| Pin::new(&mut answer).poll_next(context)).await.is_none());
            assert_eq!(read.get(), 20);

            let whole = of(world, pieces(&[]), None);
            assert_eq!(whole.piece().await, Ok(None));
            assert_eq!(to_bytes(whole.answered(BoxBody::new("yes"))).await.ok().as_deref(), Some(&b"yes"[..]));
        });
    }
}
