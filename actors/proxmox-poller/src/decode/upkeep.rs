//! What a node needs from its keeper: certificates, updates, the subscription.

use super::scalar::{Signed, Text};
use super::shape::{self, DecodeError};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireCertificate {
    filename: Text,
    notafter: Signed,
    subject: Text,
    issuer: Text,
}

/// A certificate of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The file, without its folders (`pve-ssl.pem`, `pveproxy-ssl.pem`, `pve-root-ca.pem`).
    pub file: Arc<str>,
    /// When it ends, seconds since 1970.
    pub ends_s: Option<i64>,
    /// Whom it names.
    pub subject: Option<Arc<str>>,
    /// Who signed it.
    pub issuer: Option<Arc<str>>,
}

/// Reads `/nodes/{n}/certificates/info`.
///
/// # Errors
/// The answer is not JSON.
pub fn certificates(body: &[u8]) -> Result<Vec<Certificate>, DecodeError> {
    let certificate = |row: WireCertificate| {
        let path = row.filename.filled()?;
        Some(Certificate {
            file: path.rsplit('/').next().unwrap_or(&path).into(),
            ends_s: row.notafter.get().filter(|end| *end > 0),
            subject: row.subject.filled(),
            issuer: row.issuer.filled(),
        })
    };
    Ok(shape::list::<WireCertificate>(body)?.into_iter().filter_map(certificate).collect())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct WireUpdate {
    package: Text,
}

/// Reads `/nodes/{n}/apt/update`: the packages that have a newer version.
///
/// # Errors
/// The answer is not JSON.
pub fn updates(body: &[u8]) -> Result<Vec<Arc<str>>, DecodeError> {
    Ok(shape::list::<WireUpdate>(body)?.into_iter().filter_map(|row| row.package.filled()).collect())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireSubscription {
    status: Text,
    nextduedate: Text,
}

/// A node's subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// `active`, `notfound`, `expired`, `invalid`, … in lower case.
    pub status: Arc<str>,
    /// When it is due next, as a date.
    pub due: Option<Arc<str>>,
}

/// Reads `/nodes/{n}/subscription`.
///
/// # Errors
/// The answer is not JSON.
pub fn subscription(body: &[u8]) -> Result<Subscription, DecodeError> {
    let wire = shape::object::<WireSubscription>(body)?;
    Ok(Subscription { status: wire.status.as_str().to_lowercase().into(), due: wire.nextduedate.filled() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_known_by_its_file() {
        let body = br#"{"data":[{"filename":"/etc/pve/nodes/a/pve-ssl.pem","notafter":"1735689600"},{"filename":"x.pem","notafter":null},{}]}"#;
        let found = certificates(body).unwrap();
        assert_eq!((&*found[0].file, found[0].ends_s), ("pve-ssl.pem", Some(1_735_689_600)));
        assert_eq!((found.len(), found[1].ends_s), (2, None));
    }

    #[test]
    fn updates_and_subscriptions() {
        assert_eq!(updates(br#"{"data":[{"Package":"pve-manager"},{"Title":"x"}]}"#).unwrap().len(), 1);
        let active = subscription(br#"{"data":{"status":"Active","nextduedate":"2026-12-31"}}"#).unwrap();
        assert_eq!((&*active.status, active.due.as_deref()), ("active", Some("2026-12-31")));
        assert_eq!(subscription(br#"{"data":[]}"#).unwrap(), Subscription::default());
    }
}
