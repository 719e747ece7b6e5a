//! Every tool over made-up clusters: schemas, results, and what happens at the edges.

use super::*;
use crate::assemble::assemble;
use crate::assemble::tests::{at, polled};
use crate::client::{ApiClient, Exchange, Transport, TransportError};
use crate::history::History;
use crate::model::Snapshot;
use contract::LocalBoxFuture;
use serde_json::Value;
use std::cell::RefCell;
use std::time::Duration;

/// A transport that answers from a table of paths (their beginnings), and 500 for the rest.
struct Table(&'static [(&'static str, &'static str)]);

impl Transport for Table {
    fn get(&self, _: usize, path: &str, _: Duration) -> LocalBoxFuture<'static, Result<Exchange, TransportError>> {
        let found = self.0.iter().find(|(beginning, _)| path.starts_with(beginning));
        let (status, reason, body) = match found {
            Some((_, body)) => (200, "OK", *body),
            None => (500, "no such thing", "{\"data\":null}"),
        };
        let exchange = Exchange { status, reason: reason.to_owned(), date_s: Some(1_772_366_400), body: body.into() };
        Box::pin(std::future::ready(Ok(exchange)))
    }
}

fn view(name: &str, snapshot: Option<Snapshot>, answers: &'static [(&'static str, &'static str)]) -> View {
    let clock = std::sync::Arc::new(runtime::SystemClock::real());
    let client =
        ApiClient::new(Rc::new(Table(answers)), vec!["https://a:8006".into()], "haia@pve!monitor".into(), clock);
    View {
        name: name.into(),
        problem: snapshot.is_none().then(|| "no answer".to_owned()),
        is_blind: snapshot.is_none(),
        snapshot: snapshot.map(Arc::new),
        interval_s: 10,
        client: Some(client),
        history: Rc::new(RefCell::new(History::default())),
        stops: Rc::default(),
    }
}

const MEMBERS: &str = r#"{"type":"cluster","name":"LAB","quorate":1,"nodes":2},{"type":"node","name":"pve1","online":1},{"type":"node","name":"pve2","online":1}"#;
const ROWS: &str = r#"
    {"type":"node","node":"pve1","status":"online","cpu":0.5,"maxcpu":8,"mem":4000000000,"maxmem":8000000000,"uptime":100000},
    {"type":"node","node":"pve2","status":"online","cpu":0.1,"maxcpu":8,"mem":1000000000,"maxmem":8000000000,"uptime":100000},
    {"type":"qemu","vmid":101,"node":"pve1","name":"web-01","status":"running","cpu":0.25,"maxcpu":2,"mem":1000,"maxmem":4000,"uptime":9000,"tags":"prod;web"},
    {"type":"lxc","vmid":102,"node":"pve2","name":"dns.lan","status":"stopped","cpu":0,"maxcpu":1,"maxmem":4000},
    {"type":"qemu","vmid":103,"node":"pve2","name":"db","status":"io-error","cpu":0,"maxmem":4000},
    {"type":"qemu","vmid":900,"node":"pve1","name":"tpl","status":"stopped","template":1},
    {"type":"storage","node":"pve1","storage":"local","status":"available","disk":90,"maxdisk":100,"content":"backup,iso","plugintype":"dir"},
    {"type":"storage","node":"pve1","storage":"nas","shared":1,"status":"available","disk":10,"maxdisk":100,"content":"images"}"#;
const TASKS: &str = r#"
    {"upid":"UPID:pve1:1:1:69A42D00:vzdump:101:root@pam:","node":"pve1","type":"vzdump","id":"101","user":"root@pam","starttime":1772366000,"endtime":1772366100,"status":"job errors"},
    {"upid":"UPID:pve2:1:1:69A42D00:vzshutdown:102:bob@pve:","node":"pve2","type":"vzshutdown","id":"102","user":"bob@pve","starttime":1772365000,"endtime":1772365010,"status":"OK"}"#;

fn snapshot(name: &str) -> Snapshot {
    assemble(&name.into(), polled(ROWS, MEMBERS, TASKS), None, at(0)).unwrap()
}

const ANSWERS: &[(&str, &str)] = &[
    (
        "/nodes/pve1/storage/local/content",
        r#"{"data":[{"volid":"local:backup/vzdump-qemu-101-x.vma","content":"backup","ctime":1772280000,"size":1073741824}]}"#,
    ),
    ("/nodes/pve1/qemu/101/snapshot", r#"{"data":[{"name":"before","snaptime":1770000000},{"name":"current"}]}"#),
    ("/nodes/pve1/qemu/101/status", r#"{"data":{"status":"running","qmpstatus":"running","uptime":9000,"agent":1}}"#),
    ("/nodes/pve1/qemu/101/config", r#"{"data":{"onboot":1,"scsi0":"nas:1,size=8G"}}"#),
    ("/nodes/pve1/status", r#"{"data":{"loadavg":["0.5","0.4","0.3"],"pveversion":"pve-manager/8.4-1"}}"#),
    ("/nodes/pve1/disks/list", r#"{"data":[{"devpath":"/dev/sda","health":"FAILED","wearout":3}]}"#),
    ("/nodes/pve1/disks", r#"{"data":[]}"#),
    (
        "/nodes/pve1/tasks/",
        r#"{"data":[{"n":1,"t":"ERROR: Backup of VM 101 failed - no space left"},{"n":2,"t":"line two"}]}"#,
    ),
    ("/nodes/pve2/tasks/", r#"{"data":[{"n":1,"t":"shutdown"}]}"#),
    ("/nodes/pve", r#"{"data":[]}"#),
    ("/cluster/backup-info", r#"{"data":[{"vmid":103}]}"#),
    ("/cluster/backup", r#"{"data":[{"id":"nightly","all":1,"exclude":"103","schedule":"02:00","storage":"local"}]}"#),
];

fn desk() -> Rc<Desk> {
    Rc::new(Desk { now: at(5), views: vec![view("lab", Some(snapshot("lab")), ANSWERS)] })
}

fn call_at(desk: &Rc<Desk>, name: &str, arguments: &str) -> ToolResult {
    let tool = READ_TOOLS.iter().find(|tool| tool.name == name).unwrap();
    match (tool.begin)(desk, arguments) {
        Ok(begun) => tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(begun),
        Err(said) => ToolResult::error(said),
    }
}

fn call(name: &str, arguments: &str) -> Value {
    let result = call_at(&desk(), name, arguments);
    assert!(!result.is_error, "{name}: {}", result.text);
    serde_json::from_str(&result.text).unwrap()
}

fn said(name: &str, arguments: &str) -> String {
    let result = call_at(&desk(), name, arguments);
    assert!(result.is_error, "{name}: {}", result.text);
    result.text
}

#[test]
fn schemas_are_strict_and_names_are_sorted() {
    let names: Vec<&str> = READ_TOOLS.iter().map(|tool| tool.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(names.len(), 16);
    for tool in READ_TOOLS {
        let schema: Value = serde_json::from_str(tool.parameters).expect(tool.name);
        assert_eq!(schema["type"], "object", "{}", tool.name);
        assert_eq!(schema["additionalProperties"], Value::Bool(false), "{}", tool.name);
        let mut properties: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        let mut required: Vec<&str> = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        properties.sort();
        required.sort_unstable();
        assert_eq!(properties, required, "{}", tool.name);
        for (member, property) in schema["properties"].as_object().unwrap() {
            assert!(property["type"].is_array() || property["type"].is_string(), "{}.{member}", tool.name);
            assert!(property["description"].is_string(), "{}.{member}", tool.name);
        }
        assert_eq!(tool.offer().parameters.get(), tool.parameters);
        assert_eq!(tool.offer().risk, Risk::Read);
    }
}

#[test]
fn every_tool_answers_with_its_data_age_and_without_nulls() {
    for tool in READ_TOOLS {
        let schema: Value = serde_json::from_str(tool.parameters).unwrap();
        // As strict APIs call: every member there, what is optional null.
        let arguments: serde_json::Map<String, Value> = schema["properties"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(member, property)| {
                let value = match (member.as_str(), property["type"].is_array()) {
                    (_, true) => Value::Null,
                    ("guest", _) => "web-01".into(),
                    ("node", _) => "pve1".into(),
                    ("upid", _) => "UPID:pve1:1:1:69A42D00:vzdump:101:root@pam:".into(),
                    (other, _) => panic!("{}.{other}", tool.name),
                };
                (member.clone(), value)
            })
            .collect();
        let result = call(tool.name, &Value::Object(arguments).to_string());
        assert_eq!(result["data"][0]["cluster"], "lab", "{}", tool.name);
        assert_eq!(
            (&result["data"][0]["age_s"], &result["data"][0]["state"]),
            (&5.into(), &"fresh".into()),
            "{}",
            tool.name
        );
        assert!(!result.to_string().contains("null"), "{}: {result}", tool.name);
        let odd = said(tool.name, r#"{"nonsense":1}"#);
        assert!(odd.contains("nonsense"), "{}: {odd}", tool.name);
    }
}

#[test]
fn guests_are_listed_filtered_and_summed() {
    let all = call("list_vms", "");
    assert_eq!(
        (&all["total"], &all["summary"]["running"], &all["summary"]["io-error"]),
        (&3.into(), &1.into(), &1.into())
    );
    assert_eq!(all["guests"][0]["name"], "db", "trouble comes first");
    let web = &call("list_vms", r#"{"tag":"PROD"}"#)["guests"][0];
    assert_eq!(
        (&web["cpu_percent"], &web["memory_percent"], &web["uptime"]),
        (&25.0.into(), &25.0.into(), &"2 h 30 min".into())
    );
    for (arguments, total) in [
        (r#"{"status":"running"}"#, 1),
        (r#"{"status":"trouble"}"#, 1),
        (r#"{"status":"template"}"#, 1),
        (r#"{"kind":"container"}"#, 1),
        (r#"{"node":"PVE2"}"#, 2),
        (r#"{"name":"e"}"#, 1),
        (r#"{"status":"all","limit":1}"#, 3),
    ] {
        assert_eq!(call("list_vms", arguments)["total"], total, "{arguments}");
    }
    assert_eq!(call("list_vms", r#"{"limit":1}"#)["next_offset"], 1);
    assert!(said("list_vms", r#"{"status":"dancing"}"#).contains("running, stopped"));
}

#[test]
fn two_thousand_guests_do_not_flood() {
    let rows: Vec<String> = (0..2000).map(|n| format!(r#"{{"type":"qemu","vmid":{},"node":"pve1","name":"guest-{n}","status":"running","cpu":0.1,"maxcpu":2,"mem":1000,"maxmem":4000,"uptime":9000,"tags":"prod;web"}}"#, 1000 + n)).collect();
    let snapshot = assemble(&"lab".into(), polled(&rows.join(","), MEMBERS, ""), None, at(0)).unwrap();
    let desk = Rc::new(Desk { now: at(5), views: vec![view("lab", Some(snapshot), ANSWERS)] });
    for (name, arguments) in [
        ("list_vms", "{}"),
        ("list_vms", r#"{"limit":100000}"#),
        ("get_cluster_resources", "{}"),
        ("list_snapshots", "{}"),
        ("backup_coverage", "{}"),
        ("get_vm_status", r#"{"guest":"guest"}"#),
    ] {
        let result = call_at(&desk, name, arguments);
        assert!(result.text.len() < 60_000, "{name} {arguments}: {} bytes", result.text.len());
    }
    assert!(call_at(&desk, "list_vms", "{}").text.len() < 14_000);
}

#[test]
fn guests_are_found_by_number_by_name_and_with_help() {
    for wanted in ["101", "web-01", "WEB-01", "vm 101", "qemu/101", " web-01 "] {
        assert_eq!(call("get_vm_status", &format!(r#"{{"guest":"{wanted}"}}"#))["guest"]["vmid"], 101, "{wanted}");
    }
    assert_eq!(call("get_vm_status", r#"{"guest":102,"cluster":null}"#)["guest"]["name"], "dns.lan");
    assert_eq!(call("explain_guest_stop", r#"{"guest":"dns"}"#)["guest"]["vmid"], 102, "the host part of a full name");
    assert_eq!(call("get_vm_status", r#"{"guest":"Web 01"}"#)["guest"]["vmid"], 101, "as people say it");
    assert!(said("get_vm_status", r#"{"guest":"-.-"}"#).contains("no guest"));
    let unknown = said("get_vm_status", r#"{"guest":"web-02"}"#);
    assert!(unknown.contains("no guest \"web-02\"") && unknown.contains("web-01 (101"), "{unknown}");
    assert!(said("get_vm_status", r#"{"guest":""}"#).contains("which guest"));
    let desk = Rc::new(Desk {
        now: at(5),
        views: vec![view("lab", Some(snapshot("lab")), ANSWERS), view("attic", Some(snapshot("attic")), ANSWERS)],
    });
    let ambiguous = call_at(&desk, "get_vm_status", r#"{"guest":"web-01"}"#);
    assert!(
        ambiguous.is_error && ambiguous.text.contains("2 guests") && ambiguous.text.contains("cluster attic"),
        "{}",
        ambiguous.text
    );
    let one = call_at(&desk, "get_vm_status", r#"{"guest":"web-01","cluster":"attic"}"#);
    assert!(!one.is_error && one.text.contains(r#""cluster":"attic""#), "{}", one.text);
}

#[test]
fn a_stop_is_explained_from_the_task_log() {
    let found = call("explain_guest_stop", r#"{"guest":"102"}"#);
    assert_eq!(
        (&found["verdict"], &found["task"]["user"], &found["log"][0]),
        (&"stopped_by_task".into(), &"bob@pve".into(), &"shutdown".into())
    );
    assert!(found["summary"].as_str().unwrap().contains("shut down by bob@pve"), "{found}");
    assert_eq!(call("explain_guest_stop", r#"{"guest":"db"}"#)["verdict"], "failed");
}

#[test]
fn the_overview_names_what_is_wrong() {
    let found = call("get_cluster_resources", "{}");
    assert_eq!(found["healthy"], false);
    let problems = found["clusters"][0]["problems"].to_string();
    for part in ["db (103) is in the state io-error", "storage pve1/local is 90 % full", "1 backup run failed"] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
    assert_eq!(found["clusters"][0]["problems"][0]["severity"], "critical");
}

#[test]
fn backups_and_who_has_none() {
    let backups = call("list_backups", r#"{"guest":"web-01"}"#);
    assert_eq!(
        (&backups["total"], &backups["total_size"], &backups["backups"][0]["guest"]["vmid"]),
        (&1.into(), &"1.0 GiB".into(), &101.into())
    );
    let coverage = call("backup_coverage", "{}");
    let cluster = &coverage["clusters"][0];
    assert_eq!(cluster["without_job"]["guests"][0]["name"], "db");
    assert_eq!(cluster["without_backup"]["total"], 2);
    assert_eq!(
        (&cluster["jobs"][0]["guests"], &cluster["failed_runs_7d"]["total"]),
        (&"all but 103".into(), &1.into())
    );
}

#[test]
fn disks_that_fail_are_named() {
    let found = call("list_disks", r#"{"node":"pve1"}"#);
    let bad = found["bad"].to_string();
    assert!(bad.contains("SMART says FAILED") && bad.contains("3 % of its life"), "{bad}");
    assert!(said("list_disks", r#"{"node":"pve9"}"#).contains("nodes: pve1, pve2"));
}

#[test]
fn tasks_are_filtered() {
    assert_eq!(call("list_tasks", r#"{"failed":true,"kind":"vzdump"}"#)["tasks"][0]["status"], "job errors");
    for (arguments, total) in [
        (r#"{"guest":"dns.lan"}"#, 1),
        (r#"{"since_hours":0.2}"#, 1),
        (r#"{"user":"bob"}"#, 1),
        (r#"{"running":true}"#, 0),
        (r#"{"node":"pve1"}"#, 1),
        (r#"{"guest":"555"}"#, 0),
    ] {
        assert_eq!(call("list_tasks", arguments)["total"], total, "{arguments}");
    }
    assert!(said("get_task_log", r#"{"upid":"x/../y"}"#).contains("is no task"));
    assert_eq!(
        call("get_task_log", r#"{"upid":"UPID:pve1:1:1:69A42D00:vzdump:101:root@pam:","lines":1}"#)["lines"],
        serde_json::json!(["line two"])
    );
}

#[test]
fn what_is_old_or_missing_says_so() {
    let old = Rc::new(Desk {
        now: at(600),
        views: vec![View {
            is_blind: true,
            problem: Some("https://a:8006: no answer".to_owned()),
            ..view("lab", Some(snapshot("lab")), ANSWERS)
        }],
    });
    let result: Value = serde_json::from_str(&call_at(&old, "list_vms", "{}").text).unwrap();
    assert_eq!((&result["data"][0]["state"], &result["data"][0]["age_s"]), (&"stale".into(), &600.into()));
    assert!(result["data"][0]["problem"].as_str().unwrap().contains("no answer"));
    let none = Rc::new(Desk { now: at(0), views: vec![view("lab", None, &[])] });
    let result = call_at(&none, "list_vms", "{}");
    assert!(
        result.is_error && result.text.contains("nothing is known of the cluster lab: no answer"),
        "{}",
        result.text
    );
    assert!(said("list_nodes", r#"{"cluster":"mars"}"#).contains("configured: lab"));
    assert_eq!(
        call("list_nodes", r#"{"cluster":"LAB"}"#)["nodes"][0]["guests_running"],
        1,
        "also by the cluster's own name"
    );
}
