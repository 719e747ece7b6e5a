//! What the token may do, the version, and the node's clock.

use super::scalar::{Flag, Signed, Text};
use super::shape::{self, DecodeError, Table};
use serde::Deserialize;
use std::sync::Arc;

/// What the token may do, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(Vec<(String, Vec<String>)>);

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
        self.0.iter().any(|(path, privileges)| of(path) && privileges.iter().any(|one| one == privilege))
    }
}

/// Reads `/access/permissions`.
///
/// # Errors
/// The answer is not JSON.
pub fn permissions(body: &[u8]) -> Result<Permissions, DecodeError> {
    let granted = |(path, privileges): (String, Table<Flag>)| {
        // The value says whether it is passed on to what lies below; that it is there says that it is granted.
        (path, privileges.0.into_iter().map(|(privilege, _)| privilege).collect())
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
}
