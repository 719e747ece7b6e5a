//! Programs on standard input and output: calls, faults, results, limits.

use crate::rig::{PATIENCE, Rig, file, python, run};
use contract::failure::FailureClass;
use contract::mcp::{McpState, ReadMcpLogs};
use serde_json::json;
use std::time::Duration;

#[test]
fn a_server_attaches_and_answers() {
    run(async {
        let mut entry = python(&["good"]);
        entry["env"] = json!({"GREETING": "hello ${SECRET_TOKEN}"});
        let rig = Rig::start(&file([("it", entry)])).await;
        let status = rig.until_state("it", McpState::Ready).await;
        assert_eq!(
            (status.transport, status.era.as_deref(), status.software.as_deref()),
            ("stdio", Some("2025-11-25"), Some("fixture 1.2"))
        );
        rig.until_offered("it__echo", true).await;
        assert!(rig.names().iter().any(|name| name == "read_result"));
        assert_eq!(rig.text("it__echo", json!({"text": "ünd?"})).await, "ünd?");
        // The server's own process is told, and it got its variables and none of HAIA's.
        assert_eq!(rig.text("it__pid", json!({})).await, status.pid.expect("a process").to_string());
        assert_eq!(rig.text("it__variable", json!({"name": "GREETING"})).await, "hello hush-hush-token");
        assert_eq!(rig.text("it__variable", json!({"name": "SECRET_TOKEN"})).await, "unset");
        let rows = std::mem::take(&mut *rig.rows.0.lock().expect("rows"));
        assert_eq!(rows.iter().map(|row| (&*row.what, &*row.outcome)).collect::<Vec<_>>()[0], ("it__echo", "ok"));
        assert_eq!(rows.len(), 4);
        let status = rig.until("calls are counted", |servers| servers[0].calls == 4).await;
        assert!(status[0].latency_ms.max > 0.0 && status[0].errors == 0);
        rig.drain().await;
    });
}

#[test]
fn results_keep_what_they_hold_and_long_ones_can_be_read_on() {
    run(async {
        let rig = Rig::start(&file([("it", python(&["good"]))])).await;
        rig.until_offered("it__big", true).await;
        let picture = rig.call("it__picture", json!({})).await.expect("a result");
        assert_eq!(picture.text, "see\n[image, image/png, 3 bytes]");
        let original: serde_json::Value =
            serde_json::from_str(picture.mcp.as_deref().expect("the original")).expect("JSON");
        assert_eq!((&original["content"][1]["data"], &original["structuredContent"]["n"]), (&json!("AAAA"), &json!(1)));

        let big = rig.text("it__big", json!({"bytes": 5_000_000})).await;
        assert!(big.len() <= 24 << 10 && big.starts_with("[HAIA: this result has 4.8 MiB"), "{}", &big[..200]);
        let id = big.split("id \"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id").to_owned();
        let next = rig.text("read_result", json!({"id": id, "offset": 4_999_995})).await;
        assert_eq!(next, "[this is the end]\n56789");
        let failed =
            rig.call_as("ben", "read_result", json!({"id": id, "offset": 0}), PATIENCE).await.expect("a result");
        assert!(failed.is_error && failed.text.contains("no such result"), "{failed:?}");

        let said = rig.call("it__fail", json!({})).await.expect("a result");
        assert!(said.is_error && said.text == "it failed");
        assert_eq!(rig.refusal("it__refuse", json!({})).await, "it__refuse was refused by its server: not today");
        assert!(rig.refusal("it__echo", json!({"txt": 1})).await.contains("the member \"text\" is missing"));
        rig.drain().await;
    });
}

#[test]
fn deadlines_progress_and_cancellation() {
    run(async {
        let notes = tempfile::NamedTempFile::new().expect("a file");
        let mut entry = python(&["good"]);
        entry["env"] = json!({"TEST_NOTES": notes.path()});
        let rig = Rig::start(&file([("it", entry)])).await;
        rig.until_offered("it__slow", true).await;
        let half = Duration::from_millis(500);
        let late = rig.call_as("anna", "it__slow", json!({"seconds": 20}), half).await.expect_err("too late");
        assert_eq!((late.class, &*late.message), (FailureClass::Timeout, "it__slow did not answer within 500ms"));
        assert_eq!(&*rig.rows.0.lock().expect("rows").last().expect("a row").outcome, "timeout");
        // Three times as long, but it shows that it works.
        let done = rig.call_as("anna", "it__progress", json!({"seconds": 1.5}), half).await.expect("in time");
        assert_eq!(done.text, "done");
        // Nobody waits any more.
        let given_up = tokio::time::timeout(half, rig.call("it__slow", json!({"seconds": 2}))).await;
        assert!(given_up.is_err());
        let told = || std::fs::read_to_string(notes.path()).expect("notes").matches("told of cancellation").count();
        while told() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        while rig.rows.0.lock().expect("rows").iter().filter(|row| &*row.outcome == "cancelled").count() < 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(rig.text("it__echo", json!({"text": "x"})).await, "x");
        rig.drain().await;
    });
}

#[test]
fn a_crash_in_a_call_is_told_and_mended() {
    run(async {
        let rig = Rig::start(&file([("it", python(&["good"]))])).await;
        rig.until_offered("it__crash", true).await;
        let said = rig.refusal("it__crash", json!({})).await;
        assert!(said.contains("ended during the call"), "{said}");
        // The next call waits for the restart.
        assert_eq!(rig.text("it__echo", json!({"text": "back"})).await, "back");
        let status = rig.until_state("it", McpState::Ready).await;
        assert_eq!(status.restarts, 1);
        let error = status.last_error.expect("an error");
        assert!(error.contains("exit code 7") && error.contains("out of cheese"), "{error}");
        rig.drain().await;
    });
}

#[test]
fn every_fault_stays_with_its_server() {
    run(async {
        let mut die = python(&["die"]);
        die["env"] = json!({"KEY": "${SECRET_TOKEN}"});
        let servers = file([
            ("good", python(&["good"])),
            ("hang", python(&["hang"])),
            ("die", die),
            ("missing", json!({"command": "/no/such/program"})),
            ("nowhere", json!({"command": "python3", "cwd": "/no/such/folder"})),
            ("endless", python(&["endless"])),
            ("no_list", python(&["no_list"])),
            ("odd", python(&["odd"])),
            ("noisy", python(&["noisy"])),
            ("bad", json!({"command": 7})),
            ("unset", json!({"command": "x", "args": ["${NOT_SET}"]})),
        ]);
        let rig = Rig::start(&servers).await;
        for (server, state, said) in [
            ("good", McpState::Ready, ""),
            ("die", McpState::Failed, "ImportError: no module named cheese"),
            ("missing", McpState::Failed, "cannot be started"),
            ("nowhere", McpState::Failed, "is no directory"),
            ("no_list", McpState::Degraded, "no list today"),
            ("bad", McpState::Failed, "its entry cannot be used"),
            ("unset", McpState::Failed, "NOT_SET is not set"),
            ("hang", McpState::Starting, ""),
        ] {
            let status = rig.until_state(server, state).await;
            let error = status.last_error.unwrap_or_default();
            assert!(error.contains(said), "{server}: {error}");
        }
        let endless = rig.until_state("endless", McpState::Ready).await;
        assert_eq!(endless.tools.len(), 100);
        assert!(endless.rejected[0].contains("does not end"), "{:?}", endless.rejected);
        let odd = rig.until_state("odd", McpState::Ready).await;
        assert_eq!((odd.tools.len(), odd.rejected.len()), (8, 4), "{odd:?}");
        let names: Vec<&str> = odd.tools.iter().filter_map(|tool| tool.offered_as.as_deref()).collect();
        let distinct: std::collections::BTreeSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        assert!(distinct.len() == 8 && names.iter().all(|name| name.len() <= 64), "{names:?}");
        rig.until_state("noisy", McpState::Ready).await;
        rig.until_known("noisy__echo").await;
        rig.until_known("odd__hidden").await;
        rig.until_offered("noisy__echo", false).await;
        // More tools than are listed: they are found instead.
        let found = rig.text("tools_search", json!({"query": "noisy echo"})).await;
        assert!(found.contains("noisy__echo"), "{found}");
        assert_eq!(rig.text("tools_call", json!({"name": "noisy__echo", "arguments": {"text": "a"}})).await, "a");
        assert_eq!(&*rig.rows.0.lock().expect("rows").last().expect("a row").what, "noisy__echo");
        let described = rig.text("tools_describe", json!({"names": ["odd__hidden"]})).await;
        assert!(described.contains("[odd] Harmless. Really."), "{described}");
        let logs = rig.ask(ReadMcpLogs { name: "die".to_owned() }).await.expect("logs");
        assert!(logs.iter().any(|line| line.source == "stderr" && line.text.contains("cheese")), "{logs:?}");
        assert!(logs.iter().any(|line| line.text == "using key ***"), "{logs:?}");
        // Whoever keeps failing is told of, once.
        let told = || {
            let troubles = rig.troubles.lock().expect("troubles");
            troubles.iter().filter(|trouble| &*trouble.server == "die").cloned().collect::<Vec<_>>()
        };
        rig.until("it has failed four times", |servers| {
            servers.iter().any(|one| &*one.name == "die" && one.restarts >= 3)
        })
        .await;
        let told = told();
        assert_eq!((told.len(), told[0].rule, told[0].is_over), (1, "mcp_server_failed", false));
        assert!(
            told[0].summary.contains("3 times in a row") && told[0].summary.contains("cheese"),
            "{}",
            told[0].summary
        );
        rig.drain().await;
    });
}

#[test]
fn a_stateless_server_is_spoken_to_in_its_own_way() {
    run(async {
        let rig = Rig::start(&file([("it", python(&["stateless"]))])).await;
        let status = rig.until_state("it", McpState::Ready).await;
        assert_eq!(status.era.as_deref(), Some("2026-07-28"));
        rig.until_offered("it__echo", true).await;
        assert_eq!(rig.text("it__echo", json!({"text": "x"})).await, "x");
        let kept = rig.kept.0.lock().expect("kept").get("switches/it").cloned().expect("the revision is kept");
        assert!(kept.contains("2026-07-28"), "{kept}");
        rig.drain().await;
    });
}

#[test]
fn a_lazy_server_runs_only_while_it_is_used() {
    run(async {
        let mut entry = python(&["good"]);
        entry["haia"] = json!({"start": "lazy", "idle_stop": "300ms", "trust": "read"});
        let rig = Rig::start(&file([("it", entry.clone())])).await;
        // The first time it has to start for its tools to be known.
        rig.until_offered("it__echo", true).await;
        let status = rig.until_state("it", McpState::Idle).await;
        assert_eq!((status.pid, status.tools.len()), (None, 12));
        assert_eq!(rig.text("it__echo", json!({"text": "x"})).await, "x");
        rig.until_state("it", McpState::Idle).await;
        rig.drain().await;
        // Later it rests from the beginning.
        let again = Rig::start_with(&file([("it", entry)]), rig.kept.clone(), toolbox::Config::default()).await;
        again.until_offered("it__echo", true).await;
        assert_eq!(again.until_state("it", McpState::Idle).await.restarts, 0);
        assert_eq!(again.text("it__echo", json!({"text": "y"})).await, "y");
        again.drain().await;
    });
}
