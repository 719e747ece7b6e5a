//! What can be read without calling a tool: the clusters as they were last seen, the open alerts and their history.
//!
//! A resource is answered by the tool or actor that owns the data, on the caller's behalf; nothing is kept here. All of it is text of guests,
//! alerts and logs in part: data, never instruction.

use super::era::Era;
use super::error::{INTERNAL_ERROR, INVALID_PARAMS, RESOURCE_NOT_FOUND, RpcError};
use super::methods::Asked;
use super::{call, decoded_part};
use contract::alerts::{AlertEvent, AlertFilter, AlertView, ListAlerts, ReadAlertHistory, ShowAlert};
use contract::failure::{Failure, FailureClass};
use contract::tools::Catalogue;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;

/// How long the alert desk may take.
const DESK_PATIENCE: Duration = Duration::from_secs(10);
/// Alerts and lines of history in one answer.
const MOST: u32 = 200;

/// Where a resource comes from.
#[derive(Clone, Copy)]
enum Source {
    /// A tool that reads, called without arguments.
    Tool(&'static str),
    OpenAlerts,
    AlertHistory,
}

struct Resource {
    uri: &'static str,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    source: Source,
}

const RESOURCES: &[Resource] = &[
    Resource {
        uri: "haia://cluster",
        name: "cluster",
        title: "The clusters",
        description: "Every Proxmox cluster as it was last seen: members, guests, storages, and what is wrong now",
        source: Source::Tool("get_cluster_resources"),
    },
    Resource {
        uri: "haia://nodes",
        name: "nodes",
        title: "Nodes",
        description: "The members of the clusters with load, memory and uptime",
        source: Source::Tool("list_nodes"),
    },
    Resource {
        uri: "haia://guests",
        name: "guests",
        title: "Guests",
        description: "Virtual machines and containers with their state",
        source: Source::Tool("list_vms"),
    },
    Resource {
        uri: "haia://storage",
        name: "storage",
        title: "Storages",
        description: "How full each storage is and when it will be full",
        source: Source::Tool("list_storage"),
    },
    Resource {
        uri: "haia://backups",
        name: "backups",
        title: "Backups",
        description: "Which guests have good backups and which have not",
        source: Source::Tool("backup_coverage"),
    },
    Resource {
        uri: "haia://alerts",
        name: "alerts",
        title: "Open alerts",
        description: "What is open now, the worst first",
        source: Source::OpenAlerts,
    },
    Resource {
        uri: "haia://alerts/history",
        name: "alert-history",
        title: "History of alerts",
        description: "What happened to alerts, newest first",
        source: Source::AlertHistory,
    },
    Resource {
        uri: "haia://status",
        name: "status",
        title: "HAIA itself",
        description: "How HAIA's own parts do: providers, clusters, jobs, channels",
        source: Source::Tool("get_haia_status"),
    },
];

/// The beginning of the addresses of single alerts.
const ALERT: &str = "haia://alerts/";
/// The beginning of the addresses of single guests, and the tool that tells of one.
const GUEST: (&str, &str) = ("haia://guests/", "get_vm_status");

/// Whether an address is one of HAIA's own.
pub(crate) fn is_own(uri: &str) -> bool {
    uri.starts_with("haia:")
}

/// The list of resources: those whose tool there is.
pub(crate) fn listed(catalogue: &Catalogue) -> Value {
    let is_there = |resource: &&Resource| match resource.source {
        Source::Tool(tool) => catalogue.get(tool).is_some(),
        Source::OpenAlerts | Source::AlertHistory => true,
    };
    RESOURCES
        .iter()
        .filter(is_there)
        .map(|resource| {
            json!({
                "uri": resource.uri,
                "name": resource.name,
                "title": resource.title,
                "description": resource.description,
                "mimeType": "application/json",
            })
        })
        .collect()
}

/// The list of resource templates.
pub(crate) fn templates(catalogue: &Catalogue) -> Value {
    let mut templates = vec![json!({
        "uriTemplate": format!("{ALERT}{{alert}}"),
        "name": "alert",
        "title": "One alert",
        "description": "An alert by its number, with its history",
        "mimeType": "application/json",
    })];
    if catalogue.get(GUEST.1).is_some() {
        templates.push(json!({
            "uriTemplate": format!("{}{{guest}}", GUEST.0),
            "name": "guest",
            "title": "One guest",
            "description": "A virtual machine or container by name or number",
            "mimeType": "application/json",
        }));
    }
    templates.into()
}

/// Reads a resource.
pub(crate) async fn read(asked: &Asked, uri: &str) -> Result<Value, RpcError> {
    let text = match RESOURCES.iter().find(|resource| resource.uri == uri).map(|resource| resource.source) {
        Some(Source::Tool(tool)) => of_tool(asked, uri, tool, String::new()).await?,
        Some(Source::OpenAlerts) => {
            let listed = ListAlerts(AlertFilter { limit: MOST, ..AlertFilter::default() });
            #[derive(Serialize)]
            struct Alerts {
                alerts: Vec<AlertView>,
            }
            let alerts = asked.thread.gateway.ports.watch.alerts.ask(listed, DESK_PATIENCE).await;
            printed(&Alerts { alerts: told(alerts.map_err(Failure::from).and_then(|told| told), asked, uri)? })?
        }
        Some(Source::AlertHistory) => {
            #[derive(Serialize)]
            struct Events {
                events: Vec<AlertEvent>,
            }
            let wanted = ReadAlertHistory { since: None, limit: MOST };
            let events = asked.thread.gateway.ports.watch.alert_history.ask(wanted, DESK_PATIENCE).await;
            printed(&Events { events: told(events.map_err(Failure::from).and_then(|told| told), asked, uri)? })?
        }
        None => single(asked, uri).await?,
    };
    Ok(json!({ "contents": [{ "uri": uri, "mimeType": "application/json", "text": text }] }))
}

/// Reads what a template stands for.
async fn single(asked: &Asked, uri: &str) -> Result<String, RpcError> {
    if let Some(id) = uri.strip_prefix(ALERT).and_then(|number| number.parse().ok()) {
        #[derive(Serialize)]
        struct Shown {
            alert: AlertView,
            events: Vec<AlertEvent>,
        }
        let shown = asked.thread.gateway.ports.watch.show_alert.ask(ShowAlert { id }, DESK_PATIENCE).await;
        let (alert, events) = told(shown.map_err(Failure::from).and_then(|told| told), asked, uri)?;
        return printed(&Shown { alert, events });
    }
    if let Some(guest) = uri.strip_prefix(GUEST.0).filter(|guest| !guest.is_empty()) {
        let arguments = json!({ "guest": decoded_part(guest), "cluster": null }).to_string();
        return of_tool(asked, uri, GUEST.1, arguments).await;
    }
    Err(unknown(asked, uri))
}

async fn of_tool(asked: &Asked, uri: &str, tool: &str, arguments: String) -> Result<String, RpcError> {
    if asked.everything().get(tool).is_none() {
        return Err(unknown(asked, uri));
    }
    let result = call::run(asked, tool, arguments).await;
    if result.is_error {
        // The tool says why: no such guest, the cluster was never seen.
        return Err(not_found(asked.era, uri, result.text));
    }
    Ok(result.text)
}

fn told<T>(answer: Result<T, Failure>, asked: &Asked, uri: &str) -> Result<T, RpcError> {
    answer.map_err(|failure| match failure.class {
        FailureClass::NotFound => unknown(asked, uri),
        _ => RpcError::new(INTERNAL_ERROR, failure.message),
    })
}

fn printed(value: &impl Serialize) -> Result<String, RpcError> {
    serde_json::to_string(value)
        .map_err(|error| RpcError::new(INTERNAL_ERROR, format!("it could not be printed: {error}")))
}

fn unknown(asked: &Asked, uri: &str) -> RpcError {
    not_found(asked.era, uri, "there is no such resource; resources/list tells what there is".to_owned())
}

fn not_found(era: Era, uri: &str, said: String) -> RpcError {
    let code = match era {
        Era::Legacy => RESOURCE_NOT_FOUND,
        Era::Modern => INVALID_PARAMS,
    };
    let uri: String = uri.chars().take(500).collect();
    RpcError::new(code, said).with_data(json!({ "uri": uri }))
}
