//! Audit rows of what is done to HAIA itself over HTTP: keys, configuration, faults.

use crate::thread::Call;
use contract::caller::Origin;
use contract::store::{AuditKind, AuditRow};

/// Records an administrative request.
pub(crate) fn record(call: &Call, what: &str, outcome: &str) {
    let ports = call.ports();
    let (who, origin) =
        call.known.as_ref().map_or_else(|| ("".into(), Origin::Chat), |caller| (caller.name.clone(), caller.origin));
    ports.audit_sink.record(AuditRow {
        at: ports.clock.now(),
        kind: AuditKind::Admin,
        request_id: call.access.request_id.shared(),
        who,
        origin,
        what: what.into(),
        digest: String::new(),
        bytes: 0,
        ms: 0,
        outcome: outcome.into(),
    });
}
