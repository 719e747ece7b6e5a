//! What the encoders share: the request behind a call, pictures, arguments, and writing a JSON object member by member.
//!
//! Nothing here knows a provider.

use super::PutBack;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::chat::ChatRequest;
use contract::failure::Failure;
use contract::json::put_string;
use contract::provider::CallBody;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::fmt;
use std::rc::Rc;

/// The request behind a call's body.
///
/// # Errors
/// What `ChatRequest::parse` says, or that several answers were asked for.
pub fn request(body: &CallBody) -> Result<Rc<ChatRequest>, Failure> {
    let request = match body {
        CallBody::Raw(bytes) => Rc::new(ChatRequest::parse(bytes)?),
        CallBody::Request(request) => Rc::clone(request),
    };
    for (name, value) in &request.extra {
        check_single(name, value)?;
    }
    Ok(request)
}

/// HAIA reads one answer per request.
///
/// # Errors
/// `InvalidRequest` if the member asks for several.
pub fn check_single(name: &str, value: &RawValue) -> Result<(), Failure> {
    if name == "n" && !matches!(value.get(), "1" | "null") {
        return Err(Failure::invalid("n", "\"n\" must be 1: HAIA gives one answer per request"));
    }
    Ok(())
}

/// The body with proofs of thinking in the messages that they came with; `None` if it cannot be read.
pub fn put_back(body: &CallBody, proofs: &[PutBack]) -> Option<CallBody> {
    let mut request = match body {
        CallBody::Raw(bytes) => Rc::new(ChatRequest::parse(bytes).ok()?),
        CallBody::Request(request) => Rc::clone(request),
    };
    let messages = &mut Rc::make_mut(&mut request).messages;
    for proof in proofs {
        if let Some(message) = messages.get_mut(proof.message).filter(|message| message.opaque.is_empty()) {
            message.opaque.clone_from(&proof.parts);
        }
    }
    Some(CallBody::Request(request))
}

/// How hard a model is asked to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as it can.
    Minimal,
    /// A little.
    Low,
    /// As it likes.
    Medium,
    /// Much.
    High,
}

/// What `reasoning_effort` asks for. The formats know no more than `high`, so what lies beyond is that.
///
/// # Errors
/// `InvalidRequest` for a word that is none of OpenAI's.
pub fn effort(request: &ChatRequest) -> Result<Option<Effort>, Failure> {
    let Some(contract::chat::Effort(word)) = &request.reasoning_effort else { return Ok(None) };
    Ok(Some(match word.as_str() {
        "none" => Effort::None,
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" | "xhigh" | "max" => Effort::High,
        _ => {
            let message = "\"reasoning_effort\" must be none, minimal, low, medium, high or xhigh";
            return Err(Failure::invalid("reasoning_effort", message));
        }
    }))
}

/// What is to be told of a request in any format. Where the provider's own bytes cannot be handed on, calls are printed in the newer form.
pub fn notices(request: &ChatRequest) -> Vec<String> {
    let told = "functions were offered as tools; calls come as tool_calls: send tools in place of functions".to_owned();
    request.functions.then_some(told).into_iter().collect()
}

/// The notice for a person whose tools were left out.
pub fn without_tools(model: &str) -> String {
    format!("the model {model} takes no tools; answered without them")
}

/// The notice for a person whose model was not asked to think.
pub fn without_thinking(model: &str) -> String {
    format!("the model {model} answered without thinking: it cannot")
}

/// The type of a picture that its first bytes tell.
pub fn picture_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Some("image/png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// The type under which a picture goes out: providers refuse one that its bytes belie, and names that clients made up for JPEG.
fn told_type<'a>(media_type: &'a str, base64: &str) -> &'a str {
    // Sixteen characters are the first twelve bytes.
    let first = base64.get(..16).and_then(|text| STANDARD.decode(text).ok());
    match first.as_deref().and_then(picture_type) {
        Some(told) => told,
        None if matches!(media_type, "image/jpg" | "image/pjpeg") => "image/jpeg",
        None => media_type,
    }
}

/// Where a picture's bytes are.
pub enum Picture<'a> {
    /// In the URL itself.
    Inline {
        /// `image/png`, …
        media_type: &'a str,
        /// The bytes in base64.
        base64: &'a str,
    },
    /// Behind an http(s) URL.
    Link(&'a str),
}

/// Reads the URL of a picture in message `at`.
///
/// # Errors
/// `InvalidRequest` naming the message if it is neither http(s) nor a base64 `data:` URL.
pub fn picture(url: &str, at: usize) -> Result<Picture<'_>, Failure> {
    if url.starts_with("http://") || url.starts_with("https://") {
        return Ok(Picture::Link(url));
    }
    let inline = url.strip_prefix("data:").and_then(|rest| {
        let (kind, base64) = rest.split_once(',')?;
        let kind = kind.strip_suffix(";base64")?;
        let media_type = kind.split(';').next().filter(|kind| !kind.is_empty())?;
        Some(Picture::Inline { media_type: told_type(media_type, base64), base64 })
    });
    inline.ok_or_else(|| {
        let message = "a picture must be a URL of the form data:image/png;base64,… or https://…";
        Failure::invalid(format!("messages[{at}].content"), message)
    })
}

/// A part that the format cannot carry.
pub fn unusable_part(kind: &str, at: usize, model: &str) -> Failure {
    let message = format!("a part of the type {kind:?} cannot be sent to {model}: send text or image_url");
    Failure::invalid(format!("messages[{at}].content"), message)
}

/// Arguments of an earlier call as a JSON object. Text that is none is kept under `INVALID_JSON`, so that the model sees what it wrote.
pub fn arguments_object(text: &str) -> Box<RawValue> {
    let trimmed = text.trim();
    let object = |text: String| RawValue::from_string(text).ok().filter(|raw| raw.get().starts_with('{'));
    let written = if trimmed.is_empty() { object("{}".to_owned()) } else { object(trimmed.to_owned()) };
    let kept = || object(serde_json::json!({ "INVALID_JSON": text }).to_string());
    written.or_else(kept).unwrap_or_else(|| RawValue::NULL.to_owned())
}

/// The schema of a tool without parameters.
pub const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// The members of a JSON object, unread, in order.
pub struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// A JSON object in the making.
pub struct Object {
    out: Vec<u8>,
    /// The first [`FEW`] of its names, and the others: a client may send any number.
    names: Vec<String>,
    others: HashSet<String>,
}

/// The most names that are looked through one by one, which is the quickest for a few.
const FEW: usize = 64;

impl Object {
    /// An empty object, with room for about `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut out = Vec::with_capacity(bytes);
        out.push(b'{');
        Self { out, names: Vec::new(), others: HashSet::new() }
    }

    /// Whether there is a member of that name.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name) || (!self.others.is_empty() && self.others.contains(name))
    }

    /// Adds a member, unless there is one of that name. What cannot be written as JSON is left out: no type here is like that.
    pub fn add(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.add_written(name, |out| serde_json::to_writer(out, value));
    }

    /// As [`Object::add`], for a value that writes itself.
    pub fn add_written(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>) {
        if self.has(name) {
            return;
        }
        let before = self.out.len();
        if before > 1 {
            self.out.push(b',');
        }
        put_string(&mut self.out, name);
        self.out.push(b':');
        match write(&mut self.out) {
            Ok(()) if self.names.len() < FEW => self.names.push(name.to_owned()),
            Ok(()) => drop(self.others.insert(name.to_owned())),
            Err(_) => self.out.truncate(before),
        }
    }

    /// Adds a member if there is a value.
    pub fn add_some(&mut self, name: &str, value: Option<&(impl Serialize + ?Sized)>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// The object's text.
    pub fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_read() {
        let inline = |url: &str| match picture(url, 3) {
            Ok(Picture::Inline { media_type, base64 }) => Ok((media_type.to_owned(), base64.to_owned())),
            Ok(Picture::Link(url)) => Ok(("link".to_owned(), url.to_owned())),
            Err(failure) => Err(failure.param),
        };
        let pair = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(inline("data:image/png;base64,AAAA"), pair("image/png", "AAAA"));
        assert_eq!(inline("data:image/png;name=x;base64,AAAA"), pair("image/png", "AAAA"));
        assert_eq!(inline("data:image/jpg;base64,AAAA"), pair("image/jpeg", "AAAA"));
        for (base64, media_type) in [
            ("iVBORw0KGgoAAAANSUhEUg==", "image/png"),
            ("/9j/4AAQSkZJRgABAQEASA==", "image/jpeg"),
            ("R0lGODlhAQABAIAAAAAAAA==", "image/gif"),
            ("UklGRiQAAABXRUJQVlA4IA==", "image/webp"),
            ("AAAAAAAAAAAAAAAAAAAAAA==", "image/bmp"),
        ] {
            assert_eq!(inline(&format!("data:image/bmp;base64,{base64}")), pair(media_type, base64));
        }
        assert_eq!(inline("https://x/y.png"), pair("link", "https://x/y.png"));
        for odd in ["data:;base64,AA", "data:image/png,AA", "file:///etc/passwd", "", "data:"] {
            assert_eq!(inline(odd), Err(Some("messages[3].content".to_owned())), "{odd}");
        }
    }

    #[test]
    fn arguments_become_an_object() {
        for (text, object) in [
            ("", "{}"),
            ("  ", "{}"),
            (" {\"a\": 1.50} ", "{\"a\": 1.50}"),
            ("[1]", "{\"INVALID_JSON\":\"[1]\"}"),
            ("{\"a\":", "{\"INVALID_JSON\":\"{\\\"a\\\":\"}"),
        ] {
            assert_eq!(arguments_object(text).get(), object);
        }
    }

    #[test]
    fn an_object_has_each_member_once() {
        let mut object = Object::with_capacity(0);
        object.add("a", &1);
        object.add("a", &2);
        object.add_some("b", Some("x"));
        object.add_some("c", None::<&str>);
        assert_eq!(object.finish(), br#"{"a":1,"b":"x"}"#);
        let mut many = Object::with_capacity(0);
        for at in (0..FEW * 3).chain(0..FEW * 3) {
            many.add(&format!("x{at}"), &at);
        }
        let read: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&many.finish()).expect("JSON");
        assert_eq!(read.len(), FEW * 3);
    }
}
