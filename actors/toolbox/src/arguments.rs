//! Reading a call's arguments: a JSON object, or nothing for none. What is wrong is said in words that a model can act on.

use serde::de::DeserializeOwned;

/// Checks that `text` is a JSON object.
///
/// # Errors
/// A sentence for the model.
pub(crate) fn check_object(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Ok(());
    }
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
        Ok(_) => Ok(()),
        Err(error) if error.is_data() => Err("the arguments must be one JSON object, such as {}".to_owned()),
        Err(error) => Err(format!("the arguments are not valid JSON: {error}")),
    }
}

/// Reads the arguments of one of the toolbox's own tools.
///
/// # Errors
/// A sentence for the model: the member that is unknown, missing or of the wrong type.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    check_object(text)?;
    serde_json::from_str(text).map_err(|error| {
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default();
        format!("the arguments are wrong: {said}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[serde(default)]
        detail: Option<bool>,
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, said) in [
            ("[]", "must be one JSON object"),
            ("7", "must be one JSON object"),
            ("{\"detail\":", "not valid JSON"),
            ("{} {}", "not valid JSON"),
            ("{\"detail\":\"yes\"}", "invalid type: string \"yes\", expected a boolean"),
            ("{\"detial\":true}", "unknown field `detial`, expected `detail`"),
        ] {
            let error = read::<Example>(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn nothing_is_an_empty_object() {
        for text in ["", "  ", "{}", "{\"detail\":null}"] {
            assert_eq!(read::<Example>(text).map(|example| example.detail), Ok(None), "{text}");
        }
        assert_eq!(read::<Example>("{\"detail\":true}").map(|example| example.detail), Ok(Some(true)));
    }
}
