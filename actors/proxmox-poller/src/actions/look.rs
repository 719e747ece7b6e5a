//! What a dry run looks at: the guest as it is now, its node, what the token may do, and what the action touches. It only asks, and changes nothing.

use super::privileges::{NeededOn, needed};
use super::wish::{Deed, Wish};
use crate::assemble::assemble;
use crate::client::{ApiClient, ApiError, ErrorKind, segment};
use crate::decode::{self, GuestConfig, GuestDetail, NodeStorage, SnapshotPoint};
use crate::model::{Guest, GuestKind, NodeState, Snapshot};
use crate::poller::fetch;
use contract::clock::SharedClock;
use futures_util::future::{join, join_all, join3};
use std::sync::Arc;

/// A privilege that the action needs, and whether the token has it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) name: &'static str,
    pub(super) path: String,
    /// `None` where that could not be asked.
    pub(super) is_held: Option<bool>,
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Sight {
    /// The cluster now.
    pub(super) snapshot: Snapshot,
    pub(super) guest: Guest,
    pub(super) detail: Result<GuestDetail, ApiError>,
    pub(super) config: Result<GuestConfig, ApiError>,
    pub(super) held: Vec<Held>,
    /// The storages of the guest's node, for a backup.
    pub(super) storages: Option<Result<Vec<NodeStorage>, ApiError>>,
    /// The guest's snapshots, for another one.
    pub(super) points: Option<Result<Vec<SnapshotPoint>, ApiError>>,
    /// Whether its disks can have snapshots, where the cluster says.
    pub(super) can_snapshot: Option<bool>,
}

/// The cluster as it is now.
///
/// # Errors
/// Why it cannot be seen.
pub(super) async fn cluster(
    name: &Arc<str>,
    client: &ApiClient,
    before: Option<&Snapshot>,
    clock: &SharedClock,
) -> Result<Snapshot, String> {
    let polled = fetch::poll(client.clone(), Arc::clone(clock), false).await.map_err(|error| error.text)?;
    assemble(name, polled, before, clock.now())
        .map_err(|_| "the cluster shows nothing at all: the token has no privileges".to_owned())
}

/// The path of a guest in the API.
pub(super) fn path_of(node: &str, kind: GuestKind, vmid: u32, rest: &str) -> String {
    format!("/nodes/{}/{}/{vmid}/{rest}", segment(node), kind.api())
}

/// Looks at a guest of the cluster, and at what the wish touches.
pub(super) async fn guest(snapshot: Snapshot, guest: Guest, wish: &Wish, client: &ApiClient) -> Sight {
    let path = |rest: &str| path_of(&guest.node, guest.kind, guest.vmid, rest);
    let is_gone = snapshot.node(&guest.node).is_none_or(|node| node.state == NodeState::Offline);
    let (detail, config) = match is_gone {
        true => {
            let error = || ApiError::new(ErrorKind::NodeUnreachable, format!("its node {} is offline", guest.node));
            (Err(error()), Err(error()))
        }
        false => {
            let is_vm = guest.kind == GuestKind::Vm;
            let (status_path, config_path) = (path("status/current"), path("config"));
            let detail = client.fast(&status_path, |body| decode::guest_detail(body, is_vm));
            let (detail, config) = join(detail, client.fast(&config_path, decode::guest_config)).await;
            (detail.map(|(detail, _)| detail), config.map(|(config, _)| config))
        }
    };
    let held = join_all(needed(wish.class()).filter_map(|one| {
        let place = match one.on {
            NeededOn::Guest => format!("/vms/{}", guest.vmid),
            NeededOn::Storage => format!("/storage/{}", wish.storage()?),
        };
        let pool = guest.pool.clone().filter(|_| one.on == NeededOn::Guest);
        Some(async move { held(client, one.name, place, pool.as_deref()).await })
    }));
    let storages = async {
        match &wish.deed {
            Deed::Backup { .. } if !is_gone => {
                let path = format!("/nodes/{}/storage", segment(&guest.node));
                Some(client.fast(&path, decode::node_storages).await.map(|(storages, _)| storages))
            }
            _ => None,
        }
    };
    let points = async {
        if !matches!(wish.deed, Deed::Snapshot { .. }) || is_gone {
            return (None, None);
        }
        let (points_path, feature_path) = (path("snapshot"), path("feature?feature=snapshot"));
        let points = client.fast(&points_path, decode::snapshot_points);
        let (points, feature) = join(points, client.fast(&feature_path, decode::has_feature)).await;
        (Some(points.map(|(points, _)| points)), feature.ok().and_then(|(feature, _)| feature))
    };
    let (held, storages, (points, can_snapshot)) = join3(held, storages, points).await;
    Sight { snapshot, guest, detail, config, held, storages, points, can_snapshot }
}

async fn held(client: &ApiClient, name: &'static str, path: String, pool: Option<&str>) -> Held {
    let asked = format!("/access/permissions?path={}", segment(&path));
    let granted = client.fast(&asked, decode::permissions).await.ok().map(|(granted, _)| granted);
    let is_held = granted.map(|granted| {
        granted.holds(&path, name) || pool.is_some_and(|pool| granted.holds(&format!("/pool/{pool}"), name))
    });
    Held { name, path, is_held }
}
