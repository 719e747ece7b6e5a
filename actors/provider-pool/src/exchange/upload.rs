//! The body of a call on its way to a provider: what is kept elsewhere, what is at hand, then what still arrives from the caller, one piece
//! after the other as the provider takes them.
//!
//! It knows whom the call waits for, so that the time that a caller takes is never held against a provider. What has arrived from a caller and
//! gone out cannot be sent again, nor what was kept elsewhere; what is at hand can.

use bytes::Bytes;
use contract::clock::SharedClock;
use contract::direct::{Arriving, Pieces};
use contract::failure::{Failure, FailureClass};
use futures_util::Stream;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// What is at hand goes out in pieces of at most this size: by each of them it shows that the provider reads.
const PIECE: usize = 64 << 10;

/// A body, for as many tries as it allows.
pub(super) struct Upload {
    /// What comes before that which is at hand, and what comes after it.
    before: Part,
    rest: Part,
    /// How many bytes both had at first, if that is known.
    length: Option<u64>,
    /// Whether something of them was taken.
    is_taken: Cell<bool>,
    broken: RefCell<Option<Failure>>,
    waits_for: Cell<Party>,
    since: Cell<Duration>,
    clock: SharedClock,
}

/// A part that is not at hand; `None` where there is none, or none any more.
type Part = RefCell<Option<Pin<Box<dyn Pieces>>>>;

/// Whom a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Party {
    /// The caller, who sees to its own time.
    Caller,
    /// The provider, which shall take what it was given.
    Taker,
    /// The provider, which has all of it and shall answer.
    Answerer,
}

impl Upload {
    /// The body that begins with `before` and ends with `rest`, where not all of it is at hand.
    pub(super) fn new(before: Option<Arriving>, rest: Option<Arriving>, clock: &SharedClock) -> Self {
        let part = |part: Option<Arriving>| match part {
            Some(Arriving { length, pieces }) => (length, RefCell::new(Some(pieces))),
            None => (Some(0), RefCell::new(None)),
        };
        let ((first, before), (last, rest)) = (part(before), part(rest));
        Self {
            before,
            rest,
            length: first.zip(last).map(|(first, last)| first.saturating_add(last)),
            is_taken: Cell::new(false),
            broken: RefCell::default(),
            waits_for: Cell::new(Party::Taker),
            since: Cell::new(clock.monotonic()),
            clock: Arc::clone(clock),
        }
    }

    /// Whether it can be sent once more.
    pub(super) fn is_repeatable(&self) -> bool {
        !self.is_taken.get()
    }

    /// Whether a part of it is not at hand.
    pub(super) fn arrives(&self) -> bool {
        self.before.borrow().is_some() || self.rest.borrow().is_some()
    }

    /// Its length with these pieces within, if that is known.
    pub(super) fn length(&self, pieces: &[Bytes]) -> Option<u64> {
        let at_hand: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        self.length.map(|others| others.saturating_add(at_hand))
    }

    /// Why the rest of it did not come: the caller broke off, or what was kept cannot be read.
    pub(super) fn broken(&self) -> Option<Failure> {
        self.broken.borrow().clone()
    }

    /// The body with these pieces within, for one try.
    pub(super) fn body(&self, pieces: &[Bytes]) -> Body<'_> {
        self.wait_for(Party::Taker);
        Body { upload: self, at_hand: pieces.iter().filter(|piece| !piece.is_empty()).cloned().collect() }
    }

    /// The next piece of a part; none where there is no more of it.
    fn poll_part(&self, part: &Part, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut part = part.borrow_mut();
        let Some(arriving) = part.as_mut() else { return Poll::Ready(None) };
        let Poll::Ready(piece) = arriving.as_mut().poll_piece(context) else {
            self.wait_for(Party::Caller);
            return Poll::Pending;
        };
        self.is_taken.set(true);
        Poll::Ready(match piece {
            Some(Ok(piece)) => {
                self.wait_for(Party::Taker);
                Some(Ok(piece))
            }
            Some(Err(failure)) => {
                *part = None;
                let error = io::Error::other(format!("the rest of the request did not come: {failure}"));
                self.broken.replace(Some(failure));
                Some(Err(error))
            }
            None => {
                *part = None;
                None
            }
        })
    }

    fn wait_for(&self, party: Party) {
        self.waits_for.set(party);
        self.since.set(self.clock.monotonic());
    }

    /// How much is left of a limit that began when the provider got the last of the body.
    pub(super) fn left(&self, limit: Duration) -> Duration {
        limit.saturating_sub(self.clock.monotonic().saturating_sub(self.since.get()))
    }

    /// Resolves when the provider took nothing for `taking`, or did not answer within `answering`.
    pub(super) async fn late(&self, provider: &str, taking: Duration, answering: Duration) -> Failure {
        loop {
            let (limit, what) = match self.waits_for.get() {
                Party::Caller => (None, ""),
                Party::Taker => (Some(taking), "took no more of the request"),
                Party::Answerer => (Some(answering), "did not answer"),
            };
            let left = limit.map(|limit| (limit, self.left(limit)));
            if let Some((limit, Duration::ZERO)) = left {
                let message = format!("{provider} {what} within {} s", limit.as_secs_f64());
                return Failure::new(FailureClass::Timeout, message);
            }
            // Whom it waits for may change meanwhile, and with it the limit.
            let pause = left.map_or(taking, |(_, left)| left).min(taking).min(answering);
            self.clock.pause(pause).await;
        }
    }
}

/// One try's body.
pub(super) struct Body<'a> {
    upload: &'a Upload,
    at_hand: VecDeque<Bytes>,
}

impl Stream for Body<'_> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let upload = self.upload;
        if let Some(piece) = ready!(upload.poll_part(&upload.before, context)) {
            return Poll::Ready(Some(piece));
        }
        if let Some(next) = self.at_hand.front_mut() {
            let piece = next.split_to(next.len().min(PIECE));
            if next.is_empty() {
                self.at_hand.pop_front();
            }
            upload.wait_for(Party::Taker);
            return Poll::Ready(Some(Ok(piece)));
        }
        let piece = ready!(upload.poll_part(&upload.rest, context));
        if piece.is_none() {
            upload.wait_for(Party::Answerer);
        }
        Poll::Ready(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt as _, StreamExt as _};
    use runtime::world::World;

    /// Gives these, then waits or ends.
    struct Caller(VecDeque<Result<Bytes, Failure>>, bool);

    impl Pieces for Caller {
        fn poll_piece(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
            match self.0.pop_front() {
                Some(piece) => Poll::Ready(Some(piece)),
                None if self.1 => Poll::Ready(None),
                None => Poll::Pending,
            }
        }
    }

    fn arriving(pieces: impl IntoIterator<Item = Result<&'static str, Failure>>, ends: bool) -> Option<Arriving> {
        let pieces = pieces.into_iter().map(|piece| piece.map(|text| Bytes::from_static(text.as_bytes()))).collect();
        Some(Arriving { length: Some(5), pieces: Box::pin(Caller(pieces, ends)) })
    }

    const HEAD: [Bytes; 3] = [Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"c")];

    fn text(piece: Option<io::Result<Bytes>>) -> Option<String> {
        piece.map(|piece| String::from_utf8_lossy(&piece.expect("sound")).into_owned())
    }

    #[test]
    fn what_is_at_hand_comes_first_and_can_be_had_again() {
        World::run(async |world| {
            let clock: SharedClock = world.clock.clone();
            let upload = Upload::new(None, arriving([Ok("d"), Ok("efgh")], true), &clock);
            assert_eq!((upload.length(&HEAD), upload.arrives()), (Some(8), true));
            for _ in 0..2 {
                let mut body = upload.body(&HEAD);
                assert_eq!(text(body.next().await).as_deref(), Some("ab"));
                assert_eq!(text(body.next().await).as_deref(), Some("c"));
                assert!(upload.is_repeatable());
            }
            let mut body = upload.body(&[]);
            assert_eq!(text(body.next().await).as_deref(), Some("d"));
            assert!(!upload.is_repeatable(), "the caller does not send it twice");
            assert_eq!(text(body.next().await).as_deref(), Some("efgh"));
            assert_eq!(upload.waits_for.get(), Party::Taker);
            assert!(body.next().await.is_none());
            assert_eq!((upload.waits_for.get(), upload.arrives()), (Party::Answerer, false));

            let large = Bytes::from(vec![b'x'; PIECE * 2 + 1]);
            let upload = Upload::new(None, None, &clock);
            assert_eq!(upload.length(std::slice::from_ref(&large)), Some(large.len() as u64));
            let pieces: Vec<usize> = upload.body(&[large]).map(|piece| piece.expect("sound").len()).collect().await;
            assert_eq!(pieces, [PIECE, PIECE, 1]);
            assert!(upload.is_repeatable());
        });
    }

    #[test]
    fn what_is_kept_elsewhere_comes_before_what_is_at_hand_and_once_only() {
        World::run(async |world| {
            let clock: SharedClock = world.clock.clone();
            let upload = Upload::new(arriving([Ok("xy"), Ok("z")], true), arriving([Ok("d")], true), &clock);
            assert_eq!((upload.length(&HEAD), upload.arrives(), upload.is_repeatable()), (Some(13), true, true));
            let mut body = upload.body(&HEAD);
            assert_eq!(text(body.next().await).as_deref(), Some("xy"));
            assert!(!upload.is_repeatable());
            let rest: Vec<String> = body.map(|piece| text(Some(piece)).expect("a piece")).collect().await;
            assert_eq!((rest.concat().as_str(), upload.waits_for.get()), ("zabcd", Party::Answerer));

            let lost = Failure::new(FailureClass::Internal, "the disk is gone");
            let upload = Upload::new(arriving([Err(lost.clone())], true), None, &clock);
            assert!(upload.body(&HEAD).next().await.is_some_and(|piece| piece.is_err()));
            assert_eq!(upload.broken(), Some(lost));
            let untold = Arriving { length: None, ..arriving([], true).expect("some") };
            assert_eq!(Upload::new(arriving([], true), Some(untold), &clock).length(&HEAD), None);
        });
    }

    #[test]
    fn a_caller_that_breaks_off_is_no_providers_fault() {
        World::run(async |world| {
            let clock: SharedClock = world.clock.clone();
            let left = Failure::new(FailureClass::InvalidRequest, "left");
            let upload = Upload::new(None, arriving([Ok("d"), Err(left.clone())], true), &clock);
            let mut body = upload.body(&[]);
            assert_eq!(text(body.next().await).as_deref(), Some("d"));
            assert_eq!(upload.broken(), None);
            assert!(body.next().await.is_some_and(|piece| piece.is_err()));
            assert_eq!(upload.broken(), Some(left));
        });
    }

    #[test]
    fn only_the_providers_own_time_is_counted() {
        World::run(async |world| {
            let clock: SharedClock = world.clock.clone();
            let (taking, answering) = (Duration::from_secs(60), Duration::from_secs(120));
            let upload = Upload::new(None, arriving([Ok("d")], false), &clock);
            let mut body = upload.body(&HEAD[..1]);
            let took = async |upload: &Upload| {
                let begun = clock.monotonic();
                let failure = upload.late("far", taking, answering).await;
                (failure.message.into_owned(), clock.monotonic() - begun)
            };
            assert_eq!(took(&upload).await, ("far took no more of the request within 60 s".to_owned(), taking));
            body.next().await;
            assert_eq!(took(&upload).await.1, taking, "a piece that is taken begins it anew");
            body.next().await;
            assert!(body.next().now_or_never().is_none());
            let hours = clock.pause(Duration::from_secs(7200));
            tokio::select! {
                _ = upload.late("far", taking, answering) => panic!("the caller's time was counted"),
                () = hours => {}
            }
            let whole = Upload::new(None, None, &clock);
            assert!(whole.body(&[]).next().await.is_none());
            assert_eq!(took(&whole).await, ("far did not answer within 120 s".to_owned(), answering));
        });
    }
}
