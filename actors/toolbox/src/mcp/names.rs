//! Names of the servers' tools in the catalogue: `server__tool`, at most 64 characters, unique whatever the case.
//!
//! A name depends on its server and tool alone wherever it can, so that attaching one server never renames the tools of another. Names
//! are looked up in the map that this makes, never split.

use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

const MOST: usize = 64;
const SEPARATOR: &str = "__";
/// Digits of the hash that tells apart what would be the same.
const HASH_DIGITS: usize = 8;

/// What is to be named: the tools of one server.
pub(crate) struct Named<'a> {
    /// The server.
    pub(crate) server: &'a str,
    /// Whether the names begin with the server's.
    pub(crate) prefix: bool,
    /// The tools by the server's own names.
    pub(crate) tools: Vec<&'a str>,
}

/// The name of each (server, tool), in the order given. `is_reserved` tells the names that belong to HAIA's own tools.
pub(crate) fn assign(
    servers: &[Named<'_>],
    is_reserved: impl Fn(&str) -> bool,
) -> BTreeMap<(String, String), Arc<str>> {
    // How often a server's own name would be used without a prefix.
    let mut wanted: HashMap<String, usize> = HashMap::new();
    for tool in servers.iter().filter(|server| !server.prefix).flat_map(|server| &server.tools) {
        *wanted.entry(tool.to_ascii_lowercase()).or_default() += 1;
    }
    let mut names = BTreeMap::new();
    let mut taken: HashSet<String> = HashSet::new();
    // Prefixed names first: a server without prefix cannot take one of theirs.
    let (prefixed, bare): (Vec<&Named<'_>>, Vec<&Named<'_>>) = servers.iter().partition(|server| server.prefix);
    for server in prefixed.into_iter().chain(bare) {
        for tool in &server.tools {
            let key = (server.server.to_owned(), (*tool).to_owned());
            if names.contains_key(&key) {
                continue;
            }
            let own = (!server.prefix && is_fit(tool) && wanted.get(&tool.to_ascii_lowercase()) == Some(&1))
                .then(|| (*tool).to_owned());
            let candidates =
                own.into_iter().chain([prefixed_name(server.server, tool), hashed_name(server.server, tool)]);
            for name in candidates {
                if !is_reserved(&name) && taken.insert(name.to_ascii_lowercase()) {
                    names.insert(key, Arc::from(name));
                    break;
                }
            }
        }
    }
    names
}

/// `server__tool`; with a hash where that is not what the server and the tool are really called.
fn prefixed_name(server: &str, tool: &str) -> String {
    let name = format!("{}{SEPARATOR}{tool}", slug(server));
    if name.len() <= MOST && is_fit(tool) { name } else { hashed_name(server, tool) }
}

fn hashed_name(server: &str, tool: &str) -> String {
    let digest = Sha256::digest(format!("{server}\0{tool}").as_bytes());
    let mut hash = String::with_capacity(HASH_DIGITS);
    for byte in digest.iter().take(HASH_DIGITS / 2) {
        let _ = write!(hash, "{byte:02x}");
    }
    let mut name = format!("{}{SEPARATOR}{}", slug(server), fitted(tool));
    name.truncate(MOST - HASH_DIGITS - 1);
    format!("{name}_{hash}")
}

fn is_fit(tool: &str) -> bool {
    !tool.is_empty() && tool.len() <= MOST && tool.bytes().all(crate::catalogue::is_name_byte)
}

fn fitted(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

/// A server's name as the beginning of its tools' names: no `__` in it and no `_` at its end, so that two servers never meet.
pub(crate) fn slug(server: &str) -> String {
    const LONGEST: usize = 32;
    let mut slug = String::new();
    for c in fitted(server).chars() {
        if !(c == '_' && (slug.is_empty() || slug.ends_with('_'))) && slug.len() < LONGEST {
            slug.push(c);
        }
    }
    slug.truncate(slug.trim_end_matches('_').len());
    if slug.is_empty() { "server".to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(servers: &[(&str, bool, &[&str])]) -> Vec<String> {
        let named: Vec<Named<'_>> = servers
            .iter()
            .map(|(server, prefix, tools)| Named { server, prefix: *prefix, tools: tools.to_vec() })
            .collect();
        let assigned = assign(&named, |name| name.eq_ignore_ascii_case("get_time"));
        let named = servers.iter().flat_map(|(server, _, tools)| tools.iter().map(move |tool| (*server, *tool)));
        named.map(|(server, tool)| assigned[&(server.to_owned(), tool.to_owned())].to_string()).collect()
    }

    #[test]
    fn names_are_prefixed_and_hashed_where_they_must_be() {
        assert_eq!(names(&[("files", true, &["read_file", "list-dir"])]), ["files__read_file", "files__list-dir"]);
        assert_eq!(names(&[("My Server!", true, &["a"])]), ["My_Server__a"]);
        let odd = names(&[("x", true, &["a.b", "a/b", "a_b"])]);
        assert_eq!(odd[2], "x__a_b");
        assert!(odd[0].starts_with("x__a_b_") && odd[1].starts_with("x__a_b_") && odd[0] != odd[1], "{odd:?}");
        let long = names(&[("x", true, &["y".repeat(70).as_str(), &format!("{}z", "y".repeat(69))])]);
        assert!(long[0] != long[1] && long.iter().all(|name| name.len() == 64), "{long:?}");
        let case = names(&[("x", true, &["Get", "get"])]);
        assert_eq!(case[0], "x__Get");
        assert!(case[1].starts_with("x__get_"), "{case:?}");
    }

    #[test]
    fn own_names_stay_where_they_are_unique() {
        assert_eq!(
            names(&[("a", false, &["one", "get_time"]), ("b", true, &["one"])]),
            ["one", "a__get_time", "b__one"]
        );
        assert_eq!(names(&[("a", false, &["one"]), ("b", false, &["ONE", "two"])]), ["a__one", "b__ONE", "two"]);
        assert_eq!(names(&[("a", false, &["b__c"]), ("b", true, &["c"])]), ["a__b__c", "b__c"]);
    }

    #[test]
    fn another_server_renames_nothing() {
        let alone = names(&[("files", true, &["read.file", "x", "X"])]);
        let beside = names(&[("aaa", true, &["read.file", "x"]), ("files", true, &["read.file", "x", "X"])]);
        assert_eq!(alone, beside[2..]);
    }

    #[test]
    fn slugs_cannot_run_into_tools() {
        for (server, slugged) in [("a__b", "a_b"), ("_a_", "a"), ("", "server"), ("ü", "server"), ("a b", "a_b")] {
            assert_eq!(slug(server), slugged);
        }
        assert_eq!(slug(&"x".repeat(99)).len(), 32);
    }

    proptest::proptest! {
        #[test]
        fn every_tool_gets_a_fit_and_unique_name(
            tools in proptest::collection::vec((0usize..3, ".{0,80}"), 0..40),
            prefixes in proptest::collection::vec(proptest::bool::ANY, 3),
        ) {
            let servers: Vec<Named<'_>> = ["one", "two__x", "THREE"].iter().enumerate().map(|(at, server)| Named {
                server,
                prefix: prefixes[at],
                tools: tools.iter().filter(|(of, _)| *of == at).map(|(_, tool)| tool.as_str()).collect(),
            }).collect();
            let names = assign(&servers, |_| false);
            let distinct: HashSet<String> = names.values().map(|name| name.to_ascii_lowercase()).collect();
            proptest::prop_assert_eq!(distinct.len(), names.len());
            for name in names.values() {
                proptest::prop_assert!(name.len() <= MOST && is_fit(name), "{name}");
            }
            let wanted: HashSet<(&str, &str)> = servers.iter().flat_map(|server| server.tools.iter().map(move |tool| (server.server, *tool))).collect();
            proptest::prop_assert_eq!(names.len(), wanted.len());
        }
    }
}
