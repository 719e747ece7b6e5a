//! Decoders against whatever comes: recorded answers cut, bent and mixed, and plain garbage. None panics; all end.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use proxmox_poller::decode;
use std::path::Path;
use std::sync::OnceLock;

/// Every decoder over the same bytes.
fn decode_all(bytes: &[u8]) {
    let _ = decode::resources(bytes);
    let _ = decode::cluster_status(bytes);
    let _ = decode::tasks(bytes);
    let _ = decode::task_end(bytes);
    let _ = decode::task_log(bytes);
    let _ = decode::begun(bytes);
    let _ = decode::ceph_status(bytes);
    let _ = decode::ha_status(bytes);
    let _ = decode::replication(bytes);
    let _ = decode::backup_jobs(bytes);
    let _ = decode::not_backed_up(bytes);
    let _ = decode::volumes(bytes);
    let _ = decode::node_storages(bytes);
    let _ = decode::node_detail(bytes);
    let _ = decode::disks(bytes);
    let _ = decode::zfs_pools(bytes);
    let _ = decode::thin_pools(bytes);
    let _ = decode::guest_detail(bytes, true);
    let _ = decode::guest_config(bytes);
    let _ = decode::snapshot_points(bytes);
    let _ = decode::has_feature(bytes);
    let _ = decode::permissions(bytes);
    let _ = decode::version(bytes);
    let _ = decode::server_time(bytes);
    let _ = decode::check(bytes);
}

fn recorded() -> &'static [Vec<u8>] {
    static RECORDED: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/proxmox");
        let endpoints =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
        let files =
            endpoints.flat_map(|endpoint| std::fs::read_dir(endpoint).unwrap().map(|entry| entry.unwrap().path()));
        let mut files: Vec<_> = files.filter(|file| !file.ends_with("meta.json")).collect();
        files.sort();
        let bodies = files.iter().map(|file| std::fs::read(file).unwrap());
        // The longest only cost time: what they hold the shorter hold too.
        bodies.filter(|body| body.len() < 4000).collect()
    })
}

proptest! {
    #[test]
    fn garbage_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        decode_all(&bytes);
    }

    #[test]
    fn recorded_answers_bent_do_no_harm(which: prop::sample::Index, at: prop::sample::Index, with in "[0-9\"{}\\[\\],:a-z.-]{0,6}", length in 0usize..8) {
        let body = which.get(recorded());
        let begin = at.index(body.len());
        let end = (begin + length).min(body.len());
        let bent = [&body[..begin], with.as_bytes(), &body[end..]].concat();
        decode_all(&bent);
        decode_all(&body[..begin]);
    }
}

#[test]
fn every_decoder_is_fuzzed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let (offered, fuzzed) = (read("src/decode/mod.rs"), read("../../tests/fuzz/src/decoders.rs"));
    let words = offered.lines().filter_map(|line| line.strip_prefix("pub use ")?.split_once("::"));
    let words = words.flat_map(|(_, names)| names.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let decoders: Vec<&str> = words.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).collect();
    assert!(decoders.len() > 20, "{decoders:?}");
    for decoder in decoders {
        assert!(fuzzed.contains(&format!("decode::{decoder}(")), "tests/fuzz/src/decoders.rs does not try {decoder}");
    }
}

#[test]
fn depth_has_an_end() {
    let deep = format!("{{\"data\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    decode_all(deep.as_bytes());
    let deep = format!("{}1{}", "{\"data\":".repeat(100_000), "}".repeat(100_000));
    decode_all(deep.as_bytes());
}
