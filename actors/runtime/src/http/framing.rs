//! Where an HTTP/1 body ends, and what of its bytes is content: pure, fed with pieces as the network cuts them.
//!
//! It keeps none of the bytes: what is content goes on at once.

use std::io;
use std::ops::Range;

/// The longest line of a chunk's size with its extensions, and the most bytes of trailers.
const LONGEST_LINE: usize = 4 << 10;
const MOST_TRAILERS: usize = 64 << 10;

/// How a body is framed, and how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// In chunks.
    Chunked(Chunk),
    /// Everything until the connection ends.
    UntilEnd,
}

/// What of a chunked body comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// The size's digits: what they say so far, and how many bytes its line has had.
    Size { size: u64, digits: u8 },
    /// What stands behind the size, up to the line's end.
    Extension { size: u64, length: usize },
    /// Content.
    Data(u64),
    /// The line's end behind the content.
    DataEnd,
    /// Lines behind the last chunk, up to an empty one.
    Trailer { is_empty: bool, length: usize },
    /// Nothing.
    End,
}

impl Chunk {
    pub(super) const START: Self = Chunk::Size { size: 0, digits: 0 };
}

impl Framing {
    /// Whether the body is complete.
    pub(super) fn is_complete(self) -> bool {
        matches!(self, Framing::Length(0) | Framing::Chunked(Chunk::End))
    }

    /// The first part of content in `piece`, and how far into it the framing is understood: what follows is for the next look. Nothing is
    /// understood beyond the body's end.
    ///
    /// # Errors
    /// `InvalidData`: these are no chunks.
    pub(super) fn next(&mut self, piece: &[u8]) -> io::Result<Part> {
        match self {
            Framing::UntilEnd => Ok(Part { content: 0..piece.len(), taken: piece.len() }),
            Framing::Length(left) => {
                let own = within(*left, piece);
                *left -= own as u64;
                Ok(Part { content: 0..own, taken: own })
            }
            Framing::Chunked(chunk) => {
                let mut part = Part { content: 0..0, taken: 0 };
                while let Some(byte) = piece.get(part.taken)
                    && *chunk != Chunk::End
                {
                    match *chunk {
                        // One part after the other: a server that sends two chunks means two.
                        Chunk::Data(_) if !part.content.is_empty() => break,
                        Chunk::Data(left) => {
                            let own = within(left, &piece[part.taken..]);
                            part.content = part.taken..part.taken + own;
                            part.taken += own;
                            let left = left - own as u64;
                            *chunk = if left == 0 { Chunk::DataEnd } else { Chunk::Data(left) };
                        }
                        _ => {
                            *chunk = chunk.after(*byte)?;
                            part.taken += 1;
                        }
                    }
                }
                Ok(part)
            }
        }
    }
}

/// What was found in a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Where the content lies; empty where there is none.
    pub(super) content: Range<usize>,
    /// How many bytes are done with.
    pub(super) taken: usize,
}

/// How many bytes of `piece` are among the next `left`.
fn within(left: u64, piece: &[u8]) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(piece.len())
}

impl Chunk {
    /// What comes after one more byte that is no content.
    fn after(self, byte: u8) -> io::Result<Self> {
        Ok(match self {
            Chunk::Size { size, digits } => match (byte as char).to_digit(16) {
                Some(digit) if digits < 16 => Chunk::Size { size: size << 4 | u64::from(digit), digits: digits + 1 },
                Some(_) => return Err(odd("a chunk's size is too large")),
                None if digits == 0 => return Err(odd("a chunk has no size")),
                None if byte == b'\n' => Chunk::after_size(size),
                None if matches!(byte, b'\r' | b';' | b' ' | b'\t') => Chunk::Extension { size, length: 1 },
                None => return Err(odd("a chunk's size is not a number")),
            },
            Chunk::Extension { size, .. } if byte == b'\n' => Chunk::after_size(size),
            Chunk::Extension { length, .. } if length >= LONGEST_LINE => return Err(odd("a chunk's line is too long")),
            Chunk::Extension { size, length } => Chunk::Extension { size, length: length + 1 },
            Chunk::DataEnd => match byte {
                b'\r' => Chunk::DataEnd,
                b'\n' => Chunk::START,
                _ => return Err(odd("a chunk is longer than its size")),
            },
            Chunk::Trailer { is_empty: true, .. } if byte == b'\n' => Chunk::End,
            Chunk::Trailer { length, .. } if length >= MOST_TRAILERS => return Err(odd("the trailers are too long")),
            Chunk::Trailer { is_empty, length } => {
                Chunk::Trailer { is_empty: byte == b'\n' || is_empty && byte == b'\r', length: length + 1 }
            }
            Chunk::Data(_) | Chunk::End => self,
        })
    }

    fn after_size(size: u64) -> Self {
        if size == 0 { Chunk::Trailer { is_empty: true, length: 0 } } else { Chunk::Data(size) }
    }
}

fn odd(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The content of `bytes` cut into these pieces, and what is left behind the body.
    fn read(mut framing: Framing, pieces: &[&[u8]]) -> Result<(String, String, bool), String> {
        let (mut content, mut rest) = (Vec::new(), Vec::new());
        for piece in pieces {
            let mut left = *piece;
            while !left.is_empty() && !framing.is_complete() {
                let part = framing.next(left).map_err(|error| error.to_string())?;
                content.extend_from_slice(&left[part.content]);
                left = &left[part.taken..];
            }
            rest.extend_from_slice(left);
        }
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ok((text(content), text(rest), framing.is_complete()))
    }

    const CHUNKED: Framing = Framing::Chunked(Chunk::START);

    #[test]
    fn bodies_end_where_they_say() {
        for (framing, bytes, content, rest, complete) in [
            (Framing::Length(3), "abcd", "abc", "d", true),
            (Framing::Length(3), "ab", "ab", "", false),
            (Framing::Length(0), "ab", "", "ab", true),
            (Framing::UntilEnd, "abc", "abc", "", false),
            (CHUNKED, "3\r\nabc\r\n0\r\n\r\nx", "abc", "x", true),
            (CHUNKED, "3;a=b\r\nabc\r\nA \r\n0123456789\r\n0\r\nt: u\r\nv: w\r\n\r\n", "abc0123456789", "", true),
            (CHUNKED, "3\nabc\n0\n\n", "abc", "", true),
            (CHUNKED, "3\r\nabc\r\n", "abc", "", false),
            (CHUNKED, "000003\r\nabc\r\n00\r\n\r\n", "abc", "", true),
        ] {
            let expected = Ok((content.to_owned(), rest.to_owned(), complete));
            assert_eq!(read(framing, &[bytes.as_bytes()]), expected, "{bytes:?}");
            let single: Vec<&[u8]> = bytes.as_bytes().chunks(1).collect();
            assert_eq!(read(framing, &single), expected, "{bytes:?} byte by byte");
        }
    }

    #[test]
    fn each_chunk_is_a_part_and_the_end_is_seen_with_the_last() {
        let (mut framing, bytes) = (CHUNKED, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nx");
        let first = framing.next(bytes).unwrap();
        assert_eq!((&bytes[first.content], first.taken), (&b"abc"[..], 11));
        assert!(!framing.is_complete());
        let second = framing.next(&bytes[11..]).unwrap();
        assert_eq!((&bytes[11..][second.content], second.taken), (&b"de"[..], 9));
        assert!(framing.is_complete());
        assert_eq!(framing.next(b"x").unwrap(), Part { content: 0..0, taken: 0 });
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        let long = format!("1;{}\r\n", "x".repeat(LONGEST_LINE));
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(MOST_TRAILERS));
        for bytes in ["\r\n", "x\r\n", "-1\r\n", "3\r\nabcd\r\n", "10000000000000000\r\n", "3,\r\n", &long, &trailers] {
            assert!(read(CHUNKED, &[bytes.as_bytes()]).is_err(), "{:?}", &bytes[..bytes.len().min(40)]);
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_content(
            chunks in prop::collection::vec("[a-z\r\n;0-9]{1,20}", 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut bytes: String = chunks.iter().map(|chunk| format!("{:x};q\r\n{chunk}\r\n", chunk.len())).collect();
            bytes.push_str("0\r\n\r\nbehind");
            let bytes = bytes.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(CHUNKED, &pieces), Ok((chunks.concat(), "behind".to_owned(), true)));
        }

        #[test]
        fn nothing_makes_it_panic_or_take_more_than_it_got(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut framing = CHUNKED;
            let mut left = &bytes[..];
            while let Ok(part) = framing.next(left) {
                prop_assert!(part.content.end <= part.taken && part.taken <= left.len());
                if part.taken == 0 {
                    break;
                }
                left = &left[part.taken..];
            }
        }
    }
}
