//! Tries every endpoint of a cluster with its token: for `haia check`.

use crate::actions::{ACTION_PRIVILEGE_NAMES, action_grant_command};
use crate::client::{ApiClient, ErrorKind};
use crate::decode;
use crate::model::{PRIVILEGES, grant_command};
use contract::clock::SharedClock;
use contract::cluster::{ClusterProbe, EndpointProbe, PrivilegeProbe};
use futures_util::future::join_all;
use runtime::http::fingerprint_text;

pub(super) async fn probe(client: &ApiClient, clock: &SharedClock, takes_actions: bool) -> ClusterProbe {
    // The first by itself: where it refuses the token the others would too, and each refusal counts for those who ban.
    let mut endpoints = Vec::new();
    let mut is_refused = false;
    if client.endpoints() > 0 {
        let (first, refused) = endpoint(client, clock, 0).await;
        endpoints.push(first);
        is_refused = refused;
    }
    if !is_refused {
        let others = join_all((1..client.endpoints()).map(|at| endpoint(client, clock, at))).await;
        endpoints.extend(others.into_iter().map(|(probed, _)| probed));
    }
    let good = endpoints.iter().position(|probed| probed.problem.is_none());
    let granted = match good {
        Some(at) => client.probe(at, "/access/permissions").await.ok(),
        None => None,
    };
    let granted = granted.and_then(|answer| decode::permissions(&answer.body).ok());
    let reading: Vec<PrivilegeProbe> = granted
        .iter()
        .flat_map(|granted| {
            PRIVILEGES.iter().map(move |privilege| PrivilegeProbe {
                privilege: privilege.name,
                granted: match privilege.name {
                    "Sys.Audit" => granted.has_on_root(privilege.name),
                    name => granted.has_anywhere(name),
                },
                lost_without: privilege.lost_without,
            })
        })
        .collect();
    // Anywhere is enough: a token may be allowed to act on some guests only.
    let acting = granted.iter().filter(|_| takes_actions).flat_map(|granted| {
        ACTION_PRIVILEGE_NAMES.iter().map(move |(name, lost_without)| PrivilegeProbe {
            privilege: name,
            granted: granted.has_anywhere(name),
            lost_without,
        })
    });
    let acting: Vec<PrivilegeProbe> = acting.collect();
    let grant = grant(client.token_id(), &reading, &acting);
    ClusterProbe { endpoints, privileges: reading.into_iter().chain(acting).collect(), grant }
}

/// The commands that grant what is missing.
fn grant(token_id: &str, reading: &[PrivilegeProbe], acting: &[PrivilegeProbe]) -> Option<String> {
    let missing = |privileges: &[PrivilegeProbe]| privileges.iter().any(|one| !one.granted);
    let to_read = missing(reading).then(|| grant_command(token_id));
    let lacking = acting.iter().filter(|one| !one.granted).map(|one| one.privilege);
    let to_act = missing(acting).then(|| action_grant_command(token_id, lacking));
    let commands: Vec<String> = to_read.into_iter().chain(to_act).collect();
    (!commands.is_empty()).then(|| commands.join(" && "))
}

/// One endpoint, and whether it refused the token.
async fn endpoint(client: &ApiClient, clock: &SharedClock, at: usize) -> (EndpointProbe, bool) {
    let begun = clock.monotonic();
    let answer = client.probe(at, "/version").await;
    let ms = u64::try_from(clock.monotonic().saturating_sub(begun).as_millis()).ok();
    let fingerprint = client.presented(at).map(|seen| fingerprint_text(&seen.fingerprint));
    let address = client.address(at);
    match answer {
        Ok(answer) => {
            let version = decode::version(&answer.body);
            let probed = EndpointProbe {
                address,
                problem: version.as_ref().err().map(ToString::to_string),
                fingerprint,
                version: version.ok().flatten().map(|version| version.to_string()),
                clock_difference_s: answer.date_s.map(|date| date - clock.now().as_second()),
                ms,
            };
            (probed, false)
        }
        Err(error) => {
            let is_refused = error.kind == ErrorKind::LoginRefused;
            let problem = Some(error.text);
            let probed = EndpointProbe { address, problem, fingerprint, version: None, clock_difference_s: None, ms };
            (probed, is_refused)
        }
    }
}
