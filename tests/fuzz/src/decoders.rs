//! Fuzzes the decoders of the Proxmox API: whatever bytes come, each ends, without a panic, and none reads an answer that is none.

#![no_main]

use libfuzzer_sys::fuzz_target;
use proxmox_poller::decode;

fuzz_target!(|body: &[u8]| {
    let is_read = [
        decode::resources(body).is_ok(),
        decode::cluster_status(body).is_ok(),
        decode::tasks(body).is_ok(),
        decode::task_end(body).is_ok(),
        decode::task_log(body).is_ok(),
        decode::begun(body).is_ok(),
        decode::ceph_status(body).is_ok(),
        decode::ha_status(body).is_ok(),
        decode::replication(body).is_ok(),
        decode::backup_jobs(body).is_ok(),
        decode::not_backed_up(body).is_ok(),
        decode::volumes(body).is_ok(),
        decode::node_storages(body).is_ok(),
        decode::node_detail(body).is_ok(),
        decode::disks(body).is_ok(),
        decode::zfs_pools(body).is_ok(),
        decode::thin_pools(body).is_ok(),
        decode::guest_detail(body, true).is_ok(),
        decode::guest_detail(body, false).is_ok(),
        decode::guest_config(body).is_ok(),
        decode::snapshot_points(body).is_ok(),
        decode::has_feature(body).is_ok(),
        decode::permissions(body).is_ok(),
        decode::version(body).is_ok(),
        decode::server_time(body).is_ok(),
        decode::osds(body).is_ok(),
        decode::certificates(body).is_ok(),
        decode::updates(body).is_ok(),
        decode::subscription(body).is_ok(),
        decode::zfs_state(body).is_ok(),
    ];
    let log = decode::task_log(body).unwrap_or_default();
    decode::backup_failure(log.iter().map(|(_, line)| &**line));
    // `haia check` and the decoders must agree on what an answer is.
    assert!(decode::check(body).is_ok() || !is_read.contains(&true), "{is_read:?}");
});
