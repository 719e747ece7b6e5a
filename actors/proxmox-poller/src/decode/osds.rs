//! `/nodes/{n}/ceph/osd`: the tree of Ceph's storage daemons.

use super::scalar::{Flag, Number, Signed, Text};
use super::shape::{self, DecodeError, List, Object};
use serde::Deserialize;
use std::sync::Arc;

/// The deepest tree that is read: root, rack, host, daemon, and room for more.
const DEEPEST: usize = 12;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    root: Object<Branch>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Branch {
    r#type: Text,
    id: Signed,
    name: Text,
    host: Text,
    status: Text,
    r#in: Flag,
    percent_used: Number,
    children: List<Branch>,
}

/// One of Ceph's storage daemons.
#[derive(Clone, Debug, PartialEq)]
pub struct Osd {
    /// Its name (`osd.3`).
    pub name: Arc<str>,
    /// The host it is on, where told.
    pub host: Option<Arc<str>>,
    /// Whether it runs.
    pub is_up: bool,
    /// Whether it takes data.
    pub is_in: bool,
    /// How full it is, in per cent.
    pub used_percent: Option<f64>,
}

/// Reads `/nodes/{n}/ceph/osd`.
///
/// # Errors
/// The answer is not JSON.
pub fn osds(body: &[u8]) -> Result<Vec<Osd>, DecodeError> {
    let mut found = Vec::new();
    if let Some(root) = shape::object::<Wire>(body)?.root.0 {
        gather(root, None, 0, &mut found);
    }
    Ok(found)
}

fn gather(branch: Branch, host: Option<Arc<str>>, depth: usize, found: &mut Vec<Osd>) {
    if branch.r#type.as_str() == "osd" {
        let name = branch.name.filled().or_else(|| Some(format!("osd.{}", branch.id.get()?).into()));
        if let Some(name) = name {
            found.push(Osd {
                name,
                host: branch.host.filled().or(host),
                is_up: branch.status.as_str() == "up",
                is_in: branch.r#in.get().unwrap_or(false),
                used_percent: branch.percent_used.get(),
            });
        }
        return;
    }
    let host = if branch.r#type.as_str() == "host" { branch.name.filled() } else { host };
    if depth < DEEPEST {
        for child in branch.children.0 {
            gather(child, host.clone(), depth + 1, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemons_know_their_host() {
        let body = br#"{"data":{"root":{"children":[{"type":"root","children":[{"type":"host","name":"pve1","children":[
            {"type":"osd","id":"0","name":"osd.0","status":"up","in":1},{"type":"osd","id":1,"status":"down","in":"0"}]}]}]}}}"#;
        let found = osds(body).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((&*found[1].name, found[1].host.as_deref(), found[1].is_up), ("osd.1", Some("pve1"), false));
        assert_eq!(osds(br#"{"data":null}"#).unwrap(), []);
    }
}
