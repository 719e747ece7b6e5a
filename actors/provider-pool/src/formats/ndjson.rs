//! Lines of JSON: cuts a stream of bytes into lines, however the network cut it.
//!
//! A line that lies whole within one network piece is not copied. It never interprets a line; empty ones are left out.

use super::MAX_EVENT;
use contract::failure::{Failure, FailureClass};
use memchr::memchr;

/// The reader's state between two pieces.
pub struct Lines {
    limit: usize,
    carry: Vec<u8>,
}

impl Lines {
    /// A reader that refuses lines beyond [`MAX_EVENT`].
    pub fn new() -> Self {
        Self { limit: MAX_EVENT, carry: Vec::new() }
    }

    /// Takes the next piece and hands over the lines that it completes.
    ///
    /// # Errors
    /// Whatever `take` says, at once; or a failure if a line is larger than the limit.
    pub fn feed(&mut self, piece: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut rest = piece;
        while let Some(end) = memchr(b'\n', rest) {
            let line = &rest[..end];
            rest = &rest[end + 1..];
            self.check(line.len())?;
            if self.carry.is_empty() {
                hand_over(line, &mut take)?;
            } else {
                let mut whole = std::mem::take(&mut self.carry);
                whole.extend_from_slice(line);
                hand_over(&whole, &mut take)?;
                whole.clear();
                whole.shrink_to(64 * 1024);
                self.carry = whole;
            }
        }
        self.check(rest.len())?;
        self.carry.extend_from_slice(rest);
        Ok(())
    }

    /// The stream ended: hands over a last line without a line end.
    ///
    /// # Errors
    /// Whatever `take` says.
    pub fn end(&mut self, mut take: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let line = std::mem::take(&mut self.carry);
        hand_over(&line, &mut take)
    }

    fn check(&self, more: usize) -> Result<(), Failure> {
        if self.carry.len() + more > self.limit {
            let message = format!("the provider sent a line larger than {} MiB", self.limit >> 20);
            return Err(Failure::new(FailureClass::Truncated, message));
        }
        Ok(())
    }
}

fn hand_over(line: &[u8], take: &mut impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
    if line.is_empty() { Ok(()) } else { take(line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::new();
        let mut found = Vec::new();
        for piece in pieces {
            lines
                .feed(piece, |line| {
                    found.push(line.to_vec());
                    Ok(())
                })
                .expect("small lines");
        }
        lines
            .end(|line| {
                found.push(line.to_vec());
                Ok(())
            })
            .expect("small lines");
        found
    }

    #[test]
    fn lines_at_every_cut() {
        let bytes = "\u{feff}{\"a\":1}\r\n\n{\"é\":2}\n {\"b\":3}".as_bytes();
        let expected: Vec<Vec<u8>> =
            ["{\"a\":1}", "{\"é\":2}", "{\"b\":3}"].map(|line| line.as_bytes().to_vec()).to_vec();
        for cut in 0..=bytes.len() {
            assert_eq!(read(&[&bytes[..cut], &bytes[cut..]]), expected, "cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&single), expected);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = Lines { limit: 64, carry: Vec::new() };
        assert!(lines.feed(&[b'x'; 40], |_| Ok(())).is_ok());
        assert_eq!(lines.feed(&[b'x'; 40], |_| Ok(())).map_err(|failure| failure.class), Err(FailureClass::Truncated));
    }
}
