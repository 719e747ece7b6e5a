//! What of a request's body has to be kept until the rest of it is known: a little in memory, and what is more than that in a file without a
//! name, which is gone as soon as nobody holds it, whatever way its request ends.
//!
//! It writes and reads on the threads that are there to be blocked, one bounded piece at a time: the worker thread answers others meanwhile.
//! A disk that does not answer is waited for as long as [`DEADLINE`], and then given up. It does not know what it keeps.

use bytes::Bytes;
use contract::LocalBoxFuture;
use contract::clock::SharedClock;
use contract::direct::Pieces;
use contract::failure::{Failure, FailureClass};
use std::fs::File;
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::task::{JoinError, spawn_blocking};

/// The most bytes that wait in memory; with the piece that goes beyond they are written to the file.
pub(crate) const IN_MEMORY: usize = 256 << 10;
/// What is read back goes out in pieces of at most this size.
const PIECE: u64 = 64 << 10;
/// How long the disk may take for one piece.
const DEADLINE: Duration = Duration::from_secs(30);

/// What was kept so far.
pub(crate) struct Spool {
    /// Where the file is made.
    folder: Arc<Path>,
    clock: SharedClock,
    file: Option<Arc<File>>,
    /// How many bytes the file holds.
    written: u64,
    /// What comes after those.
    held: Vec<u8>,
}

impl Spool {
    /// An empty one. Its file, if it comes to need one, is made in this folder.
    pub(crate) fn new(folder: &Arc<Path>, clock: &SharedClock) -> Self {
        Self { folder: Arc::clone(folder), clock: Arc::clone(clock), file: None, written: 0, held: Vec::new() }
    }

    /// Keeps these bytes too.
    ///
    /// # Errors
    /// The file cannot be made or written, because the disk is full for example, or not within [`DEADLINE`]. What was kept before is lost then.
    pub(crate) async fn add(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.held.len() + piece.len() > IN_MEMORY {
            self.write().await?;
        }
        self.held.extend_from_slice(piece);
        Ok(())
    }

    async fn write(&mut self) -> io::Result<()> {
        let mut held = std::mem::take(&mut self.held);
        let (folder, file) = (Arc::clone(&self.folder), self.file.clone());
        let length = held.len() as u64;
        let written = spawn_blocking(move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(tempfile::tempfile_in(folder)?),
            };
            (&*file).write_all(&held)?;
            held.clear();
            Ok::<_, io::Error>((file, held))
        });
        let (file, held) = in_time(&self.clock, written).await?;
        (self.file, self.held) = (Some(file), held);
        self.written += length;
        Ok(())
    }

    /// All of it, to be read.
    pub(crate) fn kept(self) -> Kept {
        Kept { file: self.file, clock: self.clock, written: self.written, tail: self.held.into() }
    }
}

/// What was kept, once nothing more is added.
#[derive(Clone)]
pub(crate) struct Kept {
    file: Option<Arc<File>>,
    clock: SharedClock,
    written: u64,
    tail: Bytes,
}

impl Kept {
    /// All of it, if no file was needed.
    pub(crate) fn in_memory(&self) -> Option<&Bytes> {
        self.file.is_none().then_some(&self.tail)
    }

    /// How many bytes it has.
    pub(crate) fn length(&self) -> u64 {
        self.written + self.tail.len() as u64
    }

    /// These of its bytes, to be read piece by piece.
    pub(crate) fn read(&self, range: Range<u64>) -> Reading {
        Reading { kept: self.clone(), left: range, under_way: None }
    }
}

/// A part of what was kept, on its way out.
pub(crate) struct Reading {
    kept: Kept,
    left: Range<u64>,
    under_way: Option<LocalBoxFuture<'static, io::Result<Vec<u8>>>>,
}

/// What comes of a work on the disk, which goes on unheeded where it takes too long.
async fn in_time<T>(
    clock: &SharedClock,
    work: impl Future<Output = Result<io::Result<T>, JoinError>>,
) -> io::Result<T> {
    tokio::select! {
        biased;
        done = work => done.map_err(io::Error::from).flatten(),
        () = clock.patience(DEADLINE) => {
            let message = format!("the disk did not answer within {} s", DEADLINE.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, message))
        }
    }
}

impl Reading {
    /// The next piece, if it can be had without waiting, or the beginning of the wait for it.
    fn next(&mut self) -> Option<Bytes> {
        let Kept { file, clock, written, tail } = &self.kept;
        if let Some(file) = file.as_ref().filter(|_| self.left.start < *written) {
            let (file, at) = (Arc::clone(file), self.left.start);
            let length = PIECE.min(self.left.end.min(*written) - at) as usize;
            let piece = spawn_blocking(move || {
                let mut piece = vec![0; length];
                file.read_exact_at(&mut piece, at).map(|()| piece)
            });
            let clock = Arc::clone(clock);
            self.under_way = Some(Box::pin(async move { in_time(&clock, piece).await }));
            return None;
        }
        let place = |at: u64| (at - written) as usize;
        let piece = tail.slice(place(self.left.start)..place(self.left.end));
        self.left.start = self.left.end;
        Some(piece)
    }
}

impl Pieces for Reading {
    fn poll_piece(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        loop {
            if let Some(reading) = &mut self.under_way {
                let read = ready!(reading.as_mut().poll(context));
                self.under_way = None;
                return Poll::Ready(Some(match read {
                    Ok(piece) => {
                        self.left.start += piece.len() as u64;
                        Ok(piece.into())
                    }
                    Err(error) => {
                        let message = format!("what was kept of the request cannot be read back: {error}");
                        Err(Failure::new(FailureClass::Internal, message))
                    }
                }));
            }
            if self.left.is_empty() {
                return Poll::Ready(None);
            }
            if let Some(piece) = self.next() {
                return Poll::Ready(Some(Ok(piece)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::world::World;
    use std::future::poll_fn;

    fn folder(path: &Path) -> Arc<Path> {
        Arc::from(path)
    }

    async fn all(mut reading: Reading) -> Vec<u8> {
        let mut read = Vec::new();
        while let Some(piece) = poll_fn(|context| Pin::new(&mut reading).poll_piece(context)).await {
            let piece = piece.expect("readable");
            assert!(piece.len() <= IN_MEMORY);
            read.extend_from_slice(&piece);
        }
        read
    }

    #[test]
    fn every_part_of_what_was_kept_can_be_read_from_wherever_it_lies() {
        World::run(async |world| {
            let clock: SharedClock = world.clock.clone();
            let place = tempfile::tempdir().expect("a folder");
            let bytes: Vec<u8> = (0..IN_MEMORY * 2 + 77).map(|at| (at % 251) as u8).collect();
            let mut spool = Spool::new(&folder(place.path()), &clock);
            for piece in bytes.chunks(9_999) {
                spool.add(piece).await.expect("room");
                assert!(spool.held.len() <= IN_MEMORY, "memory has a bound");
            }
            assert!(spool.written > 0 && !spool.held.is_empty(), "both are tried");
            let border = spool.written as usize;
            let kept = spool.kept();
            assert_eq!((kept.length(), kept.in_memory()), (bytes.len() as u64, None));
            for range in [
                0..bytes.len(),
                0..0,
                0..1,
                border - 1..border + 1,
                border..border,
                border..bytes.len(),
                border + 5..border + 6,
                bytes.len() - 1..bytes.len(),
                77_777..200_000,
            ] {
                let read = all(kept.read(range.start as u64..range.end as u64)).await;
                assert!(read == bytes[range.clone()], "{range:?}");
            }
            assert_eq!(std::fs::read_dir(place.path()).expect("a folder").count(), 0, "it has no name");
        });
    }

    #[test]
    fn what_is_short_needs_no_disk_and_what_is_long_says_when_there_is_none() {
        World::run(async |world| {
            let clock: SharedClock = world.clock.clone();
            let mut spool = Spool::new(&folder(Path::new("/nowhere/at/all")), &clock);
            spool.add(&vec![7; IN_MEMORY]).await.expect("memory suffices");
            assert_eq!(spool.add(b"x").await.map_err(|error| error.kind()), Err(io::ErrorKind::NotFound));
            let mut short = Spool::new(&folder(Path::new("/nowhere/at/all")), &clock);
            short.add(b"ab").await.expect("memory suffices");
            short.add(b"c").await.expect("memory suffices");
            let kept = short.kept();
            assert_eq!(kept.in_memory(), Some(&Bytes::from_static(b"abc")));
            assert_eq!(all(kept.read(1..3)).await, b"bc");
        });
    }

    #[test]
    fn a_full_disk_is_told() {
        World::run(async |world| {
            let clock: SharedClock = world.clock.clone();
            let full = File::options().write(true).open("/dev/full").expect("a full disk");
            let mut spool = Spool { file: Some(Arc::new(full)), ..Spool::new(&folder(Path::new("/")), &clock) };
            spool.add(&vec![7; IN_MEMORY]).await.expect("memory suffices");
            assert_eq!(spool.add(b"x").await.map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
        });
    }

    #[test]
    fn a_disk_that_does_not_answer_is_given_up() {
        World::run(async |world| {
            let clock: SharedClock = world.clock.clone();
            let begun = clock.monotonic();
            let hung = || std::future::pending::<Result<io::Result<Vec<u8>>, JoinError>>();
            let failure = in_time(&clock, hung()).await.expect_err("nothing was done");
            assert_eq!((failure.kind(), clock.monotonic() - begun), (io::ErrorKind::TimedOut, DEADLINE));
            let kept = Kept { file: None, clock: Arc::clone(&clock), written: 0, tail: Bytes::new() };
            let hung: LocalBoxFuture<'static, _> = Box::pin(async move { in_time(&clock, hung()).await });
            let mut reading = Reading { under_way: Some(hung), ..kept.read(0..1) };
            let read = poll_fn(|context| Pin::new(&mut reading).poll_piece(context)).await;
            let failure = read.expect("an end").expect_err("nothing was read");
            assert_eq!(failure.class, FailureClass::Internal);
            assert!(failure.message.contains("did not answer within 30 s"), "{failure}");
        });
    }
}
