//! Finding the guest or node that somebody means: by number, by name, and with help when that is nobody or several.

use super::desk::Known;
use crate::model::{Guest, Node, is_node_name};

/// The most candidates that an error names.
const CANDIDATES: usize = 8;
/// From this likeness on a name may be a slip of another.
const LIKENESS: f64 = 0.8;

fn described(known: &Known, guest: &Guest) -> String {
    let cluster = known.shown.as_ref().map(|name| format!(", cluster {name}")).unwrap_or_default();
    format!(
        "{} ({}, {} on {}{cluster})",
        guest.name.as_deref().unwrap_or("unnamed"),
        guest.vmid,
        guest.kind.as_str(),
        guest.node
    )
}

/// The guest that is meant: its cluster's place and its place in the snapshot.
///
/// # Errors
/// Nobody or several are meant: who could be.
pub(crate) fn guest(clusters: &[Known], wanted: &str) -> Result<(usize, usize), String> {
    let wanted = wanted.trim();
    if wanted.is_empty() {
        return Err("which guest? Give its name or its VMID".to_owned());
    }
    let all = || {
        clusters.iter().enumerate().flat_map(|(cluster, known)| {
            known.snapshot.guests.iter().enumerate().map(move |(at, guest)| (cluster, at, guest))
        })
    };
    let name_of = |guest: &Guest| guest.name.as_deref().unwrap_or_default().to_owned();
    // "vm 101", "ct/102" and "qemu/101" name the number too.
    let number = wanted.rsplit([' ', '/', ':', '#']).next().and_then(|last| last.parse::<u32>().ok());
    let is_only_number = wanted.parse::<u32>().is_ok();
    let by_number = || all().filter(|(_, _, guest)| number == Some(guest.vmid)).collect::<Vec<_>>();
    let exact = || all().filter(|(_, _, guest)| name_of(guest) == wanted).collect::<Vec<_>>();
    let any_case = || all().filter(|(_, _, guest)| name_of(guest).eq_ignore_ascii_case(wanted)).collect::<Vec<_>>();
    let host_part = || {
        let is_host =
            |guest: &Guest| name_of(guest).split('.').next().is_some_and(|host| host.eq_ignore_ascii_case(wanted));
        all().filter(|(_, _, guest)| is_host(guest)).collect::<Vec<_>>()
    };
    // "Home Assistant" for home-assistant: people say names without their hyphens.
    let spoken = || {
        let wanted = letters(wanted);
        all().filter(|(_, _, guest)| !wanted.is_empty() && letters(&name_of(guest)) == wanted).collect::<Vec<_>>()
    };
    let found = if is_only_number { [by_number(), exact()] } else { [exact(), any_case()] };
    let others = [host_part(), by_number(), spoken()];
    let found = found.into_iter().chain(others).find(|found| !found.is_empty()).unwrap_or_default();
    match found.as_slice() {
        [(cluster, at, _)] => Ok((*cluster, *at)),
        [] => Err(nobody(clusters, wanted)),
        several => {
            let names: Vec<String> = several
                .iter()
                .take(CANDIDATES)
                .map(|(cluster, _, guest)| described(&clusters[*cluster], guest))
                .collect();
            Err(format!(
                "{} guests are called {wanted:?}: {}; ask again with the VMID{}",
                several.len(),
                names.join(", "),
                if clusters.len() > 1 { " and the cluster" } else { "" }
            ))
        }
    }
}

/// A name without what stands between its letters and digits, in lower case.
fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn nobody(clusters: &[Known], wanted: &str) -> String {
    let lower = wanted.to_ascii_lowercase();
    let mut near: Vec<(f64, String)> = Vec::new();
    for known in clusters {
        for guest in &known.snapshot.guests {
            let name = guest.name.as_deref().unwrap_or_default().to_ascii_lowercase();
            let contains = !name.is_empty() && (name.contains(&lower) || lower.contains(&name));
            let likeness = if contains { 1.0 } else { strsim::jaro_winkler(&lower, &name) };
            if likeness > LIKENESS {
                near.push((likeness, described(known, guest)));
            }
        }
    }
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let near: Vec<String> = near.into_iter().take(CANDIDATES).map(|(_, name)| name).collect();
    let hint = match near.is_empty() {
        true => "list_vms shows all guests".to_owned(),
        false => format!("did you mean {}?", near.join(", ")),
    };
    let missing =
        clusters.iter().any(|known| known.snapshot.missing_privileges.iter().any(|one| one.0.name == "VM.Audit"));
    let rights = if missing { " (the token may not see all guests: it lacks VM.Audit)" } else { "" };
    format!("there is no guest {wanted:?}{rights}; {hint}")
}

/// The node that is meant: its cluster's place and its place in the snapshot.
///
/// # Errors
/// There is none of that name, or one in several clusters.
pub(super) fn node(clusters: &[Known], wanted: &str) -> Result<(usize, usize), String> {
    let wanted = wanted.trim();
    let matches = |node: &Node| node.name.eq_ignore_ascii_case(wanted);
    let found: Vec<(usize, usize)> = clusters
        .iter()
        .enumerate()
        .flat_map(|(cluster, known)| {
            known.snapshot.nodes.iter().enumerate().filter(|(_, node)| matches(node)).map(move |(at, _)| (cluster, at))
        })
        .collect();
    match found.as_slice() {
        [(cluster, at)] if is_node_name(&clusters[*cluster].snapshot.nodes[*at].name) => Ok((*cluster, *at)),
        [_, _, ..] => Err(format!("several clusters have a node {wanted:?}: name the cluster too")),
        _ => {
            let names = clusters.iter().flat_map(|known| known.snapshot.nodes.iter().map(|node| node.name.to_string()));
            Err(format!("there is no node {wanted:?}; nodes: {}", names.take(40).collect::<Vec<_>>().join(", ")))
        }
    }
}
