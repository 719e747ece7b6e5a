//! Paths as clients really write them: `//models` and `/models/` mean `/models`.

use actix_web::dev::ServiceRequest;
use actix_web::http::Uri;
use std::borrow::Cow;

/// The path without doubled and trailing slashes.
fn tidy(path: &str) -> Cow<'_, str> {
    let trailing = path.len() > 1 && path.ends_with('/');
    if !trailing && !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut tidied = String::with_capacity(path.len());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        tidied.push('/');
        tidied.push_str(part);
    }
    if tidied.is_empty() { Cow::Owned("/".to_owned()) } else { Cow::Owned(tidied) }
}

/// Tidies a request's path before it is routed. What cannot be written as a URI again stays as it came, and is not found.
pub(crate) fn normalise(request: &mut ServiceRequest) {
    let uri = request.uri();
    let Cow::Owned(path) = tidy(uri.path()) else { return };
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    if let Ok(uri) = path_and_query.parse::<Uri>() {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes() {
        for (path, tidied) in [
            ("/", "/"),
            ("//", "/"),
            ("/v1/models", "/v1/models"),
            ("/v1//models", "/v1/models"),
            ("//v1/models//", "/v1/models"),
            ("/v1/models/", "/v1/models"),
            ("/v1/models/a%2Fb:c", "/v1/models/a%2Fb:c"),
        ] {
            assert_eq!(tidy(path), tidied, "{path}");
        }
        assert!(matches!(tidy("/v1/models"), Cow::Borrowed(_)));
    }
}
