//! Each kind of action on a guest, done on the simulated cluster; and none of them is taken for an incident.

use super::{Acting, word};
use crate::clusters::until_polled;
use crate::daemon::ADMIN;
use serde_json::{Value, json};

#[test]
fn every_kind_of_action_is_done_once_and_alarms_nobody() {
    let acting = Acting::start("");
    // The rules know the guests for a while before.
    until_polled(&acting.daemon, 12);
    let cases = [
        ("shutdown_guest|guest=web-01", "web-01 (101) was shut down on pve1", "pve1/qemu/101/status/shutdown"),
        ("start_guest|guest=web-01", "web-01 (101) was started on pve1", "pve1/qemu/101/status/start"),
        ("reboot_guest|guest=web-02", "web-02 (102) was rebooted", "pve2/qemu/102/status/reboot"),
        ("suspend_guest|guest=runner-01", "runner-01 (126) was suspended", "pve2/qemu/126/status/suspend"),
        ("resume_guest|guest=runner-01", "runner-01 (126) was resumed", "pve2/qemu/126/status/resume"),
        ("stop_guest|guest=vaultwarden", "vaultwarden (124) was switched off", "pve1/lxc/124/status/stop"),
        ("migrate_guest|guest=gitea|target=pve2", "gitea (113) was moved from pve1 to pve2", "pve1/qemu/113/migrate"),
        (
            "snapshot_guest|guest=gitea|name=before-17",
            "gitea (113) has the snapshot before-17 now",
            "pve2/qemu/113/snapshot",
        ),
        ("backup_guest|guest=wiki|storage=pbs", "wiki (123) was backed up to pbs", "pve2/vzdump"),
        // The HA manager does it, some seconds after the order.
        (
            "shutdown_guest|guest=db-01",
            "db-01 (103) was shut down on pve1, by the HA manager",
            "pve1/qemu/103/status/shutdown",
        ),
    ];
    for (at, (order, done, path)) in cases.into_iter().enumerate() {
        let id = acting.propose(&format!("DO({order})"));
        assert_eq!(acting.orders().len(), at, "{order}: proposing does nothing");
        let ended = match at % 3 {
            0 => acting.approve(id),
            1 => {
                acting.say(ADMIN, &format!("approve {id}"));
                acting.ended(id)
            }
            _ => {
                let (code, out, error) = acting.run(&["approvals", "approve", &id.to_string()]);
                assert_eq!(code, Some(0), "{order}: {out}{error}");
                acting.ended(id)
            }
        };
        assert_eq!(word(&ended, "state"), "done", "{order}: {ended}");
        assert!(word(&ended, "result").contains(done), "{order}: {ended}");
        let orders = acting.orders();
        assert_eq!((orders.len(), orders[at].as_str()), (at + 1, path), "one order each: {orders:?}");
    }
    // An hour takes ten, and says so.
    let refused = acting.say(ADMIN, "DO(start_guest|guest=win11-lab)");
    assert!(refused.contains("the policy allows 10 actions of this kind within an hour"), "{refused}");
    let guest = |id: &str| acting.guest(id);
    assert_eq!((&guest("qemu/101")["status"], &guest("lxc/124")["status"]), (&json!("running"), &json!("stopped")));
    assert_eq!(guest("qemu/113")["node"], "pve2");
    acting.assert_on_record();

    // Long enough for every rule about guests.
    until_polled(&acting.daemon, 40);
    let alerts = acting.daemon.get("/api/alerts?state=all").json()["alerts"].as_array().cloned().unwrap_or_default();
    let of_guests =
        |alert: &&Value| word(alert, "name").starts_with("guest_") || word(alert, "name").starts_with("restart_loop:");
    let alarming: Vec<&Value> = alerts.iter().filter(of_guests).filter(|alert| alert["severity"] != "info").collect();
    assert!(alarming.is_empty(), "{alarming:#?}");
    let explained = acting.say(ADMIN, "DO(explain_guest_stop|guest=vaultwarden)");
    assert!(explained.contains("by HAIA (approved by"), "{explained}");
}
