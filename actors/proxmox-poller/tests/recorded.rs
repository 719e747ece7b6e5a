//! Every recorded answer of a Proxmox server decodes, by the decoder of its endpoint where HAIA reads it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use proxmox_poller::decode::{self, DecodeError};
use std::path::{Path, PathBuf};

/// What a decoder found: how many rows or facts.
type Decoder = fn(&[u8]) -> Result<usize, DecodeError>;

/// The decoders, by the folder of their endpoint. `true`: every recorded answer there holds at least one row.
const DECODERS: &[(&str, bool, Decoder)] = &[
    ("cluster_resources", true, |body| decode::resources(body).map(|rows| rows.len())),
    ("nodes", true, |body| decode::resources(body).map(|rows| rows.len())),
    ("cluster_status", true, |body| decode::cluster_status(body).map(|rows| rows.len())),
    ("cluster_tasks", true, |body| decode::tasks(body).map(|rows| rows.len())),
    ("nodes_N_tasks", true, |body| decode::tasks(body).map(|rows| rows.len())),
    ("nodes_N_tasks_UPID_status", true, |body| decode::task_end(body).map(|end| usize::from(end.kind.is_some()))),
    ("nodes_N_tasks_UPID_log", false, |body| decode::task_log(body).map(|lines| lines.len())),
    ("cluster_ceph_status", true, |body| decode::ceph_status(body).map(|ceph| usize::from(ceph.osds.is_some()))),
    ("nodes_N_ceph_status", false, |body| decode::ceph_status(body).map(|ceph| usize::from(!ceph.health.is_empty()))),
    ("cluster_ha_status_current", true, |body| {
        decode::ha_status(body).map(|ha| ha.managers.len() + ha.resources.len())
    }),
    ("nodes_N_replication", true, |body| decode::replication(body).map(|jobs| jobs.len())),
    ("cluster_replication", true, |body| decode::replication(body).map(|jobs| jobs.len())),
    ("cluster_backup", true, |body| decode::backup_jobs(body).map(|jobs| jobs.len())),
    ("cluster_backup-info_not-backed-up", true, |body| decode::not_backed_up(body).map(|guests| guests.len())),
    ("nodes_N_storage_S_content", true, |body| decode::volumes(body).map(|volumes| volumes.len())),
    ("nodes_N_storage", true, |body| decode::node_storages(body).map(|storages| storages.len())),
    ("nodes_N_disks_list", true, |body| decode::disks(body).map(|disks| disks.len())),
    ("nodes_N_disks_zfs", true, |body| decode::zfs_pools(body).map(|pools| pools.len())),
    ("nodes_N_disks_zfs_POOL", false, |body| decode::zfs_state(body).map(|pool| usize::from(pool.status.is_some()))),
    ("nodes_N_ceph_osd", true, |body| decode::osds(body).map(|osds| osds.len())),
    ("nodes_N_certificates_info", true, |body| decode::certificates(body).map(|certificates| certificates.len())),
    ("nodes_N_apt_update", true, |body| decode::updates(body).map(|packages| packages.len())),
    ("nodes_N_subscription", true, |body| decode::subscription(body).map(|one| usize::from(!one.status.is_empty()))),
    ("nodes_N_disks_lvmthin", true, |body| decode::thin_pools(body).map(|pools| pools.len())),
    ("nodes_N_status", false, |body| decode::node_detail(body).map(|node| usize::from(node.cpu.is_some()))),
    ("nodes_N_qemu_ID_status_current", true, |body| {
        decode::guest_detail(body, true).map(|guest| usize::from(guest.status.is_some()))
    }),
    ("nodes_N_lxc_ID_status_current", true, |body| {
        decode::guest_detail(body, false).map(|guest| usize::from(guest.status.is_some()))
    }),
    ("nodes_N_qemu_ID_config", true, |body| decode::guest_config(body).map(|config| config.disks.len())),
    ("nodes_N_lxc_ID_config", false, |body| decode::guest_config(body).map(|config| config.disks.len())),
    ("nodes_N_qemu_ID_snapshot", true, |body| decode::snapshot_points(body).map(|points| points.len())),
    ("nodes_N_lxc_ID_snapshot", true, |body| decode::snapshot_points(body).map(|points| points.len())),
    ("version", true, |body| decode::version(body).map(|version| usize::from(version.is_some()))),
    ("nodes_N_time", true, |body| decode::server_time(body).map(|time| usize::from(time.is_some()))),
];

fn folders() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/proxmox");
    // A further folder of the same layout, for answers that may not be passed on.
    let further = option_env!("PROXMOX_RECORDED").map(PathBuf::from);
    [Some(own), further].into_iter().flatten().collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// Every recorded answer: its endpoint's folder and its file.
fn answers() -> Vec<(String, PathBuf)> {
    let endpoints = folders().into_iter().flat_map(|folder| entries(&folder)).filter(|path| path.is_dir());
    let answers = endpoints.flat_map(|endpoint| {
        let name = endpoint.file_name().unwrap().to_string_lossy().into_owned();
        let files = entries(&endpoint).into_iter().filter(|file| !file.ends_with("meta.json"));
        files.map(move |file| (name.clone(), file)).collect::<Vec<_>>()
    });
    answers.filter(|(endpoint, _)| endpoint != "schema").collect()
}

#[test]
fn every_recorded_answer_decodes() {
    let answers = answers();
    assert!(answers.len() >= 233, "only {} recorded answers were found", answers.len());
    for (endpoint, file) in &answers {
        let body = std::fs::read(file).unwrap();
        decode::check(&body).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let Some((_, holds_rows, decoder)) = DECODERS.iter().find(|(folder, ..)| folder == endpoint) else { continue };
        let found = decoder(&body).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(found > 0 || !holds_rows, "{}: nothing was read", file.display());
    }
}

#[test]
fn every_decoder_is_held_against_a_recorded_answer() {
    let answers = answers();
    for (folder, ..) in DECODERS {
        assert!(answers.iter().any(|(endpoint, _)| endpoint == folder), "no recorded answer of {folder}");
    }
}

#[test]
fn no_decoder_fails_on_another_endpoints_answer() {
    // Whatever stands in an answer, a decoder takes what it knows and leaves the rest: a wrong shape is no failure.
    for (_, file) in answers() {
        let body = std::fs::read(&file).unwrap();
        for (folder, _, decoder) in DECODERS {
            decoder(&body).unwrap_or_else(|error| panic!("{} by the decoder of {folder}: {error}", file.display()));
        }
    }
}
