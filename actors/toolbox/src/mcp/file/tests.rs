//! Entries as people write them, good and bad.

use super::super::entry::{Dialect, Way};
use super::super::own::{Start, Trust};
use super::*;
use contract::tools::Risk;
use serde_json::json;
use std::time::Duration;

fn environment() -> Environment {
    [("TOKEN".to_owned(), "s3cret-token".to_owned()), ("DIR".to_owned(), "/data".to_owned())].into_iter().collect()
}

fn one(entry: serde_json::Value) -> Result<Entry, String> {
    let text = json!({"mcpServers": {"it": entry}}).to_string();
    read(&text, &environment()).expect("a file")["it"].entry.clone()
}

#[test]
fn reads_what_other_hosts_write() {
    let entry = one(json!({
        "command": "npx", "args": ["-y", "server", "${DIR}/x"], "env": {"KEY": "${env:TOKEN}", "N": 3, "T": true, "Z": null},
        "cwd": "${DIR}", "type": "stdio"
    }))
    .expect("an entry");
    let Way::Stdio { command, arguments, variables, directory } = &entry.way else { panic!("{entry:?}") };
    assert_eq!(command.expose(), "npx");
    assert_eq!(arguments.iter().map(contract::secret::Secret::expose).collect::<Vec<_>>(), ["-y", "server", "/data/x"]);
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(variables, [("KEY", "s3cret-token"), ("N", "3"), ("T", "true")]);
    assert_eq!(directory.as_deref(), Some(std::path::Path::new("/data")));
    assert!(!format!("{entry:?}").contains("s3cret"));
    assert_eq!(entry.masks().apply("said s3cret-token".to_owned()), "said ***");

    for (kind, dialect) in [
        (json!("http"), Dialect::Streamable),
        (json!("streamable-http"), Dialect::Streamable),
        (json!("streamableHttp"), Dialect::Streamable),
        (json!("sse"), Dialect::Events),
        (json!(null), Dialect::Either),
    ] {
        let entry = one(
            json!({"type": kind, "url": "http://host:1/mcp?key=${TOKEN}", "headers": {"Authorization": "Bearer ${TOKEN}"}}),
        );
        let Way::Http { url, headers, dialect: found } = entry.expect("an entry").way else { panic!("http") };
        assert_eq!((url.expose(), found), ("http://host:1/mcp?key=s3cret-token", dialect));
        assert_eq!((headers[0].0.as_str(), headers[0].1.expose()), ("Authorization", "Bearer s3cret-token"));
    }
}

#[test]
fn says_what_is_wrong_with_an_entry() {
    for (entry, said) in [
        (json!(7), "must be an object"),
        (json!({}), "neither \"command\" nor \"url\""),
        (json!({"command": "x", "url": "http://x"}), "both"),
        (json!({"command": 7}), "expected a string"),
        (json!({"command": " "}), "is empty"),
        (json!({"command": "x", "args": "y"}), "expected a sequence"),
        (json!({"command": "x", "args": ["${NOPE}"]}), "\"args\": the environment variable NOPE is not set"),
        (json!({"command": "x", "env": {"A=B": "1"}}), "can be no environment variable"),
        (json!({"type": "stdio", "url": "http://x"}), "no \"command\""),
        (json!({"type": "websocket", "url": "ws://x"}), "HAIA knows"),
        (json!({"type": "http", "command": "x"}), "needs a \"url\""),
        (json!({"url": "not an address"}), "is no address"),
        (json!({"url": "file:///etc/passwd"}), "must begin with"),
        (json!({"url": "http://x", "headers": {"A B": "c"}}), "can be no HTTP header"),
        (json!({"url": "http://x", "headers": {"Accept": "c"}}), "set by the protocol"),
        (json!({"command": "x", "haia": {"prefx": false}}), "unknown field `prefx`"),
        (json!({"command": "x", "haia": {"timeout": "0s"}}), "longer than"),
        (json!({"command": "x", "haia": {"timeout": 5}}), "string"),
        (json!({"command": "x", "haia": {"trust": "full"}}), "\"trust\" is"),
        (json!({"command": "x", "haia": {"concurrent": 0}}), "1 or more"),
    ] {
        let error = one(entry.clone()).expect_err(&entry.to_string());
        assert!(error.contains(said), "{entry}: {error}");
    }
}

#[test]
fn one_bad_entry_leaves_the_others() {
    let text = json!({"servers": {
        "good": {"command": "x", "gallery": true, "disabled": true}, "bad": 1, "a b": {"url": "http://x"}, "A_b": {"url": "http://y"},
        "": {"url": "http://z"}, "off": {"url": "http://x", "enabled": false}
    }});
    let servers = read(&text.to_string(), &environment()).expect("a file");
    let good: Vec<&str> = servers.iter().filter(|(_, listed)| listed.entry.is_ok()).map(|(name, _)| &**name).collect();
    assert_eq!(good.len(), 3, "{servers:?}");
    assert!(servers["bad"].entry.is_err() && servers[""].entry.is_err());
    assert_eq!(servers["good"].notes, ["HAIA does not use \"gallery\""]);
    assert_eq!(servers["good"].entry.as_ref().map(|entry| entry.is_disabled), Ok(true));
    assert_eq!(servers["off"].entry.as_ref().map(|entry| entry.is_disabled), Ok(true));
    // One of two names that would share their tools' names is refused.
    assert!(servers["a b"].entry.as_ref().is_err_and(|error| error.contains("too much like \"A_b\"")));
}

#[test]
fn refuses_what_is_no_such_file() {
    assert_eq!(read("  ", &environment()).map(|servers| servers.len()), Ok(0));
    for (text, said) in [
        ("{", "no JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", "must be an object"),
        ("{}", "neither"),
        ("{\"mcpServers\": []}", "must be an object: a name"),
    ] {
        let error = read(text, &environment()).expect_err(text);
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn own_keys_decide() {
    let own = one(json!({"command": "x", "haia": {
        "prefix": false, "trust": ["get_*", "list"], "destructive": ["get_rid_*"], "start": "lazy", "timeout": "5s",
        "tools": {"allow": ["get_*", "list", "put"], "deny": ["get_secret"]}, "keys": ["anna", "job-*"], "pin": false
    }}))
    .expect("an entry")
    .own;
    assert_eq!((own.prefix, own.start, own.pin), (false, Start::Lazy, false));
    assert_eq!(own.timeout.map(|span| span.0), Some(Duration::from_secs(5)));
    for (tool, risk, offered) in [
        ("get_x", Risk::Read, true),
        ("list", Risk::Read, true),
        ("listing", Risk::Write, false),
        ("put", Risk::Write, true),
        ("get_rid_of", Risk::Destructive, true),
        ("get_secret", Risk::Read, false),
    ] {
        assert_eq!((own.risk(tool), own.allows(tool)), (risk, offered), "{tool}");
    }
    assert!(own.admits("anna") && own.admits("job-1") && !own.admits("ben"));
    let plain = one(json!({"command": "x"})).expect("an entry").own;
    assert_eq!(
        (plain.trust.clone(), plain.risk("get_x"), plain.prefix, plain.pin),
        (Trust::Nothing, Risk::Write, true, true)
    );
    assert!(plain.allows("anything") && plain.admits("anybody"));
    assert_eq!(one(json!({"command": "x", "haia": {"trust": "read"}})).expect("an entry").own.risk("x"), Risk::Read);
}
