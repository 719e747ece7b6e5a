//! Makes the cluster that is simulated: hardware, guests, services, and a week of history before the start. It runs once.

mod guests;
mod hardware;
mod history;

use crate::config::SimConfig;
use crate::incidents::Effect;
use crate::model::{BackupJob, Ceph, Cluster, HaService, Osd, Replication, Services};

const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// The cluster of this configuration at this moment, with its script on the agenda.
pub(crate) fn cluster(config: &SimConfig, now: i64) -> Cluster {
    let homelab = config.guests == 0;
    let names: Vec<String> = (1..=config.nodes)
        .map(|number| if homelab { format!("pve{number}") } else { format!("pve{number:02}") })
        .collect();
    let nodes = hardware::nodes(&names, homelab, config.ceph, now);
    let storages = hardware::storages(&names, homelab, config.ceph);
    let services = services(config, &names, homelab, now);
    let mut cluster = Cluster::new(config.name.clone(), now, nodes, storages, services);
    let made = if homelab { guests::homelab(now, config.ceph) } else { guests::many(config.guests, &names, now) };
    cluster.guests = made.into_iter().map(|guest| (guest.vmid, guest)).collect();
    history::fill(&mut cluster, homelab, config.failed_backup);
    for job in cluster.services.jobs.clone() {
        cluster.schedule(job.next_run(now), Effect::Job(job.id));
    }
    for (after, incident) in config.script.entries() {
        let at = now.saturating_add(i64::try_from(after.as_secs()).unwrap_or(i64::MAX));
        cluster.schedule(at, Effect::Incident(incident.clone()));
    }
    cluster
}

fn services(config: &SimConfig, nodes: &[String], homelab: bool, now: i64) -> Services {
    let ceph = config.ceph.then(|| {
        let osds = nodes.iter().flat_map(|node| [node, node]).enumerate().map(|(id, node)| Osd {
            id: u32::try_from(id).unwrap_or(u32::MAX),
            node: node.clone(),
            size: 2 * TIB,
            up: true,
            is_in: true,
        });
        Ceph::new(osds.collect())
    });
    let ha = if homelab { vec![103, 105, 110] } else { vec![100, 101, 102] };
    let service = |vmid| HaService { vmid, state: "started".into(), wanted: "started".into(), home: None };
    let replications = match (homelab, nodes) {
        (true, [_, second, third]) => vec![
            Replication { vmid: 101, target: second.clone(), failing: None },
            Replication { vmid: 110, target: third.clone(), failing: None },
        ],
        _ => Vec::new(),
    };
    let pools =
        [("production", "What the household relies on"), ("media", "Films, music, downloads"), ("lab", "May break")];
    Services {
        jobs: jobs(homelab, config.failed_backup.is_some().then_some(now)),
        ha: ha.into_iter().map(service).collect(),
        replications,
        ceph,
        pools: pools.into_iter().map(|(name, comment)| (name.to_owned(), comment)).collect(),
        ..Services::default()
    }
}

/// The jobs. If something `failed` at the start, that run is so long ago that the backup before it is too old, and not a day ago: at whatever hour the
/// start is, it shows the same.
fn jobs(homelab: bool, failed: Option<i64>) -> Vec<BackupJob> {
    const HOUR: i64 = 3_600;
    let is_too_soon = |now: i64| now.rem_euclid(history::DAY) < 8 * HOUR;
    let (schedule, second) = if failed.is_some_and(is_too_soon) { ("18:00", 18 * HOUR) } else { ("02:00", 2 * HOUR) };
    let nightly = BackupJob {
        id: "backup-nightly".into(),
        storage: "pbs".into(),
        schedule,
        second,
        days: 1,
        enabled: true,
        held: false,
        pool: Some("production".into()),
        vmids: Vec::new(),
        comment: "Nightly, to the backup server",
        prune: "keep-daily=7,keep-weekly=4",
        keep: 7,
    };
    let weekly = BackupJob {
        id: "backup-weekly".into(),
        storage: "nas-nfs".into(),
        schedule: "sun 03:00",
        second: 3 * 3600,
        days: 7,
        pool: None,
        vmids: if homelab { vec![103, 110, 114, 115] } else { vec![100, 101] },
        comment: "Weekly, to the NAS",
        prune: "keep-last=4",
        keep: 4,
        ..nightly.clone()
    };
    let old = BackupJob {
        id: "backup-old".into(),
        enabled: false,
        vmids: vec![131],
        comment: "Before the backup server came",
        ..weekly.clone()
    };
    if homelab { vec![nightly, weekly, old] } else { vec![nightly, weekly] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failed_backup_is_hours_but_not_a_day_ago_at_every_hour() {
        let midnight = 1_772_323_200;
        for now in (midnight..midnight + history::DAY).step_by(600) {
            let cluster = cluster(&SimConfig::demo(), now);
            let tasks = ["pve1", "pve2", "pve3"].into_iter().flat_map(|node| cluster.tasks.of_node(node));
            let failed = tasks.filter(|task| task.kind == "vzdump" && task.status.contains("error"));
            let end = failed.map(|task| task.end).max().unwrap_or(0);
            let age = now - end;
            // The backup before it, of the same hour, is older than 1.15 days and two hours.
            assert!((20_500..history::DAY).contains(&age), "{} s after midnight: {age} s ago", now - midnight);
        }
    }
}
