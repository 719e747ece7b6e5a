//! Hours of figures, added, packed, taken back.

use super::*;
use crate::assemble::assemble;
use crate::assemble::tests::{at, polled};

const MEMBERS: &str = r#"{"type":"node","name":"a","online":1}"#;

/// A snapshot with one node, one guest and one storage.
fn snapshot(seconds: i64, cpu: f64, used: u64) -> Snapshot {
    let rows = format!(
        r#"{{"type":"node","node":"a","status":"online","cpu":{cpu},"maxcpu":4,"mem":1,"maxmem":2,"disk":1,"maxdisk":4}},
           {{"type":"lxc","vmid":101,"node":"a","name":"web","status":"running","cpu":{cpu},"mem":30,"maxmem":100,"disk":9,"maxdisk":10}},
           {{"type":"qemu","vmid":102,"node":"a","name":"off","status":"stopped","cpu":0}},
           {{"type":"storage","node":"a","storage":"local","status":"available","disk":{used},"maxdisk":100000}}"#
    );
    assemble(&"lab".into(), polled(&rows, MEMBERS, ""), None, at(seconds)).unwrap()
}

fn storage() -> Subject {
    Subject::Named("a/local".into())
}

#[test]
fn averages_peaks_and_where_it_goes() {
    let mut history = History::default();
    // Eight hours of polls, the storage grows by 1 % per hour from 50 % on.
    for poll in 0..(8 * 360) {
        let seconds = poll * 10;
        history.record(&snapshot(
            seconds,
            if seconds < 3600 { 0.9 } else { 0.1 },
            50_000 + seconds as u64 * 1000 / 3600,
        ));
    }
    let now = at(8 * 3600);
    let cpu = history.trend(Metric::GuestCpu, Subject::Guest(101), now).unwrap();
    assert!((cpu.hour_average.unwrap() - 0.1).abs() < 0.001);
    assert!((cpu.day_average.unwrap() - 0.2).abs() < 0.01, "{cpu:?}");
    assert!((cpu.day_highest.unwrap() - 0.9).abs() < 0.001);
    assert_eq!(cpu.full_in_s, None);
    let used = history.trend(Metric::StorageUsed, storage(), now).unwrap();
    assert!((used.growth_per_hour.unwrap() - 0.01).abs() < 0.0001, "{used:?}");
    let hours = used.full_in_s.unwrap() as f64 / 3600.0;
    assert!((hours - 42.0).abs() < 1.0, "{hours}");
    assert_eq!(
        history.trend(Metric::GuestCpu, Subject::Guest(102), now),
        None,
        "a guest that does not run has no figures"
    );
    assert_eq!(history.size(), (7, 0));
}

#[test]
fn what_is_kept_comes_back_after_a_start() {
    let mut history = History::default();
    let mut kept: Vec<HistorySlab> = Vec::new();
    for poll in 0..(9 * 60) {
        history.record(&snapshot(poll * 60, 0.25, 40_000));
        if let Some(Due { slabs, .. }) = history.due(at(poll * 60), false) {
            for slab in slabs {
                kept.retain(|old| (old.grain_s, old.begin) != (slab.grain_s, slab.begin));
                kept.push(slab);
            }
        }
    }
    let now = at(9 * 3600);
    let Due { slabs, forget_before: forget } = history.due(now, true).unwrap();
    for slab in slabs {
        kept.retain(|old| (old.grain_s, old.begin) != (slab.grain_s, slab.begin));
        kept.push(slab);
    }
    kept.retain(|slab| forget.iter().all(|(grain, before)| slab.grain_s != *grain || slab.begin >= *before));
    let mut back = History::default();
    assert!(back.restore(&kept));
    let (before, after) =
        (history.trend(Metric::StorageUsed, storage(), now), back.trend(Metric::StorageUsed, storage(), now));
    let (before, after) = (before.unwrap(), after.unwrap());
    assert_eq!(
        (before.hour_average, before.day_average, before.week_average),
        (after.hour_average, after.day_average, after.week_average)
    );
    let bytes: usize = kept.iter().map(|slab| slab.data.len()).sum();
    assert!(bytes < 16_000, "{bytes} bytes for 7 rows");
}

#[test]
fn broken_slabs_are_told_and_passed_over() {
    let mut history = History::default();
    let slab = |grain_s: u32, data: &[u8]| HistorySlab { grain_s, begin: at(0), data: data.to_vec() };
    assert!(!history.restore(&[slab(60, b""), slab(7, &[1, 1]), slab(60, &[9, 9, 9])]));
    assert_eq!(history.size().0, 0);
}

#[test]
fn rows_are_bounded_and_idle_ones_forgotten() {
    let mut history = History::default();
    history.record(&snapshot(0, 0.5, 1));
    assert!(history.due(at(0), true).is_some());
    assert_eq!(history.size().0, 7);
    let week = 8 * 24 * 3600;
    history.add(at(week), Metric::NodeCpu, || Subject::Named("a".into()), Some(0.5));
    assert!(history.due(at(week), false).is_some());
    assert_eq!(history.size().0, 1);
    for vmid in 0..(MOST as u32 + 5) {
        history.add(at(week), Metric::GuestCpu, || Subject::Guest(vmid), Some(0.5));
    }
    assert_eq!(history.size(), (MOST, 6));
}
