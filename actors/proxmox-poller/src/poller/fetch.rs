//! The questions to a cluster: one poll, and every piece beside it. They own what they need and run beside the actor.

use super::ask::{Ask, NodePiece, shelf_at};
use crate::assemble::Polled;
use crate::client::{ApiClient, ApiError, ErrorKind, segment};
use crate::decode::{
    self, BackupFailure, Certificate, Disk, GuestDetail, NodeDetail, NodeStorage, Osd, SnapshotPoint, Subscription,
    ThinPool, ZfsPool, ZfsState,
};
use crate::model::{BackupJob, CephStatus, GuestKind, HaStatus, ReplicationJob, Shelf, Snapshot, Task};
use contract::clock::SharedClock;
use std::sync::Arc;

/// What a poll brought.
pub(crate) type PollNews = Result<Polled, ApiError>;

/// How far back a node's backup runs are read, in seconds.
const BACKUP_RUNS_S: i64 = 7 * 86_400;

/// What a question brought.
pub(super) enum Brought {
    Ha(HaStatus),
    Ceph(CephStatus),
    Osds(Vec<Osd>),
    ReplicationJobs(Vec<ReplicationJob>),
    BackupJobs(Vec<BackupJob>),
    NotBackedUp(Vec<u32>),
    Storages(Vec<NodeStorage>),
    Replication(Vec<ReplicationJob>),
    ClockAhead(i64),
    Detail(Box<NodeDetail>),
    BackupRuns(Vec<Task>),
    ThinPools(Vec<ThinPool>),
    ZfsPools(Vec<ZfsPool>),
    Disks(Vec<Disk>),
    Certificates(Vec<Certificate>),
    Updates(Vec<Arc<str>>),
    Subscription(Subscription),
    ZfsState(ZfsState),
    Shelf(Shelf),
    BackupLog(BackupFailure),
    GuestDetail(Box<GuestDetail>),
    StartsWithNode(bool),
    Snapshots(Vec<SnapshotPoint>),
}

/// A question and what became of it.
pub(super) struct PartNews {
    pub(super) ask: Ask,
    pub(super) brought: Result<Brought, ApiError>,
}

/// One poll. The resources come first and alone: a refused login or a dead member is met once and not three times.
pub(crate) async fn poll(client: ApiClient, clock: SharedClock, asks_permissions: bool) -> PollNews {
    let begun = clock.monotonic();
    let (resources, answer) = client.fast("/cluster/resources", decode::resources).await?;
    let permissions = async {
        if !asks_permissions {
            return None;
        }
        client.fast("/access/permissions", decode::permissions).await.ok().map(|(granted, _)| granted)
    };
    let (status, tasks, permissions) = futures_util::future::join3(
        client.fast("/cluster/status", decode::cluster_status),
        client.fast("/cluster/tasks", decode::tasks),
        permissions,
    )
    .await;
    // What the network broke fails the poll; what a privilege forbids leaves a hole in it.
    let status = hole(status.map(|(rows, _)| rows))?;
    let tasks = hole(tasks.map(|(rows, _)| rows))?;
    Ok(Polled {
        resources,
        status,
        tasks,
        permissions,
        server_time_s: answer.date_s,
        endpoint: client.address(answer.endpoint),
        poll_ms: u64::try_from(clock.monotonic().saturating_sub(begun).as_millis()).unwrap_or(u64::MAX),
    })
}

fn hole<T>(answer: Result<T, ApiError>) -> Result<Result<T, ApiError>, ApiError> {
    match answer {
        Err(error)
            if !matches!(
                error.kind,
                ErrorKind::Forbidden { .. } | ErrorKind::ServerError | ErrorKind::NotReady | ErrorKind::Unsupported
            ) =>
        {
            Err(error)
        }
        answer => Ok(answer),
    }
}

/// Asks for a piece.
pub(super) async fn part(ask: Ask, client: ApiClient, snapshot: Arc<Snapshot>) -> PartNews {
    let brought = match &ask {
        Ask::Ha => client.slow("/cluster/ha/status/current", decode::ha_status).await.map(Brought::Ha),
        Ask::Ceph => client.slow("/cluster/ceph/status", decode::ceph_status).await.map(Brought::Ceph),
        Ask::ReplicationJobs => {
            client.slow("/cluster/replication", decode::replication).await.map(Brought::ReplicationJobs)
        }
        Ask::BackupJobs => client.slow("/cluster/backup", decode::backup_jobs).await.map(Brought::BackupJobs),
        Ask::NotBackedUp => {
            client.slow("/cluster/backup-info/not-backed-up", decode::not_backed_up).await.map(Brought::NotBackedUp)
        }
        Ask::Osds => match ask.node(&snapshot) {
            Some(node) => {
                client.slow(&format!("/nodes/{}/ceph/osd", segment(node)), decode::osds).await.map(Brought::Osds)
            }
            None => Err(gone("no node is online")),
        },
        Ask::Node(piece, node) => of_node(*piece, node, &client, &snapshot).await,
        Ask::ZfsState(node, pool) => {
            let path = format!("/nodes/{}/disks/zfs/{}", segment(node), segment(pool));
            client.slow(&path, decode::zfs_state).await.map(Brought::ZfsState)
        }
        Ask::Shelf(label) => match shelf_at(&snapshot, label) {
            Some((storage, node)) => {
                let path =
                    format!("/nodes/{}/storage/{}/content?content=backup", segment(node), segment(&storage.name));
                client.slow(&path, decode::volumes).await.map(|volumes| Brought::Shelf(shelf(&volumes)))
            }
            None => Err(gone("no node can say what is in the storage")),
        },
        Ask::BackupLog(node, upid) => {
            let path = format!("/nodes/{}/tasks/{}/log?start=0&limit=20000", segment(node), segment(upid));
            client
                .slow(&path, decode::task_log)
                .await
                .map(|lines| Brought::BackupLog(decode::backup_failure(lines.iter().map(|(_, line)| &**line))))
        }
        Ask::GuestDetail(vmid) | Ask::StartsWithNode(vmid) | Ask::Snapshots(vmid) => {
            of_guest(&ask, *vmid, &client, &snapshot).await
        }
    };
    PartNews { ask, brought }
}

fn gone(why: &str) -> ApiError {
    ApiError::new(ErrorKind::Gone, why)
}

async fn of_node(piece: NodePiece, node: &str, client: &ApiClient, snapshot: &Snapshot) -> Result<Brought, ApiError> {
    let path = |rest: &str| format!("/nodes/{}/{rest}", segment(node));
    match piece {
        NodePiece::Storages => client.slow(&path("storage"), decode::node_storages).await.map(Brought::Storages),
        NodePiece::Replication => {
            client.slow(&path("replication"), decode::replication).await.map(Brought::Replication)
        }
        NodePiece::Clock => {
            let (time, date) = client.slow_dated(&path("time"), decode::server_time).await?;
            let ahead = time.zip(date).map(|(time, date)| time - date);
            ahead.map(Brought::ClockAhead).ok_or_else(|| gone("it did not tell its time"))
        }
        NodePiece::Detail => {
            client.slow(&path("status"), decode::node_detail).await.map(|detail| Brought::Detail(Box::new(detail)))
        }
        NodePiece::BackupRuns => {
            let since = snapshot.server_now_s(snapshot.taken_at) - BACKUP_RUNS_S;
            let path = path(&format!("tasks?typefilter=vzdump&source=archive&limit=50&since={since}"));
            client.slow(&path, decode::tasks).await.map(Brought::BackupRuns)
        }
        NodePiece::ThinPools => client.slow(&path("disks/lvmthin"), decode::thin_pools).await.map(Brought::ThinPools),
        NodePiece::ZfsPools => client.slow(&path("disks/zfs"), decode::zfs_pools).await.map(Brought::ZfsPools),
        NodePiece::Disks => client.slow(&path("disks/list"), decode::disks).await.map(Brought::Disks),
        NodePiece::Certificates => {
            client.slow(&path("certificates/info"), decode::certificates).await.map(Brought::Certificates)
        }
        NodePiece::Updates => client.slow(&path("apt/update"), decode::updates).await.map(Brought::Updates),
        NodePiece::Subscription => {
            client.slow(&path("subscription"), decode::subscription).await.map(Brought::Subscription)
        }
    }
}

async fn of_guest(ask: &Ask, vmid: u32, client: &ApiClient, snapshot: &Snapshot) -> Result<Brought, ApiError> {
    let Some(guest) = snapshot.guest(vmid) else { return Err(gone("the guest is gone")) };
    let path = |rest: &str| format!("/nodes/{}/{}/{vmid}/{rest}", segment(&guest.node), guest.kind.api());
    match ask {
        Ask::GuestDetail(_) => {
            let is_vm = guest.kind == GuestKind::Vm;
            let detail = client.slow(&path("status/current"), |body| decode::guest_detail(body, is_vm)).await?;
            Ok(Brought::GuestDetail(Box::new(detail)))
        }
        Ask::Snapshots(_) => client.slow(&path("snapshot"), decode::snapshot_points).await.map(Brought::Snapshots),
        _ => {
            let config = client.slow(&path("config"), decode::guest_config).await?;
            Ok(Brought::StartsWithNode(config.starts_with_node))
        }
    }
}

fn shelf(volumes: &[decode::Volume]) -> Shelf {
    let mut shelf = Shelf::default();
    for volume in volumes.iter().filter(|volume| volume.is_backup()) {
        shelf.count += 1;
        if let (Some(vmid), Some(created)) = (volume.vmid, volume.created_s) {
            let newest = shelf.newest.entry(vmid).or_insert(created);
            *newest = created.max(*newest);
        }
    }
    shelf
}
