//! Content as Anthropic writes it: a text, or blocks.

use contract::chat::{Content, Part};
use contract::failure::Failure;
use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::json;
use serde_json::value::RawValue;

/// A text, or blocks.
pub(crate) enum Blocks {
    /// Plain text.
    Text(String),
    /// Blocks in order.
    List(Vec<Block>),
}

/// A block. The members that its type does not know are absent.
pub(crate) struct Block {
    pub(crate) kind: String,
    pub(crate) text: Option<String>,
    pub(crate) thinking: Option<String>,
    pub(crate) signature: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) input: Option<Box<RawValue>>,
    pub(crate) tool_use_id: Option<String>,
    pub(crate) is_error: Option<bool>,
    pub(crate) content: Option<Blocks>,
    source: Option<Source>,
    title: Option<String>,
    /// The block as it came.
    pub(crate) raw: Box<RawValue>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type")]
    kind: String,
    media_type: Option<String>,
    data: Option<String>,
    url: Option<String>,
}

impl<'de> Deserialize<'de> for Blocks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match raw.get().as_bytes().first() {
            Some(b'"') => serde_json::from_str(raw.get()).map(Blocks::Text).map_err(D::Error::custom),
            Some(b'[') => serde_json::from_str(raw.get()).map(Blocks::List).map_err(D::Error::custom),
            _ => Err(D::Error::custom("expected a string or an array of blocks")),
        }
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(rename = "type")]
            kind: String,
            text: Option<String>,
            thinking: Option<String>,
            signature: Option<String>,
            id: Option<String>,
            name: Option<String>,
            input: Option<Box<RawValue>>,
            tool_use_id: Option<String>,
            is_error: Option<bool>,
            content: Option<Box<RawValue>>,
            source: Option<Source>,
            title: Option<String>,
        }
        use serde::de::Error as _;
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let wire: Wire = serde_json::from_str(raw.get())
            .map_err(|_| D::Error::custom("a block needs a \"type\" and the members that the type names"))?;
        // Other blocks have contents of other shapes.
        let content = wire.content.filter(|_| wire.kind == "tool_result");
        let content = content.filter(|content| content.get() != "null");
        let content =
            content.map(|content| serde_json::from_str(content.get())).transpose().map_err(D::Error::custom)?;
        Ok(Block {
            kind: wire.kind,
            text: wire.text,
            thinking: wire.thinking,
            signature: wire.signature,
            id: wire.id,
            name: wire.name,
            input: wire.input,
            tool_use_id: wire.tool_use_id,
            is_error: wire.is_error,
            content,
            source: wire.source,
            title: wire.title,
            raw,
        })
    }
}

impl Blocks {
    /// All text of it; other blocks are refused.
    ///
    /// # Errors
    /// `InvalidRequest` naming a block that is no text.
    pub(crate) fn into_text(self, path: &str) -> Result<String, Failure> {
        let list = match self {
            Blocks::Text(text) => return Ok(text),
            Blocks::List(list) => list,
        };
        let mut texts = Vec::with_capacity(list.len());
        for (at, block) in list.into_iter().enumerate() {
            let path = format!("{path}[{at}]");
            if block.kind != "text" {
                return Err(block.unknown(&path));
            }
            texts.push(block.need("text", &path, block.text.as_ref())?.clone());
        }
        Ok(texts.join("\n\n"))
    }
}

impl Block {
    /// A member that the block's type needs.
    ///
    /// # Errors
    /// `InvalidRequest` naming it.
    pub(crate) fn need<'a, T>(&self, name: &str, path: &str, member: Option<&'a T>) -> Result<&'a T, Failure> {
        member.ok_or_else(|| {
            let message = format!("a block of the type {:?} needs {name:?}", self.kind);
            Failure::invalid(format!("{path}.{name}"), message)
        })
    }

    /// The block has no counterpart in other formats.
    pub(crate) fn unknown(&self, path: &str) -> Failure {
        let message = format!("a block of the type {:?} works with a provider of kind anthropic only", self.kind);
        Failure::invalid(format!("{path}.type"), message)
    }

    /// The block as a part of a neutral message.
    ///
    /// # Errors
    /// `InvalidRequest` for what a user's message or a tool's result cannot hold.
    pub(crate) fn into_part(self, path: &str) -> Result<Part, Failure> {
        match self.kind.as_str() {
            "text" => Ok(Part::Text(self.need("text", path, self.text.as_ref())?.clone())),
            "image" => {
                let source = self.need("source", path, self.source.as_ref())?;
                let url = match (source.kind.as_str(), &source.media_type, &source.data, &source.url) {
                    ("base64", Some(kind), Some(data), _) => format!("data:{kind};base64,{data}"),
                    ("url", _, _, Some(url)) => url.clone(),
                    _ => return Err(odd_source(path)),
                };
                Ok(Part::Image { url, detail: None })
            }
            "document" => {
                let source = self.need("source", path, self.source.as_ref())?;
                match (source.kind.as_str(), &source.media_type, &source.data) {
                    ("text", _, Some(text)) => Ok(Part::Text(text.clone())),
                    ("base64", Some(kind), Some(data)) => {
                        let name = self.title.as_deref().unwrap_or("document");
                        let file = json!({ "filename": name, "file_data": format!("data:{kind};base64,{data}") });
                        let part = json!({ "type": "file", "file": file }).to_string();
                        let json = RawValue::from_string(part).map_err(|_| odd_source(path))?;
                        Ok(Part::Other { kind: "file".to_owned(), json })
                    }
                    _ => Err(odd_source(path)),
                }
            }
            _ => Err(self.unknown(path)),
        }
    }
}

fn odd_source(path: &str) -> Failure {
    let message = "a source must be base64 with its media_type and data, or a url of a picture";
    Failure::invalid(format!("{path}.source"), message)
}

/// Parts as content: one text stays a text.
pub(crate) fn content(mut parts: Vec<Part>) -> Content {
    match parts.as_mut_slice() {
        [] => Content::Text(String::new()),
        [Part::Text(text)] => Content::Text(std::mem::take(text)),
        _ => Content::Parts(parts),
    }
}
