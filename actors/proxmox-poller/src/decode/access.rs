//! What the token may do, the version, and the node's clock.

use super::scalar::{Flag, Signed, Text};
use super::shape::{self, DecodeError, Table};
use serde::Deserialize;
use std::sync::Arc;

/// What the token may do, by path: each privilege, and whether it is passed on to what lies below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(Vec<(String, Vec<(String, bool)>)>);

impl Permissions {
    /// Whether the token has the privilege on `/`, and with it everywhere unless a role takes it away further down.
    pub fn has_on_root(&self, privilege: &str) -> bool {
        self.has(privilege, |path| path == "/")
    }

    /// Whether the token has the privilege anywhere.
    pub fn has_anywhere(&self, privilege: &str) -> bool {
        self.has(privilege, |_| true)
    }

    fn has(&self, privilege: &str, of: impl Fn(&str) -> bool) -> bool {
        self.0.iter().any(|(path, privileges)| of(path) && privileges.iter().any(|(one, _)| one == privilege))
    }

    /// Whether the token has the privilege on `path`: as the answer says for it, else as the nearest path above it passes on.
    pub fn holds(&self, path: &str, privilege: &str) -> bool {
        let covers = |above: &str| above == "/" || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
        let exact = self.0.iter().find(|(known, _)| known == path);
        let nearest = || self.0.iter().filter(|(known, _)| covers(known)).max_by_key(|(known, _)| known.len());
        match exact {
            Some((_, privileges)) => privileges.iter().any(|(one, _)| one == privilege),
            None => nearest().is_some_and(|(_, privileges)| {
                privileges.iter().any(|(one, is_passed_on)| one == privilege && *is_passed_on)
            }),
        }
    }
}

/// Reads `/access/permissions`.
///
/// # Errors
/// The answer is not JSON.
pub fn permissions(body: &[u8]) -> Result<Permissions, DecodeError> {
    let granted = |(path, privileges): (String, Table<Flag>)| {
        // The value says whether it is passed on to what lies below; that it is there says that it is granted.
        let privileges = privileges.0.into_iter();
        (path, privileges.map(|(privilege, passed_on)| (privilege, passed_on.get().unwrap_or(false))).collect())
    };
    Ok(Permissions(shape::table::<Table<Flag>>(body)?.into_iter().map(granted).collect()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireVersion {
    version: Text,
    release: Text,
}

/// Reads `/version`.
///
/// # Errors
/// The answer is not JSON.
pub fn version(body: &[u8]) -> Result<Option<Arc<str>>, DecodeError> {
    let wire = shape::object::<WireVersion>(body)?;
    Ok(wire.version.filled().or(wire.release.filled()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireTime {
    time: Signed,
}

/// Reads `/nodes/{n}/time`: seconds since 1970.
///
/// # Errors
/// The answer is not JSON.
pub fn server_time(body: &[u8]) -> Result<Option<i64>, DecodeError> {
    shape::object::<WireTime>(body).map(|wire| wire.time.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_by_path() {
        let granted = permissions(br#"{"data":{"/":{"Sys.Audit":1},"/vms/100":{"VM.Audit":0}}}"#).unwrap();
        assert!(granted.has_on_root("Sys.Audit") && !granted.has_on_root("VM.Audit"));
        assert!(granted.has_anywhere("VM.Audit") && !granted.has_anywhere("Datastore.Audit"));
        assert_eq!(permissions(br#"{"data":[]}"#).unwrap(), Permissions::default());
    }

    #[test]
    fn a_path_has_what_the_nearest_one_above_passes_on() {
        let body =
            br#"{"data":{"/":{"VM.PowerMgmt":1,"Sys.Audit":0},"/vms":{"VM.PowerMgmt":1,"VM.Audit":0},"/vms/102":{}}}"#;
        let granted = permissions(body).unwrap();
        assert!(granted.holds("/vms/101", "VM.PowerMgmt") && granted.holds("/storage/x", "VM.PowerMgmt"));
        assert!(!granted.holds("/vms/101", "VM.Audit") && granted.holds("/vms", "VM.Audit"), "not passed on");
        assert!(!granted.holds("/vms/102", "VM.PowerMgmt"), "taken away there");
        assert!(granted.holds("/vmsx/1", "VM.PowerMgmt"), "from the root");
    }
}
