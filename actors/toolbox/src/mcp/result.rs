//! A tool's result as MCP writes it, made into text for a model: pure. Pictures and other parts stay in the original beside it.

use super::text;
use serde_json::Value;

/// The most bytes of an original that is passed on beside the text.
const ORIGINAL_BYTES: usize = 8 << 20;

/// A result for a model.
#[derive(Debug, PartialEq)]
pub(crate) struct Shown {
    /// All of its text.
    pub(crate) text: String,
    /// Whether the tool says that it failed.
    pub(crate) is_error: bool,
    /// The result as it came, where it holds more than text and is not too large.
    pub(crate) original: Option<String>,
}

/// Whether it is no result yet, but asks for input (2026-07-28).
pub(crate) fn asks(result: &Value) -> bool {
    result.get("resultType").is_some_and(|kind| kind == "input_required")
}

/// Makes the text of a result.
///
/// # Errors
/// It is no result of a tool; why.
pub(crate) fn show(result: &Value) -> Result<Shown, String> {
    let Some(map) = result.as_object() else { return Err("it answered with something that is no result".to_owned()) };
    if map.get("resultType").is_some_and(|kind| kind == "task") || map.contains_key("task") {
        return Err("it answered with a task that runs on, which HAIA does not follow".to_owned());
    }
    let structured = map.get("structuredContent").filter(|value| !value.is_null());
    let blocks = match map.get("content") {
        Some(Value::Array(blocks)) => blocks.as_slice(),
        None if structured.is_some() => &[],
        _ => return Err("it answered without \"content\"".to_owned()),
    };
    let mut parts: Vec<String> = blocks.iter().filter_map(block).collect();
    let is_only_text = blocks.iter().all(|block| block.get("type").is_some_and(|kind| kind == "text"));
    if let Some(structured) = structured
        && parts.is_empty()
    {
        parts.push(structured.to_string());
    }
    let original = (!is_only_text || structured.is_some()).then(|| result.to_string());
    Ok(Shown {
        text: parts.join("\n"),
        is_error: map.get("isError").is_some_and(|is_error| is_error == true),
        original: original.filter(|original| original.len() <= ORIGINAL_BYTES),
    })
}

fn block(block: &Value) -> Option<String> {
    let word = |key: &str| block.get(key).and_then(Value::as_str);
    let mime = || text::clean_line(word("mimeType").unwrap_or("unknown type"), 80);
    match word("type").unwrap_or_default() {
        "text" => word("text").map(text::visible).filter(|text| !text.is_empty()),
        kind @ ("image" | "audio") => {
            let size = word("data").map_or(0, |data| data.len() / 4 * 3);
            Some(format!("[{kind}, {}, {}]", mime(), text::bytes(size)))
        }
        "resource" => {
            let resource = block.get("resource")?;
            let uri = text::clean_line(resource.get("uri").and_then(Value::as_str).unwrap_or("?"), 300);
            match resource.get("text").and_then(Value::as_str) {
                Some(said) => Some(format!("[resource {uri}]\n{}", text::visible(said))),
                None => {
                    let size = resource.get("blob").and_then(Value::as_str).map_or(0, |blob| blob.len() / 4 * 3);
                    Some(format!("[resource {uri}, {}]", text::bytes(size)))
                }
            }
        }
        "resource_link" => {
            let uri = text::clean_line(word("uri").unwrap_or("?"), 300);
            let name = text::clean_line(word("name").unwrap_or_default(), 100);
            let said = text::clean_line(word("description").unwrap_or_default(), 300);
            Some(format!("[link {name} {uri}] {said}").trim_end().to_owned())
        }
        other => {
            Some(format!("[{}]", text::clean_line(if other.is_empty() { "a part of no type" } else { other }, 40)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn shows_every_kind_of_part() {
        let result = json!({"content": [
            {"type": "text", "text": "one\u{200b}"},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            {"type": "audio", "data": "A".repeat(20_000), "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}},
            {"type": "resource", "resource": {"uri": "file:///b", "blob": "AAAA"}},
            {"type": "resource_link", "uri": "file:///c", "name": "c"},
            {"type": "hologram"}, {"text": "?"}, {"type": "text"},
        ], "isError": true});
        let shown = show(&result).expect("a result");
        assert_eq!(
            shown.text,
            "one\n[image, image/png, 3 bytes]\n[audio, audio/wav, 15 KiB]\n[resource file:///a]\ninside\n[resource file:///b, 3 bytes]\n\
             [link c file:///c]\n[hologram]\n[a part of no type]"
        );
        assert!(shown.is_error);
        assert_eq!(
            shown.original.as_deref().map(|text| serde_json::from_str::<Value>(text).expect("JSON")),
            Some(result)
        );
    }

    #[test]
    fn plain_text_needs_no_original_and_structure_is_text_where_there_is_none() {
        let plain = show(&json!({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}))
            .expect("a result");
        assert_eq!((plain.text.as_str(), plain.is_error, plain.original), ("a\nb", false, None));
        let structured = show(&json!({"content": [], "structuredContent": {"n": 1}})).expect("a result");
        assert_eq!(structured.text, "{\"n\":1}");
        assert!(structured.original.is_some());
        let both = show(&json!({"content": [{"type": "text", "text": "n=1"}], "structuredContent": {"n": 1}}))
            .expect("a result");
        assert_eq!((both.text.as_str(), both.original.is_some()), ("n=1", true));
        assert_eq!(show(&json!({"content": []})).map(|shown| shown.text), Ok(String::new()));
    }

    #[test]
    fn what_is_no_result_is_said() {
        for result in [json!(null), json!({}), json!({"content": "text"}), json!({"task": {}})] {
            assert!(show(&result).is_err(), "{result}");
        }
    }
}
