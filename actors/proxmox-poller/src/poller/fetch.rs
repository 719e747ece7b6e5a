//! The questions to a cluster: one poll, and the slower parts. They own what they need and run beside the actor.

use crate::assemble::Polled;
use crate::client::{ApiClient, ApiError, ErrorKind, segment};
use crate::decode;
use crate::model::{BackupJob, CephStatus, HaStatus, NodeState, ReplicationJob, Snapshot};
use contract::LocalBoxFuture;
use contract::clock::SharedClock;
use futures_util::future::join_all;
use std::sync::Arc;

/// What a poll brought.
pub(super) type PollNews = Result<Polled, ApiError>;

/// What a fetch of a slower part brought.
pub(super) enum PartNews {
    Ha(Result<HaStatus, ApiError>),
    Ceph(Result<CephStatus, ApiError>),
    Replication(Result<Vec<ReplicationJob>, ApiError>),
    BackupJobs(Result<Vec<BackupJob>, ApiError>),
}

/// One poll. The resources come first and alone: a refused login or a dead member is met once and not three times.
pub(super) async fn poll(client: ApiClient, clock: SharedClock, asks_permissions: bool) -> PollNews {
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

/// The fetch of a part, by its number in the cluster's list.
pub(super) fn part(
    number: usize,
    client: ApiClient,
    snapshot: Arc<Snapshot>,
) -> Option<LocalBoxFuture<'static, PartNews>> {
    match number {
        0 => Some(Box::pin(
            async move { PartNews::Ha(client.slow("/cluster/ha/status/current", decode::ha_status).await) },
        )),
        1 => Some(Box::pin(
            async move { PartNews::Ceph(client.slow("/cluster/ceph/status", decode::ceph_status).await) },
        )),
        2 => Some(Box::pin(async move { PartNews::Replication(replication(&client, &snapshot).await) })),
        3 => Some(Box::pin(
            async move { PartNews::BackupJobs(client.slow("/cluster/backup", decode::backup_jobs).await) },
        )),
        _ => None,
    }
}

/// The jobs, and of each what its source node says. Of a job whose node does not answer what was known stays.
async fn replication(client: &ApiClient, snapshot: &Snapshot) -> Result<Vec<ReplicationJob>, ApiError> {
    let mut jobs = client.slow("/cluster/replication", decode::replication).await?;
    if jobs.is_empty() {
        return Ok(jobs);
    }
    let nodes = snapshot.nodes.iter().filter(|node| node.state == NodeState::Online);
    let asked = nodes.map(|node| {
        let path = format!("/nodes/{}/replication", segment(&node.name));
        let name = Arc::clone(&node.name);
        async move { (name, client.slow(&path, decode::replication).await) }
    });
    let before = snapshot.replication.value.as_deref();
    let told: Vec<ReplicationJob> = join_all(asked)
        .await
        .into_iter()
        .flat_map(|(node, answer)| {
            answer.unwrap_or_default().into_iter().map(move |job| ReplicationJob {
                source: if job.source.is_empty() { Arc::clone(&node) } else { job.source.clone() },
                ..job
            })
        })
        .collect();
    for job in &mut jobs {
        let known = told.iter().chain(before.into_iter().flatten()).find(|known| known.id == job.id);
        if let Some(known) = known {
            let (schedule, is_disabled) = (job.schedule.take(), job.is_disabled);
            *job =
                ReplicationJob { schedule: schedule.or_else(|| known.schedule.clone()), is_disabled, ..known.clone() };
        } else if let Some(guest) = job.vmid.and_then(|vmid| snapshot.guest(vmid)) {
            job.source = Arc::clone(&guest.node);
        }
    }
    Ok(jobs)
}
