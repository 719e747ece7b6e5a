//! A form with files (`multipart/form-data`), as far as the gateway must know it: where the model's name stands. Everything else of the form
//! goes to the provider byte for byte. It is fed with pieces as the network cuts them, and keeps none of them.

use contract::failure::{Failure, FailureClass};
use memchr::memmem::Finder;
use std::ops::Range;

/// The most parts that are looked at, and the most bytes of one part's headers.
const MAX_PARTS: usize = 64;
const MAX_HEAD: usize = 16 << 10;
/// The longest model id.
const MAX_MODEL: usize = 512;

/// A form whose model is known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// The model id.
    pub(crate) model: String,
    /// The bytes of the form that are its name, with the space around it.
    pub(crate) place: Range<usize>,
}

/// Reads a form that must hold a file and one model.
pub(crate) struct Reader {
    /// The line's end, two dashes, and the boundary.
    delimiter: Finder<'static>,
    state: State,
    /// The last bytes of what was fed, which may begin a delimiter.
    tail: Vec<u8>,
    /// How many bytes were fed.
    fed: usize,
    parts: usize,
    /// Where the model's name stands.
    model: Option<Range<usize>>,
    /// The name, with what was read of the delimiter behind it.
    name: Vec<u8>,
    has_file: bool,
}

enum State {
    /// In what stands before the first part, or in a part's content: up to the next delimiter.
    Content(What),
    /// Behind a delimiter: the rest of its line, and the part's headers.
    Head(Vec<u8>),
    /// Behind the last delimiter.
    End,
}

#[derive(Clone, Copy)]
enum What {
    /// The model's name, which began at this byte.
    Model(usize),
    Other,
}

impl Reader {
    /// Reads a form of this content type.
    ///
    /// # Errors
    /// `InvalidRequest`: it is none.
    pub(crate) fn new(content_type: &str) -> Result<Self, Failure> {
        let is_form = content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data");
        let boundary = parameter(content_type, "boundary").filter(|_| is_form);
        let boundary = boundary.ok_or_else(|| odd("send multipart/form-data with a boundary"))?;
        Ok(Self {
            delimiter: Finder::new(&format!("\r\n--{boundary}")).into_owned(),
            // What stands before the first boundary is no part.
            state: State::Content(What::Other),
            // The first boundary may stand at the very begin.
            tail: b"\r\n".to_vec(),
            fed: 0,
            parts: 0,
            model: None,
            name: Vec::new(),
            has_file: false,
        })
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// `InvalidRequest`: it is no form, or names its model twice.
    pub(crate) fn feed(&mut self, mut piece: &[u8]) -> Result<(), Failure> {
        while !piece.is_empty() {
            let taken = match &mut self.state {
                State::End => piece.len(),
                State::Content(what) => {
                    let what = *what;
                    let found = self.find(piece);
                    let taken = found.unwrap_or(piece.len());
                    if let What::Model(from) = what {
                        self.hear(&piece[..taken], found.is_some(), from)?;
                    }
                    if found.is_some() {
                        self.state = State::Head(Vec::new());
                    }
                    taken
                }
                State::Head(head) => {
                    head.push(piece[0]);
                    if head.as_slice() == b"--" {
                        self.state = State::End;
                    } else if head.ends_with(b"\r\n\r\n") {
                        let name = name(head);
                        self.begin(&name)?;
                    } else if head.len() >= MAX_HEAD {
                        return Err(odd("the headers of a part have no end"));
                    }
                    1
                }
            };
            self.fed += taken;
            piece = &piece[taken..];
        }
        Ok(())
    }

    /// A part begins with the next byte but one.
    fn begin(&mut self, name: &str) -> Result<(), Failure> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(odd(&format!("it has more than {MAX_PARTS} parts")));
        }
        let mut what = What::Other;
        match name {
            "model" if self.model.is_some() => {
                return Err(Failure::invalid("model", "the field \"model\" stands twice in the form"));
            }
            "model" => what = What::Model(self.fed + 1),
            "file" => self.has_file = true,
            _ => {}
        }
        self.state = State::Content(what);
        Ok(())
    }

    /// The next bytes of the model's name, which begins at `from`; the last of them end with the delimiter.
    fn hear(&mut self, bytes: &[u8], is_end: bool, from: usize) -> Result<(), Failure> {
        let delimiter = self.delimiter.needle().len();
        if self.name.len() + bytes.len() > MAX_MODEL + delimiter {
            return Err(no_model());
        }
        self.name.extend_from_slice(bytes);
        if is_end {
            self.name.truncate(self.name.len() - delimiter);
            self.model = Some(from..from + self.name.len());
        }
        Ok(())
    }

    /// How many bytes of `piece` end with the first delimiter; `None` if there is none yet.
    fn find(&mut self, piece: &[u8]) -> Option<usize> {
        let length = self.delimiter.needle().len();
        let before = self.tail.len();
        // One that began in a piece before ends within the first bytes of this one.
        self.tail.extend_from_slice(&piece[..piece.len().min(length - 1)]);
        let found = match self.delimiter.find(&self.tail) {
            Some(at) => Some(at + length - before),
            None => self.delimiter.find(piece).map(|at| at + length),
        };
        if found.is_some() {
            self.tail.clear();
        } else {
            if piece.len() >= length {
                self.tail.clear();
                self.tail.extend_from_slice(&piece[piece.len() - (length - 1)..]);
            }
            let kept = self.tail.len().min(length - 1);
            self.tail.drain(..self.tail.len() - kept);
        }
        found
    }

    /// Whether all that must be known is known, and something is still to come.
    pub(crate) fn may_stream(&self) -> bool {
        self.model.is_some() && self.has_file && !matches!(self.state, State::End)
    }

    /// Checks that the form has come to its end.
    ///
    /// # Errors
    /// `InvalidRequest`: it has not.
    pub(crate) fn end(&self) -> Result<(), Failure> {
        match self.state {
            State::End => Ok(()),
            _ => Err(odd("its parts are not separated and ended as the boundary says")),
        }
    }

    /// The form, where all of it was fed.
    ///
    /// # Errors
    /// `InvalidRequest`: it is not at its end, or `param` is missing in it.
    pub(crate) fn whole(&self) -> Result<Form, Failure> {
        self.end()?;
        self.begun()
    }

    /// The form, of what was fed so far.
    ///
    /// # Errors
    /// `InvalidRequest`: `param` is missing in it, or is none.
    pub(crate) fn begun(&self) -> Result<Form, Failure> {
        let place = self.model.clone().ok_or_else(|| Failure::invalid("model", "the field \"model\" is missing"))?;
        if !self.has_file {
            return Err(Failure::invalid("file", "the field \"file\" is missing"));
        }
        let text = std::str::from_utf8(&self.name).ok().filter(|text| text.len() <= MAX_MODEL);
        Ok(Form { model: text.ok_or_else(no_model)?.trim().to_owned(), place })
    }
}

fn no_model() -> Failure {
    Failure::invalid("model", "\"model\" is wrong: it is no model id")
}

fn odd(why: &str) -> Failure {
    Failure::new(FailureClass::InvalidRequest, format!("the body is not a form: {why}"))
}

/// The name in a part's headers; empty if there is none.
fn name(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head);
    // The first is the rest of the delimiter's.
    let mut lines = head.split("\r\n").skip(1);
    let disposition = lines.find_map(|line| {
        let (header, value) = line.split_once(':')?;
        header.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    });
    disposition.and_then(|value| parameter(value, "name")).unwrap_or_default()
}

/// A parameter of a header's value: `…; name=token` or `…; name="text"`.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = &value[value.find(';')? + 1..];
    loop {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (text, behind) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(text).filter(|text| !text.is_empty());
        }
        rest = &behind[behind.find(';')? + 1..];
    }
}

/// A quoted text without its opening quote, and what stands behind its closing one.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => text.push(characters.next()?.1),
            character => text.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const KIND: &str = "multipart/form-data; boundary=XX";

    fn form(parts: &[(&str, &str)]) -> Bytes {
        let mut body = String::new();
        for (head, content) in parts {
            body.push_str(&format!("--XX\r\n{head}\r\n\r\n{content}\r\n"));
        }
        body.push_str("--XX--\r\n");
        body.into()
    }

    fn field(name: &str) -> String {
        format!("Content-Disposition: form-data; name=\"{name}\"")
    }

    /// The form, read whole.
    fn read(kind: &str, body: &Bytes) -> Result<Form, Failure> {
        read_in(kind, body, body.len().max(1))
    }

    /// The form, read in pieces of this size.
    fn read_in(kind: &str, body: &Bytes, size: usize) -> Result<Form, Failure> {
        let mut reader = Reader::new(kind)?;
        body.chunks(size).try_for_each(|piece| reader.feed(piece))?;
        reader.whole()
    }

    const MODEL: &str = "openai/whisper-1";
    const SOUND: &str = "RIFF\r\n--X\r\n\r\n --XX\n\r\n--\r\r\n-";

    #[test]
    fn every_piecing_gives_the_same_form() {
        let odd = format!("{}\r\ncontent-type: audio/wav", field("file"));
        let whole = form(&[(&field("model"), "openai/whisper-1"), (&odd, SOUND), (&field("language"), "de")]);
        let last = form(&[(&odd, SOUND), (&field("language"), "de"), (&field("model"), "openai/whisper-1")]);
        for body in [&whole, &last] {
            for before in ["", "before\r\n", "\r\n", "--X\r\n--\r\n"] {
                let body = Bytes::from([before.as_bytes(), body, b"behind --XX"].concat());
                let expected = read(KIND, &body).expect("a form");
                assert_eq!((expected.model.as_str(), &body[expected.place.clone()]), (MODEL, MODEL.as_bytes()));
                for size in 1..40 {
                    assert_eq!(read_in(KIND, &body, size).as_ref(), Ok(&expected), "{before:?} {size}");
                }
            }
        }
        for cut in 0..whole.len() {
            let mut reader = Reader::new(KIND).expect("a form");
            reader.feed(&whole[..cut]).expect("sound");
            reader.feed(&whole[cut..]).expect("sound");
            assert_eq!(reader.whole(), read(KIND, &whole), "{cut}");
        }
    }

    #[test]
    fn a_form_may_stream_from_where_both_its_model_and_its_file_are_known() {
        /// Where it may, fed byte by byte.
        fn may_from(body: &[u8]) -> Option<usize> {
            let mut reader = Reader::new(KIND).expect("a form");
            (0..body.len()).find(|at| {
                reader.feed(&body[*at..at + 1]).expect("sound");
                reader.may_stream()
            })
        }
        let model = (field("model"), "m");
        let file = (field("file"), "abc");
        let body = form(&[(&model.0, model.1), (&field("language"), "de"), (&file.0, file.1)]);
        let begins = memchr::memmem::find(&body, b"abc").expect("the file");
        assert_eq!(may_from(&body), Some(begins - 1));
        let mut reader = Reader::new(KIND).expect("a form");
        reader.feed(&body[..begins]).expect("sound");
        let begun = reader.begun().expect("known");
        assert_eq!((begun.model.as_str(), &body[begun.place.end..][..4]), ("m", &b"\r\n--"[..]));
        assert!(reader.end().is_err(), "half a form is none");
        reader.feed(&body[begins..]).expect("sound");
        assert_eq!((reader.end(), reader.may_stream()), (Ok(()), false), "all of it is there");
        let body = form(&[(&file.0, file.1), (&model.0, model.1), (&field("language"), "de")]);
        let known = memchr::memmem::find(&body, b"\r\n\r\nm\r\n--XX").expect("the model");
        assert_eq!(may_from(&body), Some(known + 10));
        assert_eq!(may_from(&form(&[(&model.0, model.1)])), None);
    }

    #[test]
    fn a_model_that_is_named_twice_is_refused_wherever_it_stands() {
        let (model, file) = (field("model"), field("file"));
        for parts in [
            [(&model, "m"), (&model, "n"), (&file, "x")],
            [(&model, "m"), (&file, "x"), (&model, "m")],
            [(&file, "x"), (&model, "m"), (&model, "n")],
        ] {
            let parts: Vec<(&str, &str)> = parts.iter().map(|(head, content)| (head.as_str(), *content)).collect();
            let refused = read_in(KIND, &form(&parts), 7).expect_err("refused");
            assert_eq!((refused.param.as_deref(), refused.class), (Some("model"), FailureClass::InvalidRequest));
        }
    }

    #[test]
    fn the_model_is_found_wherever_it_stands() {
        let file = "content-disposition: form-data; filename=\"a; name=\\\"model\\\".wav\"; name=file\r\ncontent-type: audio/wav";
        let sound = "RIFF\r\n--X\r\n\r\n --XX\n";
        for parts in [
            [(field("model"), "openai/whisper-1"), (file.to_owned(), sound)],
            [(file.to_owned(), sound), (field("model"), "openai/whisper-1")],
        ] {
            let parts: Vec<(&str, &str)> = parts.iter().map(|(head, content)| (head.as_str(), *content)).collect();
            let body = form(&parts);
            let read = read(KIND, &body).expect("a form");
            assert_eq!((read.model.as_str(), &body[read.place]), (MODEL, MODEL.as_bytes()));
        }
    }

    #[test]
    fn boundaries_are_read_as_they_are_written() {
        let body = form(&[(&field("file"), ""), (&field("model"), "m")]);
        for kind in ["multipart/form-data; boundary=\"XX\"", "Multipart/Form-Data; charset=utf-8; Boundary=XX"] {
            assert_eq!(read(kind, &body).map(|form| form.model).as_deref(), Ok("m"), "{kind}");
        }
        let preamble = Bytes::from([b"before\r\n", &body[..]].concat());
        assert_eq!(read(KIND, &preamble).map(|form| form.model).as_deref(), Ok("m"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let of = |parts: &[(&str, &str)]| read(KIND, &form(parts)).expect_err("refused").param;
        assert_eq!(of(&[(&field("file"), "x")]).as_deref(), Some("model"));
        assert_eq!(of(&[(&field("model"), "m")]).as_deref(), Some("file"));
        let long = "m".repeat(MAX_MODEL + 1);
        assert_eq!(of(&[(&field("file"), "x"), (&field("model"), &long)]).as_deref(), Some("model"));
        assert_eq!(of(&[]).as_deref(), Some("model"));
        let mut reader = Reader::new(KIND).expect("a form");
        let endless = format!("--XX\r\n{}\r\n\r\n{long}123456", field("model"));
        let refused = reader.feed(endless.as_bytes()).expect_err("nothing is kept that is no name");
        assert_eq!(refused.param.as_deref(), Some("model"));
    }

    #[test]
    fn every_cut_and_every_oddity_is_refused() {
        let body = form(&[(&field("file"), "abc"), (&field("model"), "m")]);
        for end in 0..body.len() - 4 {
            assert!(read(KIND, &body.slice(..end)).is_err(), "{end}");
        }
        for kind in [
            "",
            "application/json",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"X",
        ] {
            assert!(read(kind, &body).is_err(), "{kind}");
        }
        let many: Vec<(String, &str)> = (0..MAX_PARTS + 1).map(|at| (field(&format!("f{at}")), "x")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(head, content)| (head.as_str(), *content)).collect();
        assert!(read(KIND, &form(&many)).is_err());
        let endless = Bytes::from(format!("--XX\r\n{}", "a".repeat(MAX_HEAD * 2)));
        assert!(read(KIND, &endless).is_err());
    }
}
