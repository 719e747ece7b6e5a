//! Which route a path names, and what its named parts hold. It knows neither keys nor bodies, and answers nothing.
//!
//! actix's own router compiles a regular expression for each pattern, in each worker and for each socket: that was half of what a start computes,
//! and memory for as long as it runs. Paths of this server are plain: words, and parts that hold any one segment.

use super::{Endpoint, Verb, endpoints};
use actix_web::http::Method;
use std::sync::LazyLock;

/// A path with all its methods.
pub(super) struct Route {
    /// As `/openapi.json` writes it: `/api/alerts/{alert}`.
    pub(super) path: &'static str,
    endpoints: Vec<&'static Endpoint>,
}

/// The last part that may hold slashes: a model's id.
const REST: &str = "{id}";

static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let mut routes: Vec<Route> = Vec::new();
    for endpoint in endpoints() {
        match routes.iter_mut().find(|route| route.path == endpoint.path) {
            Some(route) => route.endpoints.push(endpoint),
            None => routes.push(Route { path: endpoint.path, endpoints: vec![endpoint] }),
        }
    }
    // What names one path goes before what names many; among equals the busiest stays first.
    routes.sort_by_key(|route| route.path.contains('{'));
    routes
});

/// The route of a path. The path is as actix decodes it: slashes, percent and plus signs within a segment are still escaped.
pub(super) fn find(path: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| route.path == path || walk(route.path, path, |_, _| {}))
}

impl Route {
    /// The endpoint of a method. HEAD is a GET whose body actix leaves out.
    pub(super) fn endpoint(&self, method: &Method) -> Option<&'static Endpoint> {
        let asked = if *method == Method::HEAD { Verb::Get.as_str() } else { method.as_str() };
        self.endpoints.iter().copied().find(|endpoint| endpoint.method.as_str() == asked)
    }

    /// What it takes, for `Allow`.
    pub(super) fn allowed(&self) -> String {
        let mut allowed = String::from("OPTIONS");
        for endpoint in &self.endpoints {
            allowed.push_str(", ");
            allowed.push_str(endpoint.method.as_str());
            if endpoint.method == Verb::Get {
                allowed.push_str(", HEAD");
            }
        }
        allowed
    }
}

/// The part of `path` that `pattern` calls `name`, if the path fits the pattern and the pattern has such a part.
pub(crate) fn part<'a>(pattern: &str, path: &'a str, name: &str) -> Option<&'a str> {
    let mut found = None;
    let fits = walk(pattern, path, |part, value| {
        if part == name {
            found = Some(value);
        }
    });
    found.filter(|_| fits)
}

/// Whether the path fits the pattern; gives the named parts as they come.
fn walk<'a>(pattern: &str, path: &'a str, mut give: impl FnMut(&str, &'a str)) -> bool {
    let mut rest = Some(path);
    for word in pattern.split('/') {
        let Some(left) = rest else { return false };
        let (segment, further) = match left.split_once('/') {
            Some((segment, further)) if word != REST => (segment, Some(further)),
            _ => (left, None),
        };
        match word.strip_prefix('{').and_then(|word| word.strip_suffix('}')) {
            Some(name) if !segment.is_empty() => give(name, segment),
            None if segment == word => {}
            _ => return false,
        }
        rest = further;
    }
    rest.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Option<&'static str> {
        find(path).map(|route| route.path)
    }

    #[test]
    fn a_path_names_the_route_that_says_most_about_it() {
        for (path, route) in [
            ("/", Some("/")),
            ("/v1/chat/completions", Some("/v1/chat/completions")),
            ("/v1/models", Some("/v1/models")),
            ("/v1/models/a", Some("/v1/models/{id}")),
            ("/v1/models/openrouter/meta-llama/llama:free", Some("/v1/models/{id}")),
            ("/v1/models/", None),
            ("/api/alerts/history", Some("/api/alerts/history")),
            ("/api/alerts/7", Some("/api/alerts/{alert}")),
            ("/api/alerts/Zähler 7", Some("/api/alerts/{alert}")),
            ("/api/alerts/7/silence", Some("/api/alerts/{alert}/silence")),
            ("/api/alerts//silence", None),
            ("/api/alerts/7/silence/8", None),
            ("/api/alerts/7/", None),
            ("/api/alerts/", None),
            ("api/alerts", None),
            ("", None),
            ("*", None),
        ] {
            assert_eq!(found(path), route, "{path}");
        }
    }

    #[test]
    fn every_route_is_found_by_a_path_of_its_shape() {
        for endpoint in endpoints() {
            let path = endpoint.path.replace(['{', '}'], "");
            let route = find(&path).unwrap();
            assert_eq!(route.path, endpoint.path);
            let method = Method::from_bytes(endpoint.method.as_str().as_bytes()).unwrap();
            assert!(std::ptr::eq(route.endpoint(&method).unwrap(), endpoint), "{method} {path}");
        }
    }

    #[test]
    fn parts_are_had_by_name() {
        for (pattern, path, name, value) in [
            ("/api/alerts/{alert}/silence", "/api/alerts/7/silence", "alert", Some("7")),
            ("/api/alerts/{alert}/silence", "/api/alerts/7/expect", "alert", None),
            ("/api/alerts/{alert}/silence", "/api/alerts/7/silence", "name", None),
            ("/api/mcp/{server}/tools/{tool}/enable", "/api/mcp/git/tools/git_log/enable", "server", Some("git")),
            ("/api/mcp/{server}/tools/{tool}/enable", "/api/mcp/git/tools/git_log/enable", "tool", Some("git_log")),
            ("/v1/models/{id}", "/v1/models/a/b/c", "id", Some("a/b/c")),
        ] {
            assert_eq!(part(pattern, path, name), value, "{pattern} {path}");
        }
    }

    #[test]
    fn head_is_asked_where_get_is() {
        let health = find("/health").unwrap();
        assert!(health.endpoint(&Method::HEAD).is_some_and(|endpoint| endpoint.method == Verb::Get));
        assert!(health.endpoint(&Method::POST).is_none());
        assert_eq!(health.allowed(), "OPTIONS, GET, HEAD");
        assert!(find("/v1/chat/completions").unwrap().endpoint(&Method::HEAD).is_none());
    }
}
