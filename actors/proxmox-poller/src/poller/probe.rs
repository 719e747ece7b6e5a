//! Tries every endpoint of a cluster with its token: for `haia check`.

use crate::actions::needed;
use crate::client::{ApiClient, ErrorKind};
use crate::decode::{self, Permissions};
use crate::model::{PRIVILEGES, grant_command};
use contract::approvals::ActionClass;
use contract::clock::SharedClock;
use contract::cluster::{ActionProbe, ClusterProbe, EndpointProbe, PrivilegeProbe};
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
    let grant = reading.iter().any(|one| !one.granted).then(|| grant_command(client.token_id()));
    let actions = granted.iter().filter(|_| takes_actions).flat_map(acting).collect();
    ClusterProbe { endpoints, privileges: reading, grant, actions }
}

/// What of each class of actions the token lacks. A privilege anywhere is enough: a token may be allowed to act on some guests only.
fn acting(granted: &Permissions) -> Vec<ActionProbe> {
    let of_guests = ActionClass::ALL.into_iter().filter(|class| needed(*class).next().is_some());
    of_guests
        .map(|class| {
            let missing = needed(class).map(|one| one.name).filter(|name| !granted.has_anywhere(name));
            ActionProbe { class, missing: missing.collect() }
        })
        .collect()
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
