//! OpenAI's part for a file, where it is a PDF in the request itself. It fetches nothing, and knows no other files: what a file id stands for only its
//! keeper knows.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A PDF's media type.
pub const PDF: &str = "application/pdf";
/// What the address of one begins with.
const BEFORE: &str = "data:application/pdf;base64,";

/// A PDF.
pub struct Document<'a> {
    /// Its bytes.
    pub base64: Cow<'a, str>,
    /// The file's name.
    pub name: Option<Cow<'a, str>>,
}

/// The PDF in a part of the kind `file`; `None` if it is something else.
pub fn read(part: &RawValue) -> Option<Document<'_>> {
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        file: File<'a>,
    }
    #[derive(Deserialize)]
    struct File<'a> {
        #[serde(borrow)]
        file_data: Cow<'a, str>,
        #[serde(borrow)]
        filename: Option<Cow<'a, str>>,
    }
    let File { file_data, filename } = serde_json::from_str::<Wire<'_>>(part.get()).ok()?.file;
    let base64 = match file_data {
        Cow::Borrowed(url) => Cow::Borrowed(url.strip_prefix(BEFORE)?),
        // Some writers of JSON escape slashes, and base64 has many.
        Cow::Owned(url) => Cow::Owned(url.strip_prefix(BEFORE)?.to_owned()),
    };
    Some(Document { base64, name: filename.filter(|name| !name.is_empty()) })
}
