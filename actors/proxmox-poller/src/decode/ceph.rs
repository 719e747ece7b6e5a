//! `/cluster/ceph/status`.

use super::scalar::{Flag, Text, Whole};
use super::shape::{self, DecodeError, List, Object, Table};
use crate::model::{CephCheck, CephStatus};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    health: Object<Health>,
    osdmap: Object<OsdMap>,
    pgmap: Object<PgMap>,
    quorum_names: Names,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Health {
    status: Text,
    overall_status: Text,
    checks: Table<Object<Check>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Check {
    severity: Text,
    summary: Object<Summary>,
    muted: Flag,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Summary {
    message: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OsdMap {
    /// One level deeper before Ceph 15.
    osdmap: Object<Osds>,
    #[serde(flatten)]
    flat: Osds,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Osds {
    num_osds: Whole,
    num_up_osds: Whole,
    num_in_osds: Whole,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PgMap {
    bytes_used: Whole,
    bytes_total: Whole,
    read_bytes_sec: Whole,
    write_bytes_sec: Whole,
    pgs_by_state: List<PgState>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PgState {
    state_name: Text,
    count: Whole,
}

/// A list of names; anything else is none.
#[derive(Debug, Default)]
struct Names(Vec<Arc<str>>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let names = value.as_array().into_iter().flatten().filter_map(serde_json::Value::as_str);
        Ok(Self(names.map(Arc::from).collect()))
    }
}

/// Reads `/cluster/ceph/status`.
///
/// # Errors
/// The answer is not JSON.
pub fn ceph_status(body: &[u8]) -> Result<CephStatus, DecodeError> {
    let wire = shape::object::<Wire>(body)?;
    let health = wire.health.0.unwrap_or_default();
    let osds = wire.osdmap.0.unwrap_or_default();
    let osds = osds.osdmap.0.unwrap_or(osds.flat);
    let placement = wire.pgmap.0.unwrap_or_default();
    let check = |(code, check): (String, Object<Check>)| {
        let check = check.0.unwrap_or_default();
        CephCheck {
            code: code.into(),
            severity: check.severity.0.unwrap_or_default(),
            message: check.summary.0.and_then(|summary| summary.message.0).unwrap_or_default(),
            is_muted: check.muted.get().unwrap_or(false),
        }
    };
    let state = |group: PgState| Some((group.state_name.filled()?, group.count.small()?));
    Ok(CephStatus {
        health: health.status.filled().or(health.overall_status.filled()).unwrap_or_default(),
        checks: health.checks.0.into_iter().map(check).collect(),
        osds: osds.num_osds.small(),
        osds_up: osds.num_up_osds.small(),
        osds_in: osds.num_in_osds.small(),
        used_bytes: placement.bytes_used.get(),
        total_bytes: placement.bytes_total.get(),
        placement_groups: placement.pgs_by_state.0.into_iter().filter_map(state).collect(),
        monitors: wire.quorum_names.0,
        read_bytes_per_s: placement.read_bytes_sec.get(),
        write_bytes_per_s: placement.write_bytes_sec.get(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_shapes_of_the_osd_map() {
        for body in [
            r#"{"data":{"osdmap":{"num_osds":6,"num_up_osds":"5","num_in_osds":6}}}"#,
            r#"{"data":{"osdmap":{"osdmap":{"num_osds":6,"num_up_osds":5,"num_in_osds":6}}}}"#,
        ] {
            let status = ceph_status(body.as_bytes()).unwrap();
            assert_eq!((status.osds, status.osds_up, status.osds_in), (Some(6), Some(5), Some(6)), "{body}");
        }
    }

    #[test]
    fn complaints_with_their_words() {
        let body = br#"{"data":{"health":{"status":"HEALTH_WARN","checks":{"OSD_DOWN":{"severity":"HEALTH_WARN","summary":{"message":"1 osds down","count":1},"muted":false}}}}}"#;
        let status = ceph_status(body).unwrap();
        assert_eq!(&*status.health, "HEALTH_WARN");
        assert_eq!(
            (&*status.checks[0].code, &*status.checks[0].message, status.checks[0].is_muted),
            ("OSD_DOWN", "1 osds down", false)
        );
        assert_eq!(ceph_status(br#"{"data":{"health":{"checks":[]}}}"#).unwrap().checks, []);
    }
}
