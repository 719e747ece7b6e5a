//! The poller against every fault of the HTTP side: what is said, what is kept, what is asked again and when.

use crate::common::{RESOURCES, Running, Step, healthy, pass};
use contract::cluster::ClusterState;
use proxmox_poller::client::TransportError;
use proxmox_poller::model::GuestState;
use runtime::world::World;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn refused() -> Step {
    Step::Fail(TransportError::Connect("Connection refused".to_owned()))
}

#[test]
fn another_member_answers_for_a_dead_one() {
    World::run(async |world| {
        let running = Running::start(world, 2);
        running.cluster.behave(|endpoint, path| if endpoint == 0 { refused() } else { healthy(path) });
        pass(65).await;
        let status = running.status().await;
        assert_eq!((status.state, status.errors), (ClusterState::Ok, 0));
        assert_eq!(status.endpoint.as_deref(), Some("https://10.0.0.1:8006"));
        let at_dead = running.cluster.asked().iter().filter(|(_, member, _)| *member == 0).count();
        assert_eq!(at_dead, 1, "who works is stayed with");
    });
}

#[test]
fn when_nobody_answers_old_data_is_marked_and_nobody_is_hammered() {
    World::run(async |world| {
        let running = Running::start(world, 2);
        pass(15).await;
        running.cluster.behave(|_, _| refused());
        running.cluster.asked();
        pass(300).await;
        let status = running.status().await;
        assert_eq!(status.state, ClusterState::Blind);
        assert!(status.problem.unwrap().contains("it cannot be reached (Connection refused)"));
        let asked = running.cluster.asked().len();
        assert!(asked <= 30, "{asked} questions in five minutes to two dead members");
        let found = running.call("list_vms", "{}").await;
        assert!(found.text.contains("\"state\":\"stale\"") && found.text.contains("web-01"), "{}", found.text);
        running.cluster.behave(|_, path| healthy(path));
        pass(45).await;
        assert_eq!(running.status().await.state, ClusterState::Ok, "it recovers by itself");
    });
}

#[test]
fn a_refused_login_is_tried_once_and_left_alone() {
    World::run(async |world| {
        let running = Running::start(world, 3);
        running.cluster.behave(|_, _| Step::Status(401, "authentication failure"));
        pass(55).await;
        assert_eq!(running.cluster.asked().len(), 1, "one refusal, at one member");
        let status = running.status().await;
        assert_eq!(status.state, ClusterState::Blind);
        let problem = status.problem.unwrap();
        assert!(
            problem.contains("the login of haia@pve!monitor was refused") && problem.contains("next try"),
            "{problem}"
        );
        assert!(!problem.contains("s3cret"));
        pass(600).await;
        let again: Vec<u64> = running.cluster.asked().iter().map(|(second, ..)| *second).collect();
        assert!((2..=4).contains(&again.len()), "{again:?}");
        running.cluster.behave(|_, path| healthy(path));
        pass(310).await;
        assert_eq!(running.status().await.state, ClusterState::Ok);
    });
}

#[test]
fn a_member_that_hangs_is_left_after_its_deadline() {
    World::run(async |world| {
        let running = Running::start(world, 2);
        running.cluster.behave(|endpoint, path| if endpoint == 0 { Step::Hang } else { healthy(path) });
        pass(7).await;
        assert_eq!(running.status().await.state, ClusterState::Starting);
        pass(3).await;
        assert_eq!(running.status().await.state, ClusterState::Ok);
    });
}

#[test]
fn a_connection_that_ends_is_tried_once_more_at_once() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        let drops = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&drops);
        running.cluster.behave(move |_, path| {
            // Every other question finds its connection closed.
            match count.fetch_add(1, Ordering::Relaxed) % 2 {
                0 => Step::Fail(TransportError::Dropped("closed".to_owned())),
                _ => healthy(path),
            }
        });
        pass(5).await;
        let status = running.status().await;
        assert_eq!((status.state, status.errors), (ClusterState::Ok, 0));
    });
}

#[test]
fn an_empty_cluster_is_a_missing_privilege_with_its_command() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        running.cluster.behave(|_, path| match path {
            "/cluster/resources" => Step::Data("[]".to_owned()),
            "/cluster/status" => Step::Status(403, "Permission check failed (/, Sys.Audit)"),
            "/access/permissions" => Step::Data("{}".to_owned()),
            _ => healthy(path),
        });
        pass(25).await;
        let status = running.status().await;
        assert_eq!(status.state, ClusterState::Blind);
        let problem = status.problem.unwrap();
        assert!(problem.contains("lacks Sys.Audit, VM.Audit, Datastore.Audit"), "{problem}");
        assert!(problem.contains("pveum acl modify / --tokens 'haia@pve!monitor' --roles PVEAuditor"), "{problem}");
        let found = running.call("list_vms", "{}").await;
        assert!(found.is_error && found.text.contains("VM.Audit"), "{}", found.text);
        running.cluster.behave(|_, path| healthy(path));
        pass(15).await;
        assert_eq!(running.status().await.state, ClusterState::Ok);
    });
}

#[test]
fn one_missing_privilege_leaves_the_rest_visible() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        running.cluster.behave(|_, path| match path {
            "/cluster/status" => Step::Status(403, "Permission check failed (/, Sys.Audit)"),
            "/access/permissions" => Step::Data(r#"{"/":{"VM.Audit":1,"Datastore.Audit":1}}"#.to_owned()),
            _ => healthy(path),
        });
        pass(15).await;
        let status = running.status().await;
        assert_eq!((status.state, status.missing_privileges), (ClusterState::Degraded, vec!["Sys.Audit".to_owned()]));
        assert_eq!(running.snapshot().guests.len(), 1);
        running.cluster.behave(|_, path| healthy(path));
        pass(75).await;
        let status = running.status().await;
        assert_eq!(
            (status.state, status.missing_privileges.len()),
            (ClusterState::Ok, 0),
            "a grant is noticed within a minute or so"
        );
    });
}

#[test]
fn a_node_that_its_cluster_cannot_reach_costs_one_question() {
    World::run(async |world| {
        let running = Running::start(world, 2);
        running.cluster.behave(|_, path| {
            if path.starts_with("/nodes/") { Step::Status(595, "No route to host") } else { healthy(path) }
        });
        pass(5).await;
        running.cluster.asked();
        for _ in 0..3 {
            let found = running.call("get_node_status", r#"{"node":"pve1"}"#).await;
            assert!(found.text.contains("cannot reach this node (No route to host)"), "{}", found.text);
            assert!(!found.is_error, "what the poll knows is told all the same");
        }
        let asked: Vec<_> =
            running.cluster.asked().into_iter().filter(|(.., path)| path.starts_with("/nodes/")).collect();
        assert_eq!(asked.len(), 0, "the replication part met the node already, and it rests: {asked:?}");
        assert_eq!(running.status().await.state, ClusterState::Ok);
    });
}

#[test]
fn a_hung_node_does_not_hold_the_poll_back() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        running.cluster.behave(|_, path| if path.starts_with("/nodes/") { Step::Hang } else { healthy(path) });
        pass(5).await;
        let found = running.call("list_disks", "{}").await;
        assert!(
            found.text.contains("no answer within") || found.text.contains("did not answer in time"),
            "{}",
            found.text
        );
        let status = running.status().await;
        assert!(status.state == ClusterState::Ok && status.last_good_poll_age_s.unwrap() <= 10, "{status:?}");
    });
}

#[test]
fn what_is_no_proxmox_is_told_as_such() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        for (step, said) in [(302, "port 8006"), (404, "is this a Proxmox VE node?"), (503, "before the server")] {
            running.cluster.behave(move |_, _| Step::Status(step, "x"));
            pass(45).await;
            let problem = running.status().await.problem.unwrap();
            assert!(problem.contains(said), "{problem}");
        }
        running.cluster.behave(|_, _| Step::Data("[".to_owned()));
        pass(45).await;
        assert!(running.status().await.problem.unwrap().contains("not Proxmox VE's JSON"));
    });
}

#[test]
fn rows_that_turn_unknown_keep_their_names() {
    World::run(async |world| {
        let running = Running::start(world, 1);
        pass(5).await;
        running.cluster.behave(|_, path| match path {
            "/cluster/resources" => Step::Data(RESOURCES.replace(
                r#""name":"web-01","status":"running","cpu":0.25,"maxcpu":2,"mem":10,"maxmem":40,"uptime":9000"#,
                r#""status":"unknown""#,
            )),
            _ => healthy(path),
        });
        pass(30).await;
        let snapshot = running.snapshot();
        let guest = snapshot.guest(101).unwrap();
        assert_eq!((guest.name.as_deref(), &guest.state), (Some("web-01"), &GuestState::Unknown));
        let found = running.call("list_vms", "{}").await;
        assert!(found.text.contains("\"figures_age_s\":"), "{}", found.text);
    });
}
