//! Tables of README.md that are made from the code: the watching rules with their defaults, what each kind of provider carries, and the privileges
//! that actions need. A test
//! fails when one is out of date; this writes them anew:
//!
//! ```sh
//! cargo test --test readme -- --ignored
//! ```
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use contract::approvals::ActionClass;
use contract::chat::ChatRequest;
use contract::direct::{DirectBody, DirectKind};
use contract::monitor::{LevelSettings, RuleInfo};
use contract::provider::CallBody;
use contract::tools::Risk;
use provider_pool::formats::{Encode, Format, ModelSettings, by_kind, direct};
use proxmox_poller::actions::{ACTION_PRIVILEGES, ACTION_TOOLS, ActionTool, NeededOn};
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::rc::Rc;

/// A table's name in the markers around it, and how it is made.
/// A table: the name of its markers, and what makes it.
type Generated = (&'static str, fn() -> String);

const TABLES: [Generated; 3] = [("actions", actions), ("rules", rules), ("providers", providers)];

fn readme() -> (PathBuf, String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = std::fs::read_to_string(&path).expect("README.md");
    (path, text)
}

/// The text with each table made anew.
fn renewed(mut text: String) -> String {
    for (name, made) in TABLES {
        let (begin, end) =
            (format!("<!-- {name}: made by tests/readme.rs -->\n"), format!("<!-- end of the {name} -->\n"));
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("README.md has no {begin:?}"));
        let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("README.md has no {end:?}"));
        text = format!("{before}{begin}{}{end}{after}", made());
    }
    text
}

#[test]
fn the_tables_are_up_to_date() {
    let (_, text) = readme();
    assert!(
        renewed(text.clone()) == text,
        "a table is out of date; cargo test --test readme -- --ignored writes it anew"
    );
}

/// Metrics that the dashboard and the README name are ones that HAIA has.
#[test]
fn metrics_that_are_named_exist() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let read =
        |path: &str| std::fs::read_to_string(folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let source = read("actors/http-gateway/src/routes/metrics.rs");
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let mut seen = 0;
    for path in ["deploy/grafana.json", "README.md"] {
        let text = read(path);
        for (at, _) in text.match_indices("haia_") {
            let name: String = text[at..].chars().take_while(|c| is_part(*c)).collect();
            if name != "haia_profile" && !text[..at].ends_with(is_part) {
                assert!(source.contains(&format!("\"{name}\"")), "{path}: {name}");
                seen += 1;
            }
        }
    }
    assert!(seen > 30);
}

#[test]
#[ignore = "it writes README.md"]
fn write_the_tables() {
    let (path, text) = readme();
    std::fs::write(path, renewed(text)).expect("written");
}

/// Each class of actions: its tool, and what a token needs for it; and the commands for all of them.
fn actions() -> String {
    let mut table =
        "| class | tool | on the guest (`/vms/<vmid>` or its pool) | on the storage |\n| --- | --- | --- | --- |\n"
            .to_owned();
    let mut all: Vec<&str> = Vec::new();
    for tool in sorted(ACTION_TOOLS) {
        let names = |on: NeededOn| {
            let needed = ACTION_PRIVILEGES.iter().filter(|one| one.class == tool.class && one.on == on);
            let names: Vec<String> = needed.map(|one| format!("`{}`", one.name)).collect();
            if names.is_empty() { "–".to_owned() } else { names.join(", ") }
        };
        let destructive = if tool.risk == Risk::Destructive { " (destructive)" } else { "" };
        let (guest, storage) = (names(NeededOn::Guest), names(NeededOn::Storage));
        writeln!(table, "| `{}`{destructive} | `{}` | {guest} | {storage} |", tool.class.as_str(), tool.name)
            .expect("a text");
    }
    // These need nothing of Proxmox VE.
    for (class, tool) in
        [(ActionClass::AlertmanagerSilence, "`alertmanager_silence`"), (ActionClass::Tool, "those of MCP servers")]
    {
        writeln!(table, "| `{}` | {tool} | – | – |", class.as_str()).expect("a text");
    }
    for one in ACTION_PRIVILEGES {
        if !all.contains(&one.name) {
            all.push(one.name);
        }
    }
    let privileges = all.join(" ");
    writeln!(
        table,
        "\nFor all of them, on any node as root (leave out the privileges of classes that you do not want):\n\n```sh\n\
         pveum role add HAIAActions --privs '{privileges}'\n\
         pveum acl modify / --users 'haia@pve' --roles HAIAActions\n\
         pveum acl modify / --tokens 'haia@pve!monitor' --roles HAIAActions\n```"
    )
    .expect("a text");
    table
}

/// In the order of the classes.
fn sorted(tools: &[ActionTool]) -> Vec<&ActionTool> {
    let mut tools: Vec<&ActionTool> = tools.iter().collect();
    tools.sort_by_key(|tool| tool.class);
    tools
}

/// Every rule: what raises it, and its levels.
fn rules() -> String {
    let mut table = "| rule | raised when | levels |\n| --- | --- | --- |\n".to_owned();
    for rule in proxmox_poller::rule_infos().chain(&alert_desk::OWN_RULES) {
        let condition = sentence(rule.condition).replace('|', "\\|");
        writeln!(table, "| `{}` | {condition} | {} |", rule.name, levels(rule)).expect("a text");
    }
    table
}

/// With a capital letter, without the last full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn levels(rule: &RuleInfo) -> String {
    let mut parts: Vec<String> = rule
        .defaults
        .levels()
        .map(|(severity, level)| format!("{}{}", severity.as_str(), times(rule.unit, level)))
        .collect();
    if parts.is_empty() {
        parts.push("as it arrives".to_owned());
    }
    let extra = [("counted within", rule.defaults.within), ("grace", rule.defaults.grace)];
    parts.extend(extra.into_iter().filter_map(|(what, span)| Some(format!("{what} {}", span?))));
    if !rule.defaults.is_enabled() {
        parts.insert(0, "**off**".to_owned());
    }
    parts.join("; ")
}

/// ` ≥ 85 % for 2m, until < 82 % for 2m`.
fn times(unit: &str, level: &LevelSettings) -> String {
    let counted = |mark: f64| match (unit, mark) {
        ("", _) => format!("{mark}"),
        (unit, 1.0) => format!("1 {}", unit.trim_end_matches('s')),
        (unit, _) => format!("{mark} {unit}"),
    };
    let mut text = String::new();
    let (sign, back) = if level.below.is_some() { ("≤", ">") } else { ("≥", "<") };
    if let Some(mark) = level.above.or(level.below) {
        write!(text, " {sign} {}", counted(mark)).expect("a text");
    }
    if let Some(hold) = level.hold.filter(|hold| !hold.0.is_zero()) {
        write!(text, " for {hold}").expect("a text");
    }
    let clear = level.clear.map(|clear| format!(" {back} {}", counted(clear))).unwrap_or_default();
    let calm = level.clear_for.filter(|span| !span.0.is_zero()).map(|span| format!(" for {span}")).unwrap_or_default();
    if !clear.is_empty() || !calm.is_empty() {
        let over = if clear.is_empty() { " it is over" } else { &clear };
        write!(text, ", until{over}{calm}").expect("a text");
    }
    text
}

/// What the providers of a kind carry, found out by asking their formats.
fn providers() -> String {
    let mut table = "| `kind` | models are listed at | tools | structured output | reasoning settings | pictures by address | signatures of thinking | embeddings | audio | `/v1/messages` |\n\
                     | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for kind in provider_pool::KINDS {
        let format = by_kind(kind.format).expect("a format");
        let plain = encoded(format, "");
        let is = |yes: bool| if yes { "yes" } else { "no" };
        let tools = r#","tools":[{"type":"function","function":{"name":"look_up","parameters":{"type":"object","properties":{}}}}]"#;
        let schema = r#","response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object","properties":{"distance":{"type":"number"}},"required":["distance"],"additionalProperties":false}}}"#;
        let picture =
            if format.fetches_picture("https://host.example/cat.png") { "passed on" } else { "HAIA fetches them" };
        let proofs = if format.keeps_proofs() { "kept and sent back" } else { "–" };
        let describes = if format.describe_model("m").is_some() { ", `/api/show`" } else { "" };
        writeln!(
            table,
            "| `{}` | `{}`{describes} | {} | {} | {} | {picture} | {proofs} | {} | {} | {} |",
            kind.name,
            format.models_path().split('?').next().unwrap_or_default(),
            is(encoded(format, tools).contains("look_up")),
            is(encoded(format, schema).contains("distance")),
            is(encoded(format, r#","reasoning_effort":"high""#) != plain),
            is(offers(kind.format, DirectKind::Embeddings)),
            is(offers(kind.format, DirectKind::Speech)),
            if offers(kind.format, DirectKind::Messages) { "as it is" } else { "translated" },
        )
        .expect("a text");
    }
    table
}

/// A chat with these further members, as it goes out.
fn encoded(format: &dyn Format, members: &str) -> String {
    let body =
        format!(r#"{{"model":"m","max_tokens":4000,"messages":[{{"role":"user","content":"Hello"}}]{members}}}"#);
    let body = CallBody::Request(Rc::new(ChatRequest::parse(body.as_bytes()).expect("a request")));
    let model = match format.kind() {
        "anthropic" => "claude-sonnet-4-5",
        "gemini" => "gemini-2.5-flash",
        "ollama" => "qwen3:8b",
        _ => "gpt-5-mini",
    };
    let settings = ModelSettings::default();
    let encoded = format.encode(&Encode { body: &body, model, stream: true, settings: &settings }).expect("encoded");
    String::from_utf8_lossy(&encoded.body).into_owned()
}

fn offers(format: &str, kind: DirectKind) -> bool {
    let body = json!({"model": "m", "input": "Hello", "voice": "alloy", "max_tokens": 10,
        "messages": [{"role": "user", "content": "Hello"}]});
    let body = DirectBody::Json(body.to_string().into());
    let settings = ModelSettings::default();
    let asked = direct::Asked { kind, body: &body, model: "m", stream: false, settings: &settings };
    direct::outgoing(format, &asked).expect("written").is_some()
}
