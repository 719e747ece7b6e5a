//! Switches, reloads and what they must not touch.

use crate::rig::{Rig, file, is_alive, python, run, until_gone};
use contract::mcp::{ListMcpServers, McpState, ToggleMcpServer, ToggleMcpTool};
use serde_json::json;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_switched_off_server_is_gone_and_stays_off() {
    run(async {
        let servers = file([("it", python(&["good"])), ("other", python(&["good"]))]);
        let rig = Rig::start(&servers).await;
        rig.until_offered("it__echo", true).await;
        let pid = rig.until_state("it", McpState::Ready).await.pid.expect("a process");
        let off = ToggleMcpServer { name: "it".to_owned(), enabled: false };
        assert_eq!(rig.ask(off).await, Ok(()));
        rig.until_offered("it__echo", false).await;
        until_gone(pid).await;
        assert_eq!(rig.until_state("it", McpState::Disabled).await.last_error, None);
        let said = rig.ask(ToggleMcpServer { name: "oter".to_owned(), enabled: false }).await.expect_err("unknown");
        assert!(said.to_string().contains("did you mean other"), "{said}");
        rig.drain().await;

        let again = Rig::start_with(&servers, rig.kept.clone(), toolbox::Config::default()).await;
        again.until_state("other", McpState::Ready).await;
        again.until_state("it", McpState::Disabled).await;
        assert_eq!(again.ask(ToggleMcpServer { name: "it".to_owned(), enabled: true }).await, Ok(()));
        again.until_offered("it__echo", true).await;
        again.drain().await;
    });
}

#[test]
fn a_switched_off_tool_is_neither_listed_nor_called() {
    run(async {
        let rig = Rig::start(&file([("it", python(&["good"]))])).await;
        rig.until_offered("it__echo", true).await;
        for (tool, name) in [("echo", "it__echo"), ("it__fail", "it__fail")] {
            let off = ToggleMcpTool { server: "it".to_owned(), tool: tool.to_owned(), enabled: false };
            assert_eq!(rig.ask(off).await, Ok(()));
            rig.until_offered(name, false).await;
        }
        let unknown = ToggleMcpTool { server: "it".to_owned(), tool: "eccho".to_owned(), enabled: false };
        assert!(rig.ask(unknown).await.is_err_and(|said| said.to_string().contains("did you mean echo")));
        let status = rig.ask(ListMcpServers).await;
        assert_eq!(status[0].tools.iter().filter(|tool| tool.offered_as.is_none()).count(), 2);
        let on = ToggleMcpTool { server: "it".to_owned(), tool: "echo".to_owned(), enabled: true };
        assert_eq!(rig.ask(on).await, Ok(()));
        rig.until_offered("it__echo", true).await;
        rig.drain().await;
    });
}

#[test]
fn reloads_touch_only_what_changed() {
    run(async {
        let with = |other: serde_json::Value| file([("it", python(&["good"])), ("other", other)]);
        let mut rig = Rig::start(&with(python(&["good"]))).await;
        rig.until_offered("it__echo", true).await;
        let pid = rig.until_state("it", McpState::Ready).await.pid;
        let failed = Rc::new(AtomicUsize::new(0));
        let done = Rc::new(AtomicUsize::new(0));
        let call = rig.call.clone();
        let (failures, calls) = (Rc::clone(&failed), Rc::clone(&done));
        let load = actix_rt::spawn(async move {
            loop {
                let message = contract::tools::CallTool {
                    request_id: contract::ids::RequestId::new("r"),
                    caller: contract::caller::Caller {
                        name: "anna".into(),
                        scope: contract::caller::Scope::Control,
                        origin: contract::caller::Origin::Chat,
                    },
                    name: "it__echo".into(),
                    arguments: json!({"text": "x"}).to_string(),
                    timeout: std::time::Duration::from_secs(10),
                };
                let answer = call.ask(message, std::time::Duration::from_secs(20)).await;
                calls.fetch_add(1, Ordering::Relaxed);
                if !answer.is_ok_and(|answer| answer.is_ok_and(|result| result.text == "x")) {
                    failures.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for at in 0..100 {
            let other = match at % 4 {
                0 => python(&["good", &at.to_string()]),
                1 => json!({"command": "/no/such/program"}),
                2 => json!({"command": 1}),
                _ => python(&["die"]),
            };
            let text = if at % 10 == 9 { "{ broken".to_owned() } else { with(other) };
            rig.reload(|settings| settings.servers = text.into()).await;
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        load.abort();
        assert!(done.load(Ordering::Relaxed) >= 20, "{done:?}");
        assert_eq!(failed.load(Ordering::Relaxed), 0);
        let status = rig.ask(ListMcpServers).await;
        assert_eq!((status[0].pid, status[0].restarts), (pid, 0));

        // Policy changes without a new connection; the way changes with one; what is gone ends.
        let mut entry = python(&["good"]);
        entry["haia"] = json!({"prefix": false, "trust": "read"});
        rig.reload(|settings| settings.servers = file([("it", entry)]).into()).await;
        rig.until_offered("echo", true).await;
        let status = rig.ask(ListMcpServers).await;
        assert_eq!((status.len(), status[0].pid), (1, pid));
        rig.reload(|settings| settings.servers = file([("it", python(&["good", "other"]))]).into()).await;
        until_gone(pid.expect("a process")).await;
        let fresh = rig.until_state("it", McpState::Ready).await.pid.expect("a process");
        assert!(is_alive(fresh) && Some(fresh) != pid);
        rig.reload(|settings| settings.servers = "".into()).await;
        until_gone(fresh).await;
        assert_eq!(rig.ask(ListMcpServers).await.len(), 0);
        rig.drain().await;
    });
}
