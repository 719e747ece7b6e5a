//! What a message says: text, or parts with pictures and more, as OpenAI's format writes it.

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;
use std::fmt;

/// A message's content: text, or parts.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Text, pictures and other parts, in order.
    Parts(Vec<Part>),
}

/// One part of a message.
#[derive(Clone, Debug)]
pub enum Part {
    /// Text.
    Text(String),
    /// A picture: a `data:` or `http(s):` URL.
    Image {
        /// The URL.
        url: String,
        /// OpenAI's `detail`, if given.
        detail: Option<String>,
    },
    /// A refusal the model gave earlier.
    Refusal(String),
    /// Anything else (audio, files), as it came, with its `type`.
    Other {
        /// The part's `type`.
        kind: String,
        /// The whole part.
        json: Box<RawValue>,
    },
}

impl Content {
    /// Parts as content: texts alone become one text, because many servers of OpenAI's format know no parts at all. Clients write each
    /// block of text as a paragraph of its own, so an empty line stands between two. With a picture or anything else they stay parts.
    pub fn joined(parts: Vec<Part>) -> Self {
        let text = |part: &Part| match part {
            Part::Text(text) => Some(text.clone()),
            _ => None,
        };
        match parts.iter().map(text).collect::<Option<Vec<String>>>() {
            Some(texts) => Content::Text(texts.join("\n\n")),
            None => Content::Parts(parts),
        }
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Part::Text(a), Part::Text(b)) | (Part::Refusal(a), Part::Refusal(b)) => a == b,
            (Part::Image { url: a, detail: c }, Part::Image { url: b, detail: d }) => a == b && c == d,
            (Part::Other { kind: a, json: c }, Part::Other { kind: b, json: d }) => a == b && c.get() == d.get(),
            _ => false,
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrParts;
        impl<'de> Visitor<'de> for TextOrParts {
            type Value = Content;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of parts")
            }
            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }
            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }
        }
        deserializer.deserialize_any(TextOrParts)
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        #[derive(Deserialize)]
        struct Wire {
            #[serde(rename = "type")]
            kind: String,
            text: Option<String>,
            refusal: Option<String>,
            image_url: Option<ImageUrl>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum ImageUrl {
            Object { url: String, detail: Option<String> },
            Bare(String),
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        // A bare string in the array is text: some clients send it.
        if raw.get().starts_with('"') {
            return serde_json::from_str(raw.get()).map(Part::Text).map_err(D::Error::custom);
        }
        let wire: Wire = serde_json::from_str(raw.get())
            .map_err(|_| D::Error::custom("a part needs a \"type\" and the member that the type names"))?;
        match wire.kind.as_str() {
            "text" | "input_text" | "output_text" => {
                wire.text.map(Part::Text).ok_or_else(|| D::Error::custom("a text part needs \"text\""))
            }
            "refusal" => {
                wire.refusal.map(Part::Refusal).ok_or_else(|| D::Error::custom("a refusal part needs \"refusal\""))
            }
            "image_url" => match wire.image_url {
                Some(ImageUrl::Object { url, detail }) => Ok(Part::Image { url, detail }),
                Some(ImageUrl::Bare(url)) => Ok(Part::Image { url, detail: None }),
                None => Err(D::Error::custom("an image_url part needs \"image_url\": {\"url\": …}")),
            },
            _ => Ok(Part::Other { kind: wire.kind, json: raw }),
        }
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct ImageUrl<'a> {
            url: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            detail: Option<&'a str>,
        }
        let mut map = serializer.serialize_map(Some(2))?;
        match self {
            Part::Text(text) => {
                map.serialize_entry("type", "text")?;
                map.serialize_entry("text", text)?;
            }
            Part::Image { url, detail } => {
                map.serialize_entry("type", "image_url")?;
                map.serialize_entry("image_url", &ImageUrl { url, detail: detail.as_deref() })?;
            }
            Part::Refusal(text) => {
                map.serialize_entry("type", "refusal")?;
                map.serialize_entry("refusal", text)?;
            }
            Part::Other { json, .. } => {
                let members: std::collections::BTreeMap<String, &RawValue> =
                    serde_json::from_str(json.get()).map_err(serde::ser::Error::custom)?;
                for (name, value) in members {
                    map.serialize_entry(&name, value)?;
                }
            }
        }
        map.end()
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Content::Text(text) => text.serialize(serializer),
            Content::Parts(parts) => parts.serialize(serializer),
        }
    }
}
