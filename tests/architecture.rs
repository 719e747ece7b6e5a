//! The invariants of the architecture (README) that can be read off the files. It runs nothing.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut entries: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

/// Every Rust file below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in entries(folder) {
        if entry.is_dir() {
            found.extend(sources(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
    found
}

/// Every Rust file of the repository: the product's, the tests', the actors'.
fn all_sources() -> Vec<PathBuf> {
    ["actors", "src", "tests"].iter().flat_map(|folder| sources(&root().join(folder))).collect()
}

/// The files of the product itself, without tests and examples.
fn product_sources() -> Vec<PathBuf> {
    let test = |path: &PathBuf| {
        let relative = path.strip_prefix(root()).unwrap_or(path);
        let test_file = |name: &str| ["tests", "examples", "benches", "tests.rs"].contains(&name);
        relative.components().any(|part| test_file(&part.as_os_str().to_string_lossy()))
    };
    ["actors", "src"].iter().flat_map(|folder| sources(&root().join(folder))).filter(|path| !test(path)).collect()
}

fn actors() -> Vec<String> {
    let folders = entries(&root().join("actors"));
    folders.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect()
}

fn manifest(path: &Path) -> toml::Table {
    read(path).parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names that a package depends on, by kind.
fn dependencies(actor: &str, kinds: &[&str]) -> BTreeSet<String> {
    let manifest = manifest(&root().join("actors").join(actor).join("Cargo.toml"));
    let of_kind = |kind: &&str| manifest.get(*kind).and_then(toml::Value::as_table).cloned().unwrap_or_default();
    kinds.iter().flat_map(of_kind).map(|(name, _)| name).collect()
}

const EVERY_KIND: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// A file's lines with their numbers, comments and what stands in quotes left out.
fn code(text: &str) -> Vec<(usize, String)> {
    let bare = |line: &str| {
        let line = line.split("//").next().unwrap_or_default();
        line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
    };
    text.lines().enumerate().map(|(at, line)| (at + 1, bare(line))).collect()
}

/// `path:line` of every line of code that holds `needle`.
fn places(files: &[PathBuf], needle: &str) -> Vec<String> {
    let in_file = |path: &PathBuf| {
        let relative = path.strip_prefix(root()).unwrap_or(path).display().to_string();
        let lines = code(&read(path)).into_iter().filter(|(_, line)| line.contains(needle));
        lines.map(move |(at, _)| format!("{relative}:{at}")).collect::<Vec<_>>()
    };
    files.iter().flat_map(in_file).collect()
}

fn outside(places: Vec<String>, allowed: &[&str]) -> Vec<String> {
    places.into_iter().filter(|place| !allowed.iter().any(|prefix| place.starts_with(prefix))).collect()
}

#[test]
fn no_actor_depends_on_another() {
    let actors = actors();
    assert!(actors.len() >= 7 && actors.contains(&"runtime".to_owned()), "{actors:?}");
    for actor in &actors {
        for dependency in dependencies(actor, &EVERY_KIND) {
            let shared = ["contract", "runtime"].contains(&dependency.as_str());
            assert!(shared || !actors.contains(&dependency), "actors/{actor} depends on actors/{dependency}");
        }
    }
}

#[test]
fn the_contract_does_no_io_and_knows_no_runtime() {
    let dependencies = dependencies("contract", &["dependencies"]);
    for banned in ["actix", "actix-rt", "actix-web", "awc", "tokio", "rusqlite", "reqwest", "runtime", "anyhow"] {
        assert!(!dependencies.contains(banned), "contract depends on {banned}");
    }
    let files = sources(&root().join("actors/contract/src"));
    for io in ["std::fs", "std::net", "std::env", "std::thread"] {
        assert_eq!(places(&files, io), [""; 0], "contract uses {io}");
    }
}

#[test]
fn only_the_runtime_implements_an_actix_handler() {
    for needle in ["actix::Handler<", "Handler<", "impl actix::Actor", "actix::Actor for"] {
        let implemented: Vec<String> = places(&product_sources(), needle)
            .into_iter()
            .filter(|place| {
                let (path, line) = place.rsplit_once(':').expect("path:line");
                let text = read(&root().join(path));
                let line =
                    text.lines().nth(line.parse::<usize>().expect("a number") - 1).unwrap_or_default().to_owned();
                line.trim_start().starts_with("impl") && line.contains(needle)
            })
            .collect();
        assert_eq!(outside(implemented, &["actors/runtime/src/"]), [""; 0], "{needle}");
    }
    for actor in actors().iter().filter(|actor| *actor != "runtime") {
        assert!(!dependencies(actor, &["dependencies"]).contains("actix"), "actors/{actor} depends on actix");
    }
}

#[test]
fn sqlite_is_opened_in_one_crate() {
    for actor in actors().iter().filter(|actor| *actor != "store") {
        assert!(!dependencies(actor, &EVERY_KIND).contains("rusqlite"), "actors/{actor} depends on rusqlite");
    }
    assert_eq!(outside(places(&product_sources(), "rusqlite::"), &["actors/store/"]), [""; 0]);
}

#[test]
fn there_is_one_http_client() {
    // The MCP library brings reqwest for its HTTP transport: there, and nowhere else.
    for actor in actors().into_iter().filter(|actor| actor != "toolbox") {
        assert!(!dependencies(&actor, &EVERY_KIND).contains("reqwest"), "actors/{actor} depends on reqwest");
    }
    let places_of_reqwest = places(&product_sources(), "reqwest::");
    assert_eq!(outside(places_of_reqwest, &["actors/toolbox/src/mcp/"]), [""; 0]);
    let clients = places(&product_sources(), "awc::Client::");
    assert_eq!(
        outside(clients, &["actors/runtime/src/http.rs"]),
        [""; 0],
        "awc only behind the wrapper that sets it up"
    );
}

#[test]
fn anyhow_stays_in_the_composition_root() {
    for actor in actors() {
        assert!(!dependencies(&actor, &EVERY_KIND).contains("anyhow"), "actors/{actor} depends on anyhow");
    }
}

#[test]
fn only_main_ends_the_process() {
    for needle in ["process::exit", "process::abort"] {
        assert_eq!(outside(places(&product_sources(), needle), &["src/main.rs:"]), [""; 0], "{needle}");
    }
}

#[test]
fn time_environment_and_randomness_come_through_their_ports() {
    // What clippy.toml bans is banned everywhere; here is who may lift the ban.
    let lifted: Vec<String> = product_sources()
        .iter()
        .filter(|path| {
            let text = read(path);
            let product = text.split("#[cfg(test)]").next().unwrap_or_default();
            product.contains("(clippy::disallowed_methods")
        })
        .map(|path| path.strip_prefix(root()).unwrap_or(path).display().to_string())
        .collect();
    let grant = "actors/agent-supervisor/src/approvals/grant.rs";
    assert_eq!(outside(lifted, &["actors/runtime/src/", "src/", grant]), [""; 0]);
}

#[test]
fn an_approval_is_made_in_one_place() {
    let made = places(&product_sources(), "by_the_desk");
    let (inside, beyond): (Vec<&String>, Vec<&String>) =
        made.iter().partition(|place| place.starts_with("actors/agent-supervisor/src/approvals/grant.rs:"));
    assert_eq!(inside.len(), 1, "{made:?}");
    assert!(beyond.iter().all(|place| place.starts_with("actors/contract/src/approvals/plan.rs:")), "{made:?}");
    let called = places(&product_sources(), "approved(");
    let called = called.iter().filter(|place| place.starts_with("actors/agent-supervisor/src/approvals/desk.rs:"));
    assert_eq!(called.count(), 1, "the desk grants where a beginning is stored, and nowhere else");
    // What was approved can be neither copied nor read from anywhere.
    let text = read(&root().join("actors/contract/src/approvals/plan.rs"));
    let before = text.split("pub struct Approved<").next().unwrap_or_default();
    let derive = before.lines().rev().find(|line| line.contains("derive(")).unwrap_or_default();
    for trait_name in ["Clone", "Copy", "Default", "Deserialize"] {
        assert!(!derive.contains(trait_name), "Approved is {trait_name}");
        assert!(!text.contains(&format!("{trait_name} for Approved")), "Approved is {trait_name}");
    }
}

#[test]
fn secrets_have_no_debug() {
    let text = read(&root().join("actors/contract/src/secret.rs"));
    let derives: Vec<&str> = text.lines().filter(|line| line.contains("derive(") && line.contains("Debug")).collect();
    for derive in derives {
        let after = text.split(derive).nth(1).unwrap_or_default();
        let declared =
            after.lines().find(|line| line.contains("struct ") || line.contains("enum ")).unwrap_or_default();
        assert!(!declared.contains("Secret ") && !declared.contains("Secret("), "{declared} derives Debug");
    }
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<PathBuf> = all_sources().into_iter().filter(|path| !read(path).starts_with("//! ")).collect();
    assert!(silent.is_empty(), "files that do not begin with a `//!` header: {silent:?}");
}

#[test]
fn files_hold_one_idea() {
    let lines = |path: &PathBuf| read(path).lines().count();
    let long: Vec<(PathBuf, usize)> = all_sources().into_iter().map(|path| (path.clone(), lines(&path))).collect();
    let long: Vec<_> = long.into_iter().filter(|(_, lines)| *lines > 500).collect();
    assert!(long.is_empty(), "files with two ideas in one? {long:?}");
}

#[test]
fn nothing_is_left_open() {
    let mut files = product_sources();
    files.extend(sources(&root().join("tests")).into_iter().filter(|path| !path.ends_with("architecture.rs")));
    for needle in ["todo!", "unimplemented!", "allow(dead_code)"] {
        assert_eq!(places(&files, needle), [""; 0], "{needle}");
    }
    for path in files {
        let text = read(&path);
        for word in ["TODO", "FIXME", "XXX"] {
            let whole = text.split(|c: char| !c.is_ascii_alphanumeric()).any(|found| found == word);
            assert!(!whole, "{} holds {word}", path.display());
        }
    }
}

/// The part of `text` from the first `{` on that closes it, and where it begins.
fn block(text: &str) -> Option<&str> {
    let begin = text.find('{')?;
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate().skip(begin) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(&text[begin..=at]),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The text without its async blocks.
fn without_async_blocks(text: &str) -> String {
    let mut rest = text.to_owned();
    while let Some(at) = ["async move {", "async {"].iter().filter_map(|opening| rest.find(opening)).min() {
        let Some(inner) = block(&rest[at..]) else { break };
        let end = at + rest[at..].find('{').unwrap_or_default() + inner.len();
        rest.replace_range(at..end, "");
    }
    rest
}

#[test]
fn handlers_do_not_await() {
    let mut handlers = 0;
    for path in product_sources() {
        let bare: Vec<String> = code(&read(&path)).into_iter().map(|(_, line)| line).collect();
        let text = bare.join("\n");
        for (at, _) in text.match_indices("fn handle(") {
            assert!(!text[..at].ends_with("async "), "{}: a handler is synchronous", path.display());
            let Some(body) = block(&text[at..]) else { continue };
            handlers += 1;
            assert!(!without_async_blocks(body).contains(".await"), "{}: a handler awaits:\n{body}", path.display());
        }
    }
    assert!(handlers > 5, "found only {handlers} handlers: does this test still look for the right thing?");
}

#[test]
fn the_top_level_is_the_design() {
    let known = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "actors",
        "clippy.toml",
        "deploy",
        "haia.toml",
        "rustfmt.toml",
        "src",
        "tests",
    ];
    let optional =
        ["target", "benches", "fuzz", "deny.toml", "rust-toolchain.toml", "mcp_config.json", "custom_components"];
    let found: BTreeSet<String> = entries(root())
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .filter(|name| !name.starts_with('.') && !is_the_daemons_own(name))
        .collect();
    for name in known {
        assert!(found.contains(name), "{name} is missing at the top level");
    }
    let beyond: Vec<&String> =
        found.iter().filter(|name| !known.contains(&name.as_str()) && !optional.contains(&name.as_str())).collect();
    assert!(beyond.is_empty(), "beyond the design's list: {beyond:?}");
}

/// What a daemon started in this folder leaves, and git ignores.
fn is_the_daemons_own(name: &str) -> bool {
    name.starts_with("haia.db") || name == "haia.sock" || name == "haia_profile.toml"
}
