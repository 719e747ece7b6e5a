//! The begin of an answer: finds its head among the bytes as they come.
//!
//! Interim answers (`100 Continue`, `102 Processing`, `103 Early Hints`) stand before the one that counts and are passed over. It does no I/O
//! and reads nothing of the body.

use super::answer::{Head, read_head};
use super::framing::Framing;
use bytes::Bytes;

/// The most interim answers before the one that counts: a server may send one every second while it works.
const MOST_INTERIM: usize = 256;

/// What the bytes so far say.
pub(super) enum Look {
    /// No head yet.
    Incomplete,
    /// The connection ended before it.
    Ended,
    /// It is none, and why.
    Odd(&'static str),
    /// The head, how the body is framed, whether the connection may be kept, and what came of the body.
    Head { head: Head, framing: Framing, keeps: bool, come: Bytes },
}

/// An answer whose head has not come.
#[derive(Default)]
pub(super) struct Beginning {
    /// The bytes of a head that is not complete.
    before: Vec<u8>,
    interim: usize,
}

impl Beginning {
    /// Looks at the next bytes; none are the connection's end.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Look {
        if bytes.is_empty() {
            return Look::Ended;
        }
        if !self.before.is_empty() {
            self.before.extend_from_slice(bytes);
        }
        let all = if self.before.is_empty() { bytes } else { self.before.as_slice() };
        let mut from = 0;
        loop {
            match read_head(&all[from..]) {
                Err(what) => return Look::Odd(what),
                Ok(None) => break,
                Ok(Some((head, _, _, end))) if is_interim(head.status()) => {
                    from += end;
                    self.interim += 1;
                    if self.interim > MOST_INTERIM {
                        return Look::Odd("there are interim answers without end");
                    }
                }
                Ok(Some((head, framing, keeps, end))) => {
                    return Look::Head { head, framing, keeps, come: Bytes::copy_from_slice(&all[from + end..]) };
                }
            }
        }
        if self.before.is_empty() {
            self.before.extend_from_slice(&bytes[from..]);
        } else {
            self.before.drain(..from);
        }
        Look::Incomplete
    }
}

/// Whether another answer follows this one. After `101` the connection speaks no HTTP any more.
fn is_interim(status: u16) -> bool {
    (100..200).contains(&status) && status != 101
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";

    /// The status and what came of the body, of these pieces; `None` while there is no head.
    fn look<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<(u16, Bytes)>, &'static str> {
        let mut beginning = Beginning::default();
        for piece in pieces {
            match beginning.look(piece) {
                Look::Incomplete => {}
                Look::Ended => return Err("ended"),
                Look::Odd(what) => return Err(what),
                Look::Head { head, come, .. } => return Ok(Some((head.status(), come))),
            }
        }
        Ok(None)
    }

    #[test]
    fn interim_answers_are_passed_over_however_they_are_cut() {
        let answer = "HTTP/1.1 429 Slow\r\ncontent-length: 2\r\n\r\nhi";
        let bytes = format!("HTTP/1.1 100 Continue\r\n\r\n{INTERIM}{answer}");
        assert_eq!(look([bytes.as_bytes()]), Ok(Some((429, Bytes::from_static(b"hi")))));
        for cut in 1..bytes.len() {
            let (one, two) = bytes.as_bytes().split_at(cut);
            let told = look([one, two]).expect("a head").expect("complete");
            assert_eq!(told.0, 429, "cut at {cut}");
        }
        assert_eq!(look(bytes.as_bytes().chunks(1)), Ok(Some((429, Bytes::new()))));
        assert_eq!(look([INTERIM.as_bytes()]), Ok(None));
        assert_eq!(look([INTERIM.as_bytes(), b""]), Err("ended"));
    }

    #[test]
    fn what_never_comes_to_an_answer_is_refused() {
        let told = |count: usize| {
            look(std::iter::repeat_n(INTERIM.as_bytes(), count).chain([&b"HTTP/1.1 200 OK\r\n\r\n"[..]]))
        };
        assert_eq!(told(MOST_INTERIM), Ok(Some((200, Bytes::new()))));
        assert_eq!(told(MOST_INTERIM + 1), Err("there are interim answers without end"));
        let switching = look([&b"HTTP/1.1 101 Switching Protocols\r\n\r\n"[..]]);
        assert_eq!(switching, Ok(Some((101, Bytes::new()))), "not HTTP from here on");
    }
}
