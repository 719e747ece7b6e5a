//! Bodies that come piece by piece: how they are framed, that they wait for the server, and what becomes of those that break off.

use super::*;
use futures_util::stream::{self, Stream};
use std::io;
use std::rc::Rc;
use tokio::sync::Notify;

/// Everything that the client sends until it leaves or says that it has ended.
async fn all(connection: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end) && connection.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {}
    bytes
}

/// A server that gives back what it was sent, up to these last bytes.
async fn echo(end: &'static [u8]) -> Asking {
    let url = server(move |_, mut connection| async move {
        loop {
            let bytes = all(&mut connection, end).await;
            if bytes.is_empty() {
                return;
            }
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", bytes.len());
            let _ = connection.write_all(&[head.as_bytes(), &bytes].concat()).await;
        }
    });
    Asking::at(&url.await)
}

fn pieces<'a>(pieces: &[&'a [u8]]) -> impl Stream<Item = io::Result<Bytes>> + Unpin + use<'a> {
    let pieces: Vec<io::Result<Bytes>> = pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces)
}

impl Asking {
    async fn upload(
        &self,
        length: Option<u64>,
        body: impl Stream<Item = io::Result<Bytes>> + Unpin,
    ) -> Result<Vec<u8>, SendRequestError> {
        let mut answer = self.origin.upload(&self.template, length, body, false).await.map_err(|none| none.error)?;
        let mut bytes = Vec::new();
        while let Some(piece) = answer.body.next().await {
            bytes.extend_from_slice(&piece.expect("sound"));
        }
        assert!(answer.body.is_whole());
        Ok(bytes)
    }
}

fn behind_head(bytes: &[u8]) -> (&str, &[u8]) {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").expect("a head") + 4;
    (std::str::from_utf8(&bytes[..end]).expect("text"), &bytes[end..])
}

#[test]
fn with_a_length_the_bytes_go_as_they_are_and_without_one_in_chunks() {
    run(async {
        let large = [b"x".repeat(100_000), b"END".to_vec()].concat();
        let asking = echo(b"END").await;
        for _ in 0..2 {
            let body = pieces(&[b"a", b"", &large]);
            let told = asking.upload(Some(1 + large.len() as u64), body).await.expect("an answer");
            let (head, body) = behind_head(&told);
            assert!(head.ends_with("\r\nauthorization: Bearer k\r\ncontent-length: 100004\r\n\r\n"), "{head}");
            assert!(body == [b"a", &large[..]].concat());
            assert_eq!(asking.kept(), 1);
        }
        let asking = echo(b"0\r\n\r\n").await;
        let told = asking.upload(None, pieces(&[b"a", b"", &large, b"bc"])).await.expect("an answer");
        let (head, body) = behind_head(&told);
        assert!(head.ends_with("\r\ntransfer-encoding: chunked\r\n\r\n"), "{head}");
        let expected = [b"1\r\na\r\n186a3\r\n", &large[..], b"\r\n2\r\nbc\r\n0\r\n\r\n"].concat();
        assert!(body == expected);
        assert_eq!(asking.kept(), 1);
    });
}

#[test]
fn a_fresh_connection_is_one_that_nothing_can_have_happened_to() {
    run(async {
        let asking = echo(b"END").await;
        asking.upload(Some(3), pieces(&[b"END"])).await.expect("an answer");
        assert_eq!(asking.kept(), 1);
        for (fresh, kept) in [(false, 1), (true, 2), (true, 3)] {
            let sent = asking
                .origin
                .upload(&asking.template, Some(3), pieces(&[b"END"]), fresh)
                .await
                .map_err(|none| none.error);
            let mut answer = sent.expect("an answer");
            while answer.body.next().await.is_some() {}
            drop(answer);
            assert_eq!(asking.kept(), kept);
        }
    });
}

#[test]
fn nothing_is_asked_for_before_the_server_took_what_it_was_given() {
    run(async {
        let reads = Rc::new(Notify::new());
        let may_read = Rc::clone(&reads);
        let url = server(move |_, mut connection| {
            let may_read = Rc::clone(&may_read);
            async move {
                may_read.notified().await;
                all(&mut connection, b"END").await;
                let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
            }
        });
        let asking = Asking::at(&url.await);
        let given = Rc::new(Cell::new(0_usize));
        let (count, piece) = (Rc::clone(&given), Bytes::from(vec![b'x'; 64 << 10]));
        let much = stream::iter(0..1600).map(move |_| {
            count.set(count.get() + 1);
            Ok(piece.clone())
        });
        let body = much.chain(stream::iter([Ok(Bytes::from_static(b"END"))]));
        let mut uploading = Box::pin(asking.upload(Some(1600 * (64 << 10) + 3), body));
        // Until the connection takes no more: then nothing changes however often it is looked at.
        let mut before = usize::MAX;
        for _ in 0..3 {
            while before != given.get() {
                before = given.get();
                for _ in 0..100 {
                    assert!(poll_fn(|context| Poll::Ready(uploading.as_mut().poll(context).is_pending())).await);
                    tokio::task::yield_now().await;
                }
            }
        }
        assert!(given.get() < 400, "{} pieces of 64 KiB were taken though nobody reads them", given.get());
        reads.notify_one();
        assert_eq!(uploading.await.expect("an answer"), b"hi");
        assert_eq!(given.get(), 1600);
    });
}

#[test]
fn an_early_refusal_ends_the_upload() {
    run(async {
        for closes in [true, false] {
            let url = server(move |_, mut connection| async move {
                head_of_request(&mut connection).await;
                let _ = connection.write_all(b"HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\nno").await;
                if !closes {
                    std::future::pending::<()>().await;
                }
            });
            let asking = Asking::at(&url.await);
            // The body never ends by itself: not even a piece more would ever come.
            let body = pieces(&[b"abc"]).chain(stream::pending());
            let mut answer =
                asking.origin.upload(&asking.template, None, body, true).await.expect("an answer to half a request");
            assert_eq!(answer.head.status(), 401);
            assert_eq!(answer.body.next().await.expect("a piece").expect("sound"), "no");
            assert_eq!(asking.kept(), 0);
        }
    });
}

#[test]
fn a_body_that_breaks_off_is_never_passed_off_as_whole() {
    run(async {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let bytes = Rc::clone(&seen);
        let url = server(move |number, mut connection| {
            let bytes = Rc::clone(&bytes);
            async move {
                if number == 3 {
                    // Too early: the body breaks off after that.
                    let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
                }
                let read = all(&mut connection, b"0\r\n\r\n").await;
                bytes.borrow_mut().push(read);
            }
        });
        let asking = Asking::at(&url.await);
        for (length, waits) in [(None, Some(0)), (Some(5), None), (Some(2), None), (None, Some(2))] {
            // Nobody wakes it while it waits: it is looked at once more when the answer is there, and once after that.
            let mut waits = waits;
            let end = stream::poll_fn(move |_| match waits.as_mut() {
                None => Poll::Ready(None),
                Some(0) => Poll::Ready(Some(Err(io::Error::other("broke off")))),
                Some(left) => {
                    *left -= 1;
                    Poll::Pending
                }
            });
            let body = pieces(&[b"abc"]).chain(end);
            let told = asking.upload(length, body).await.expect_err("no answer");
            assert!(matches!(&told, SendRequestError::Send(error) if error.kind() == io::ErrorKind::Other), "{told:?}");
            assert_eq!(asking.kept(), 0);
        }
        while seen.borrow().len() < 4 {
            tokio::task::yield_now().await;
        }
        assert!(seen.borrow().iter().all(|read| !read.ends_with(b"0\r\n\r\n")));
    });
}

#[test]
fn a_body_that_was_cut_is_not_whole() {
    run(async {
        for (answer, is_whole) in [
            (&b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"[..], true),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi", false),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n", false),
            (b"HTTP/1.1 200 OK\r\n\r\nhi", true),
        ] {
            let url = server(move |_, mut connection| async move {
                let _ = request(&mut connection).await;
                let _ = connection.write_all(answer).await;
            });
            let mut answer = Asking::at(&url.await).send("{}").await.expect("an answer");
            while let Some(piece) = answer.body.next().await {
                assert_eq!(piece.expect("sound"), "hi");
            }
            assert_eq!(answer.body.is_whole(), is_whole);
        }
    });
}

#[test]
fn a_secured_connection_holds_nothing_back() {
    run(async {
        // The answer comes once the last bytes have come, and they wait for nothing behind them.
        let large = b"x".repeat(300_000);
        let asking = secured(b"HTTP/1.1 413 Large\r\ncontent-length: 2\r\n\r\nhi");
        let body = pieces(&[b"a", &large, b"{}"]).chain(stream::pending());
        let answer = asking.origin.upload(&asking.template, None, body, true).await.expect("an answer");
        assert_eq!(answer.head.status(), 413);
    });
}
