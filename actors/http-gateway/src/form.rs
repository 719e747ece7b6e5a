//! A form with files (`multipart/form-data`), as far as the gateway must know it: where the model's name stands. Everything else of the form
//! goes to the provider byte for byte. It copies nothing and keeps nothing.

use bytes::Bytes;
use contract::failure::{Failure, FailureClass};
use memchr::memmem;
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
    /// What stands before it and behind it.
    pub(crate) around: (Bytes, Bytes),
}

/// Reads a form that must hold a file and a model.
///
/// # Errors
/// `InvalidRequest`: it is no form, or `param` is missing in it.
pub(crate) fn read(content_type: &str, body: &Bytes) -> Result<Form, Failure> {
    let odd = |why: &str| Failure::new(FailureClass::InvalidRequest, format!("the body is not a form: {why}"));
    let is_form = content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data");
    let boundary = parameter(content_type, "boundary").filter(|_| is_form);
    let boundary = boundary.ok_or_else(|| odd("send multipart/form-data with a boundary"))?;
    let (mut model, mut file) = (None, false);
    for part in parts(body, &boundary).ok_or_else(|| odd("its parts are not separated as the boundary says"))? {
        match part.name.as_str() {
            "model" => model = Some(part.content),
            "file" => file = true,
            _ => {}
        }
    }
    let place = model.ok_or_else(|| Failure::invalid("model", "the field \"model\" is missing"))?;
    if !file {
        return Err(Failure::invalid("file", "the field \"file\" is missing"));
    }
    let text = std::str::from_utf8(&body[place.clone()]).ok().filter(|text| text.len() <= MAX_MODEL);
    let text = text.ok_or_else(|| Failure::invalid("model", "\"model\" is wrong: it is no model id"))?;
    let around = (body.slice(..place.start), body.slice(place.end..));
    Ok(Form { model: text.trim().to_owned(), around })
}

struct Part {
    name: String,
    content: Range<usize>,
}

/// Every part, in order. `None` if the bytes are no form of that boundary.
fn parts(body: &[u8], boundary: &str) -> Option<Vec<Part>> {
    let delimiter = format!("\r\n--{boundary}");
    let opening = &delimiter.as_bytes()[2..];
    // What stands before the first boundary is no part.
    let mut at = match body.starts_with(opening) {
        true => opening.len(),
        false => memmem::find(body, delimiter.as_bytes())? + delimiter.len(),
    };
    let finder = memmem::Finder::new(delimiter.as_bytes());
    let mut parts = Vec::new();
    loop {
        if body.get(at..at + 2)? == b"--" {
            return Some(parts);
        }
        if parts.len() >= MAX_PARTS {
            return None;
        }
        let line_end = memmem::find(body.get(at..body.len().min(at + MAX_HEAD))?, b"\r\n")? + at + 2;
        let rest = body.get(line_end..)?;
        // A part without any header begins with the empty line.
        let (head, content) = match rest.starts_with(b"\r\n") {
            true => (&rest[..0], line_end + 2),
            false => {
                let end = memmem::find(&rest[..rest.len().min(MAX_HEAD)], b"\r\n\r\n")?;
                (&rest[..end], line_end + end + 4)
            }
        };
        let end = finder.find(body.get(content..)?)? + content;
        parts.push(Part { name: name(head), content: content..end });
        at = end + delimiter.len();
    }
}

/// The name in a part's headers; empty if there is none.
fn name(head: &[u8]) -> String {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
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
            assert_eq!(read.model, "openai/whisper-1");
            let again = [&read.around.0[..], b"openai/whisper-1", &read.around.1].concat();
            assert_eq!(again, body);
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
