//! Whatever a snapshot holds, no rule panics, and every judgement keeps its form.

use super::stage::{Stage, at};
use crate::decode::{Certificate, NodeDetail, NodeStorage, SnapshotPoint};
use crate::memory::{fingerprint, pack, unpack};
use crate::model::{CephCheck, CephStatus, GuestState, NodeState, Part, StorageState};
use crate::rules::RULES;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Twist {
    Guest(u32, u8, Option<u64>, Option<f64>, bool),
    Node(usize, u8, Option<f64>, Option<u64>),
    Storage(usize, bool, Option<u64>, Option<u64>),
    Task(u8, u8, i64, Option<i64>, bool),
    Parts(usize, i64, bool, Option<u64>),
    Ceph(String, Option<u32>, Option<u32>, bool),
    Pass(u16),
    Forget,
}

fn twist() -> impl Strategy<Value = Twist> {
    prop_oneof![
        (101u32..104, 0u8..8, any::<Option<u64>>(), any::<Option<f64>>(), any::<bool>())
            .prop_map(|(vmid, state, memory, cpu, locked)| Twist::Guest(vmid, state, memory, cpu, locked)),
        (0usize..4, 0u8..3, any::<Option<f64>>(), any::<Option<u64>>())
            .prop_map(|(node, state, cpu, uptime)| Twist::Node(node, state, cpu, uptime)),
        (0usize..3, any::<bool>(), any::<Option<u64>>(), any::<Option<u64>>())
            .prop_map(|(storage, usable, used, total)| Twist::Storage(storage, usable, used, total)),
        (0u8..12, 0u8..4, -100_000i64..100_000, prop::option::of(-100_000i64..100_000), any::<bool>())
            .prop_map(|(kind, id, start, end, good)| Twist::Task(kind, id, start, end, good)),
        (0usize..3, any::<i64>(), any::<bool>(), any::<Option<u64>>())
            .prop_map(|(node, number, truth, size)| Twist::Parts(node, number, truth, size)),
        ("[A-Z_]{0,12}|HEALTH_ERR|HEALTH_WARN", any::<Option<u32>>(), any::<Option<u32>>(), any::<bool>())
            .prop_map(|(word, up, taking, muted)| Twist::Ceph(word, up, taking, muted)),
        any::<u16>().prop_map(Twist::Pass),
        Just(Twist::Forget),
    ]
}

fn apply(stage: &mut Stage, twist: Twist) {
    let names = ["pve1", "pve2", "pve3"];
    match twist {
        Twist::Guest(vmid, state, memory, cpu, locked) => {
            let Some(guest) = stage.snapshot.guests.iter_mut().find(|guest| guest.vmid == vmid) else { return };
            (guest.memory_bytes, guest.disk_bytes, guest.cpu, guest.uptime_s) = (memory, memory, cpu, memory);
            guest.lock = locked.then(|| "backup".into());
            guest.tags = ["always-on".into()].into();
            let states = [
                GuestState::Running,
                GuestState::Stopped,
                GuestState::Stopped,
                GuestState::Paused,
                GuestState::Failed("io-error".into()),
                GuestState::Unknown,
                GuestState::Other("?".into()),
            ];
            match states.get(usize::from(state)) {
                Some(state) => stage.turn(vmid, state.clone()),
                None => stage.snapshot.guests.retain(|guest| guest.vmid != vmid),
            }
        }
        Twist::Node(node, state, cpu, uptime) => {
            let Some(node) = stage.snapshot.nodes.get_mut(node) else { return };
            node.state = [NodeState::Online, NodeState::Offline, NodeState::NoData][usize::from(state)];
            (node.cpu, node.memory_bytes, node.uptime_s) = (cpu, uptime, uptime);
        }
        Twist::Storage(storage, usable, used, total) => {
            let Some(storage) = stage.snapshot.storages.get_mut(storage) else { return };
            storage.state = if usable { StorageState::Available } else { StorageState::Unknown };
            (storage.used_bytes, storage.total_bytes) = (used, total);
        }
        Twist::Task(kind, id, start, end, good) => {
            let kinds =
                ["vzdump", "qmstop", "qmstart", "stopall", "qmigrate", "aptupdate", "hastop", "vzdump", "qmreboot"];
            let kind = kinds.get(usize::from(kind)).copied().unwrap_or("odd");
            let id = ["", "101", "102", "\u{1f4a5}"][usize::from(id)];
            let status = if good { "OK" } else { "job \"errors\"\n<b>" };
            stage.task("pve1", kind, id, "ä@pve", start, end.map(|end| (end, status)));
        }
        Twist::Parts(node, number, truth, size) => {
            let now = stage.snapshot.taken_at;
            let parts = stage.parts(names[node]);
            parts.clock_ahead_s = Part::fetched(number / 4, now);
            let certificate = Certificate { file: "x.pem".into(), ends_s: Some(number), subject: None, issuer: None };
            parts.certificates = Part::fetched(vec![certificate], now);
            let detail =
                NodeDetail { memory_total_bytes: size, memory_available_bytes: Some(7), ..NodeDetail::default() };
            parts.detail = Part::fetched(detail, now);
            let storage = NodeStorage {
                name: "nas".into(),
                kind: None,
                content: None,
                is_active: truth,
                is_enabled: true,
                is_shared: true,
                total_bytes: size,
                used_bytes: size,
            };
            parts.storages = Part::fetched(vec![storage], now);
            let point = SnapshotPoint {
                name: "s".into(),
                description: None,
                created_s: Some(number),
                holds_memory: truth,
                parent: None,
            };
            stage.slow().guests.entry(101).or_default().snapshots = Part::fetched(vec![point], now);
        }
        Twist::Ceph(word, up, taking, muted) => {
            let check = CephCheck {
                code: word.as_str().into(),
                severity: word.as_str().into(),
                message: word.as_str().into(),
                is_muted: muted,
            };
            let status = CephStatus {
                health: word.into(),
                checks: if muted { vec![check] } else { Vec::new() },
                osds_up: up,
                osds_in: taking,
                ..CephStatus::default()
            };
            stage.snapshot.ceph = Part::fetched(status, stage.snapshot.taken_at);
        }
        Twist::Pass(seconds) => stage.pass(i64::from(seconds)),
        Twist::Forget => stage.before = None,
    }
    stage.observe();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_snapshot_breaks_a_rule(twists in prop::collection::vec(twist(), 1..24)) {
        let mut stage = Stage::new();
        stage.book(r#"{"rules":{"updates":{"enabled":true},"subscription":{"enabled":true}},"overrides":[{"match":{"tag":"a*"},"set":{"enabled":true}}]}"#);
        for twist in twists {
            apply(&mut stage, twist);
            stage.history.record(&stage.snapshot);
            for judged in stage.judged() {
                let rule = RULES.iter().find(|rule| rule.info.name == &*judged.rule);
                prop_assert!(rule.is_some(), "{}", judged.rule);
                prop_assert!(judged.scope.starts_with("homelab"));
                for finding in &judged.findings {
                    prop_assert_eq!(&finding.rule, &judged.rule);
                    let inside = if judged.scope.ends_with('/') { finding.object.starts_with(&*judged.scope) } else { finding.object == judged.scope };
                    prop_assert!(inside, "{} {}", finding.object, judged.scope);
                    prop_assert!(!judged.unseen.contains(&finding.object), "{} is found and unseen", finding.object);
                    prop_assert!(!finding.subject.is_empty() && !finding.summary.is_empty() && !finding.levels.is_empty());
                    for text in [Some(&finding.summary), finding.meaning.as_ref(), finding.before.as_ref(), finding.value.as_ref()].into_iter().flatten() {
                        prop_assert!(text.chars().count() < 400 && !text.contains('\n'), "{text:?}");
                    }
                }
            }
        }
        // What is kept comes back as it was.
        let text = pack(&stage.snapshot, &stage.memory);
        let kept = unpack(&"homelab".into(), &text).unwrap();
        prop_assert_eq!(&kept.memory, &stage.memory);
        prop_assert_eq!(kept.snapshot.guests.len(), stage.snapshot.guests.iter().filter(|guest| !guest.is_template).count());
        prop_assert_eq!(fingerprint(&kept.snapshot, &kept.memory), fingerprint(&stage.snapshot, &stage.memory));
        let _ = at(0);
    }
}
