//! The poller when all is well: beats, parts, tools, history, reload, crash and end.

use crate::common::{Cluster, Running, Step, config, healthy, pass};
use contract::cluster::{ClusterState, ListClusters, ProbeCluster};
use contract::message::{Drain, Reconfigure};
use contract::tools::ListTools;
use proxmox_poller::Config;
use proxmox_poller::history::{History, Metric, Subject};
use proxmox_poller::model::GuestState;
use runtime::Event;
use runtime::world::World;
use std::sync::Arc;

#[test]
fn polls_on_its_beat_and_publishes() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        assert_eq!(running.status().await.state, ClusterState::Starting);
        pass(35).await;
        let polls = running.cluster.asked().iter().filter(|(.., path)| path == "/cluster/resources").count();
        assert!((3..=4).contains(&polls), "every ten seconds, a tenth more or less: {polls}");
        let status = running.status().await;
        assert_eq!((status.state, status.problem, status.quorate), (ClusterState::Ok, None, Some(true)));
        assert_eq!((status.nodes_online, status.guests_running, status.errors), (1, 1, 0));
        assert!(status.last_good_poll_age_s.unwrap() <= 10);
        assert_eq!(running.snapshot().guest(101).unwrap().state, GuestState::Running);
    });
}

#[test]
fn slower_parts_have_their_own_beat_and_age() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        pass(65).await;
        let asked = running.cluster.asked();
        let count = |wanted: &str| asked.iter().filter(|(.., path)| path == wanted).count();
        assert!((3..=4).contains(&count("/cluster/ha/status/current")), "{asked:?}");
        assert_eq!(count("/cluster/ceph/status"), 1, "a cluster without Ceph is not asked again soon");
        let snapshot = running.snapshot();
        assert!(snapshot.ceph.is_absent && snapshot.ceph.problem.is_none());
        assert_eq!(snapshot.ha.value.as_ref().unwrap().resources.len(), 1);
        assert_eq!(snapshot.replication.value.as_ref().unwrap()[0].fail_count, 2);
        let ceph = running.call("get_ceph_status", "{}").await;
        assert!(ceph.text.contains("\"installed\":false"), "{}", ceph.text);
    });
}

#[test]
fn offers_and_calls_its_tools() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        pass(5).await;
        assert_eq!(running.ask(ListTools).await.len(), 16);
        let found = running.call("list_vms", "{}").await;
        assert!(!found.is_error && found.text.contains("web-01"), "{}", found.text);
        assert!(running.call("no_such_tool", "{}").await.is_error);
        running.ask(Reconfigure(Arc::new(Config::default()))).await;
        assert_eq!(running.ask(ListTools).await.len(), 0, "without a cluster there is nothing to ask");
        assert_eq!(running.snapshots.load().len(), 0);
    });
}

#[test]
fn keeps_the_history_and_takes_it_back() {
    let kept = World::run(async |world| {
        let running = Running::start(world, 1);
        pass(3600).await;
        let regular = running.kept.lock().unwrap().len();
        assert!((3..=4).contains(&regular), "{regular}");
        running.ask(Drain).await;
        let kept = running.kept.lock().unwrap().clone();
        assert_eq!(kept.len(), regular + 1, "the end keeps what there is");
        kept
    });
    let slabs: Vec<_> = kept.into_iter().flat_map(|kept| kept.slabs).collect();
    let mut history = History::default();
    assert!(history.restore(&slabs));
    assert!(history.size().0 >= 4);
    World::run(async |world| {
        let running = Running::with(world, Cluster::new(world), 1, slabs);
        pass(5).await;
        let found = running.call("get_vm_status", r#"{"guest":"101"}"#).await;
        assert!(found.text.contains("\"day_average_percent\":25.0"), "{}", found.text);
        let now = running.snapshot().taken_at;
        assert!(history.trend(Metric::GuestCpu, Subject::Guest(101), now).is_some());
    });
}

#[test]
fn a_reload_takes_new_clusters_and_forgets_old_ones() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        pass(5).await;
        running.cluster.asked();
        let mut both = config(1);
        let attic = both.clusters["lab"].clone();
        both.clusters.insert("attic".to_owned(), attic);
        running.ask(Reconfigure(Arc::new(both))).await;
        pass(3).await;
        let names: Vec<String> = running.ask(ListClusters).await.iter().map(|status| status.name.to_string()).collect();
        assert_eq!(names, ["attic", "lab"]);
        assert_eq!(running.snapshots.load().len(), 2);
        let polls = running.cluster.asked().iter().filter(|(.., path)| path == "/cluster/resources").count();
        assert_eq!(polls, 1, "the cluster that stayed was not polled out of turn");
    });
}

#[test]
fn a_crash_keeps_what_was_published_and_polling_goes_on() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        pass(5).await;
        let before = running.snapshot().taken_at;
        world.supervision.crash("proxmox-poller").unwrap().unwrap();
        world.settle().await;
        assert_eq!(running.snapshot().taken_at, before);
        pass(12).await;
        assert!(running.snapshot().taken_at > before);
        let events = world.take_events();
        assert!(
            matches!(events[0], Event::Panicked { .. }) && matches!(events[1], Event::Restarted { .. }),
            "{events:?}"
        );
    });
}

#[test]
fn a_probe_tells_of_every_endpoint_and_privilege() {
    World::run(async |world| {
        let running = Running::start(world, 2);
        running.cluster.behave(|endpoint, path| match (endpoint, path) {
            (1, "/version") => Step::Status(503, "Service Unavailable"),
            (_, "/access/permissions") => Step::Data(r#"{"/":{"Sys.Audit":1,"VM.Audit":1}}"#.to_owned()),
            _ => healthy(path),
        });
        let probe = running.ask(ProbeCluster { cluster: "lab".into() }).await.unwrap();
        assert_eq!(
            (probe.endpoints[0].version.as_deref(), probe.endpoints[0].clock_difference_s),
            (Some("8.4.1"), Some(0))
        );
        assert!(probe.endpoints[1].problem.as_ref().unwrap().contains("10.0.0.1:8006"));
        let granted: Vec<bool> = probe.privileges.iter().map(|one| one.granted).collect();
        assert_eq!(granted, [true, true, false]);
        assert!(probe.grant.unwrap().contains("pveum acl modify / --tokens 'haia@pve!monitor'"));
        assert!(running.ask(ProbeCluster { cluster: "mars".into() }).await.is_err());
    });
}

#[test]
fn after_the_drain_nothing_is_asked() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        pass(15).await;
        running.ask(Drain).await;
        running.cluster.asked();
        pass(60).await;
        assert_eq!(running.cluster.asked(), []);
    });
}
