//! `/cluster/ha/status/current`.

use super::scalar::Text;
use super::shape::{self, DecodeError};
use crate::model::{HaManager, HaResource, HaStatus};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    r#type: Text,
    id: Text,
    sid: Text,
    node: Text,
    state: Text,
    crm_state: Text,
    request_state: Text,
    status: Text,
}

/// Reads `/cluster/ha/status/current`.
///
/// # Errors
/// The answer is not JSON.
pub fn ha_status(body: &[u8]) -> Result<HaStatus, DecodeError> {
    let mut status = HaStatus::default();
    for row in shape::list::<Wire>(body)? {
        let (kind, node) = (row.r#type.filled().unwrap_or_default(), row.node.filled());
        if &*kind == "service" {
            let from_id = |id: Arc<str>| id.strip_prefix("service:").map(Arc::from).unwrap_or(id);
            let Some(id) = row.sid.filled().or_else(|| row.id.filled().map(from_id)) else { continue };
            status.resources.push(HaResource {
                id,
                node,
                state: row.state.filled().or(row.crm_state.filled()).unwrap_or_default(),
                wanted: row.request_state.filled(),
                status: row.status.filled(),
            });
        } else {
            status.managers.push(HaManager { kind, node, status: row.status.0.unwrap_or_default() });
        }
    }
    Ok(status)
}
