//! The one writing request of an action: path and form. Pure.

use super::look::path_of;
use super::wish::Deed;
use crate::client::segment;
use crate::model::GuestKind;

/// Where the guest is, as looked up just before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) node: String,
    pub(super) kind: GuestKind,
    pub(super) vmid: u32,
    pub(super) is_up: bool,
}

/// Path and form of the request.
pub(super) fn request(deed: &Deed, place: &Place) -> (String, String) {
    let path = |rest: &str| path_of(&place.node, place.kind, place.vmid, rest);
    let is_vm = place.kind == GuestKind::Vm;
    match deed {
        Deed::Start => (path("status/start"), String::new()),
        Deed::Stop => (path("status/stop"), String::new()),
        Deed::Suspend => (path("status/suspend"), String::new()),
        Deed::Resume => (path("status/resume"), String::new()),
        Deed::Reboot { wait_s } => (path("status/reboot"), form(&[("timeout", &wait_s.to_string())])),
        Deed::Shutdown { wait_s, is_forced } => {
            let wait = wait_s.to_string();
            let mut members = vec![("timeout", wait.as_str())];
            if *is_forced {
                members.push(("forceStop", "1"));
            }
            (path("status/shutdown"), form(&members))
        }
        Deed::Migrate { target, copies_disks } => {
            let mut members = vec![("target", target.as_str())];
            if place.is_up {
                members.push((if is_vm { "online" } else { "restart" }, "1"));
            }
            if *copies_disks && is_vm {
                members.push(("with-local-disks", "1"));
            }
            (path("migrate"), form(&members))
        }
        Deed::Snapshot { name, description, with_memory } => {
            let mut members = vec![("snapname", name.as_str())];
            if !description.is_empty() {
                members.push(("description", description));
            }
            if *with_memory && is_vm {
                members.push(("vmstate", "1"));
            }
            (path("snapshot"), form(&members))
        }
        Deed::Backup { storage, mode } => {
            let vmid = place.vmid.to_string();
            // Without remove=0 the storage's retention would delete older backups.
            let members = [
                ("vmid", vmid.as_str()),
                ("storage", storage),
                ("mode", mode.as_str()),
                ("compress", "zstd"),
                ("remove", "0"),
            ];
            (format!("/nodes/{}/vzdump", segment(&place.node)), form(&members))
        }
    }
}

fn form(members: &[(&str, &str)]) -> String {
    members.iter().map(|(name, value)| format!("{name}={}", segment(value))).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::super::wish::Mode;
    use super::*;

    #[test]
    fn every_deed_has_its_request() {
        let vm = Place { node: "pve1".into(), kind: GuestKind::Vm, vmid: 101, is_up: true };
        let off = Place { is_up: false, ..vm.clone() };
        let ct = Place { kind: GuestKind::Container, ..vm.clone() };
        let migrate = |copies_disks| Deed::Migrate { target: "pve2".into(), copies_disks };
        for (deed, place, path, form) in [
            (Deed::Start, &off, "/nodes/pve1/qemu/101/status/start", ""),
            (Deed::Stop, &ct, "/nodes/pve1/lxc/101/status/stop", ""),
            (Deed::Suspend, &vm, "/nodes/pve1/qemu/101/status/suspend", ""),
            (Deed::Resume, &vm, "/nodes/pve1/qemu/101/status/resume", ""),
            (Deed::Reboot { wait_s: 60 }, &vm, "/nodes/pve1/qemu/101/status/reboot", "timeout=60"),
            (
                Deed::Shutdown { wait_s: 60, is_forced: true },
                &vm,
                "/nodes/pve1/qemu/101/status/shutdown",
                "timeout=60&forceStop=1",
            ),
            (migrate(true), &vm, "/nodes/pve1/qemu/101/migrate", "target=pve2&online=1&with-local-disks=1"),
            (migrate(false), &off, "/nodes/pve1/qemu/101/migrate", "target=pve2"),
            (migrate(true), &ct, "/nodes/pve1/lxc/101/migrate", "target=pve2&restart=1"),
            (
                Deed::Snapshot { name: "a1".into(), description: "x & y=1\n".into(), with_memory: true },
                &vm,
                "/nodes/pve1/qemu/101/snapshot",
                "snapname=a1&description=x%20%26%20y%3D1%0A&vmstate=1",
            ),
            (
                Deed::Backup { storage: "pbs".into(), mode: Mode::Stop },
                &ct,
                "/nodes/pve1/vzdump",
                "vmid=101&storage=pbs&mode=stop&compress=zstd&remove=0",
            ),
        ] {
            assert_eq!(request(&deed, place), (path.to_owned(), form.to_owned()), "{deed:?}");
        }
    }
}
