//! Who calls: keys, their scopes, and who needs none.
//!
//! Keys are only ever held as SHA-256 hashes, and a presented key is compared with every one of them in constant time, so neither the
//! time nor the memory of the process tells a key.

use crate::openai::error::Refusal;
use crate::published::{Published, StoredKeys};
use contract::caller::{Caller, Origin, Scope};
use contract::store::StoredKey;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

/// A key's hash.
pub(crate) type KeyHash = [u8; 32];

/// Hashes a key.
pub(crate) fn hash_key(key: &[u8]) -> KeyHash {
    Sha256::digest(key).into()
}

/// A hash as the store keeps it.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [HEX[(byte >> 4) as usize] as char, HEX[(byte & 15) as usize] as char]).collect()
}

fn from_hex(text: &str) -> Option<KeyHash> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let bytes = text.as_bytes();
    let mut hash = KeyHash::default();
    if bytes.len() != 2 * hash.len() {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = digit(bytes[2 * at])? << 4 | digit(bytes[2 * at + 1])?;
    }
    Some(hash)
}

/// Every key there is.
#[derive(Default)]
pub(crate) struct KeyRing {
    keys: Vec<(KeyHash, Caller)>,
    /// Whether a key could not be read: it lets nobody in, but it still says that keys are wanted.
    damaged: bool,
}

impl KeyRing {
    pub(crate) fn add(&mut self, name: &str, scope: Scope, hash: KeyHash) {
        self.keys.push((hash, Caller { name: name.into(), scope, origin: Origin::Chat }));
    }

    pub(crate) fn add_stored(&mut self, key: &StoredKey) {
        match from_hex(&key.hash) {
            Some(hash) => {
                self.keys.push((hash, Caller { name: Arc::clone(&key.name), scope: key.scope, origin: Origin::Chat }));
            }
            None => {
                self.damaged = true;
                tracing::error!(key = %key.name, "a stored key is damaged and lets nobody in: revoke it and make a new one");
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && !self.damaged
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whose key this is. Looks at every key whatever it finds.
    fn find(&self, presented: &[u8]) -> Option<&Caller> {
        let hash = hash_key(presented);
        let mut found = u64::MAX;
        for (at, (known, _)) in self.keys.iter().enumerate() {
            let same: Choice = known[..].ct_eq(&hash[..]);
            found = u64::conditional_select(&found, &(at as u64), same);
        }
        usize::try_from(found).ok().and_then(|at| self.keys.get(at)).map(|(_, caller)| caller)
    }
}

/// Where a connection comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// HAIA's own unix socket, which only its owner can open.
    Socket,
    /// This machine.
    Loopback,
    /// Another machine.
    Remote,
}

/// What a request says of its sender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claims<'a> {
    /// Where it comes from.
    pub(crate) peer: Peer,
    /// The `Authorization` header.
    pub(crate) authorization: Option<&'a [u8]>,
    /// The `x-api-key` header, on the paths where clients send their key so.
    pub(crate) api_key: Option<&'a [u8]>,
    /// The `Host` header.
    pub(crate) host: Option<&'a str>,
    /// Whether a proxy passed it on (`Forwarded`, `X-Forwarded-For`, `X-Real-IP`): then it is not from this machine, wherever the
    /// connection comes from.
    pub(crate) forwarded: bool,
}

/// Who a request is from, or why it is nobody's.
pub(crate) type Identity = Result<Known, Refusal>;

/// A known caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The caller.
    pub(crate) caller: Caller,
    /// Whether a key proved it.
    pub(crate) by_key: bool,
}

/// Finds out who calls.
///
/// Over the unix socket: the owner, with every right. With a key: that key's name and scope. Without any key configured or stored: a
/// caller from this machine has `control`. If the store cannot be read it counts as holding no keys, so that a broken disk does not
/// silence a homelab without keys; keys of the configuration are always asked for.
pub(crate) fn identify(published: &Published, claims: &Claims<'_>) -> Identity {
    if claims.peer == Peer::Socket {
        return Ok(Known { caller: published.socket.clone(), by_key: false });
    }
    let in_place = claims.api_key.map(<[u8]>::trim_ascii).filter(|key| !key.is_empty());
    let presented = claims.authorization.and_then(bearer).or(in_place);
    if let Some(caller) = presented.and_then(|key| published.keys.find(key)) {
        return Ok(Known { caller: caller.clone(), by_key: true });
    }
    if !published.keys.is_empty() {
        return Err(match (claims.authorization.or(claims.api_key), presented) {
            (None, _) => Refusal::unauthenticated("a key is needed: send \"Authorization: Bearer KEY\""),
            (Some(_), None) => Refusal::unauthenticated("the Authorization header is not of the form \"Bearer KEY\""),
            (Some(_), Some(_)) => Refusal::unauthenticated("the key is not known: it is wrong or was revoked"),
        });
    }
    if published.stored == StoredKeys::Unasked {
        return Err(Refusal::unavailable("HAIA is starting", Some(Duration::from_secs(1))));
    }
    if claims.peer != Peer::Loopback || claims.forwarded {
        return Err(Refusal::unauthenticated(
            "no key is configured, so HAIA answers this machine only: add one with [server.keys.NAME] or haia keys new",
        ));
    }
    if !published.hosts.trusts(claims.host) {
        return Err(Refusal::forbidden(
            "the Host header is not a name of this machine: use localhost, or name the host in [mcp] allowed_hosts, or use a key",
        ));
    }
    Ok(Known { caller: published.loopback.clone(), by_key: false })
}

/// The key of an `Authorization: Bearer KEY` header; the scheme's case does not matter.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let header = header.trim_ascii();
    let (scheme, key) = header.split_at_checked(6)?;
    let blank = key.first().is_some_and(u8::is_ascii_whitespace);
    let key = key.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer") && blank && !key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, KeyConfig};
    use crate::published::Shared;
    use contract::secret::Secret;

    fn shared(keys: &[(&str, &str, Scope)]) -> Arc<Shared> {
        let keys = keys
            .iter()
            .map(|(name, key, scope)| {
                ((*name).to_owned(), KeyConfig { key: Secret::new(*key), scope: *scope, limits: Default::default() })
            })
            .collect();
        Shared::new(Config { keys, ..Config::default() }, "127.0.0.1:8000".parse().expect("address"), None)
    }

    fn stored(name: &str, key: &str, scope: Scope) -> StoredKey {
        let hash = to_hex(&hash_key(key.as_bytes()));
        StoredKey { name: name.into(), scope, hash, created: jiff::Timestamp::UNIX_EPOCH }
    }

    fn local() -> Claims<'static> {
        Claims {
            peer: Peer::Loopback,
            authorization: None,
            api_key: None,
            host: Some("localhost:8000"),
            forwarded: false,
        }
    }

    fn who(shared: &Shared, claims: Claims<'_>) -> Result<(String, Scope), u16> {
        let identity = identify(&shared.now(), &claims);
        identity.map(|known| (known.caller.name.to_string(), known.caller.scope)).map_err(|refusal| refusal.status)
    }

    #[test]
    fn a_key_may_come_in_anthropics_header_where_its_clients_call() {
        let shared = shared(&[("web", "key-web", Scope::Control)]);
        let with = |authorization, api_key| who(&shared, Claims { authorization, api_key, ..local() });
        assert_eq!(with(None, Some(b"key-web")), Ok(("web".to_owned(), Scope::Control)));
        assert_eq!(with(None, Some(b" key-web ")), Ok(("web".to_owned(), Scope::Control)));
        assert_eq!(with(Some(b"Bearer key-web"), Some(b"another")), Ok(("web".to_owned(), Scope::Control)));
        for (authorization, api_key) in
            [(None, Some(&b"wrong"[..])), (None, Some(b"")), (Some(&b"Bearer wrong"[..]), Some(b"key-web"))]
        {
            assert_eq!(with(authorization, api_key), Err(401));
        }
    }

    #[test]
    fn without_keys_this_machine_has_control_and_nobody_else_anything() {
        let shared = shared(&[]);
        assert_eq!(who(&shared, local()), Err(503), "the store was not asked yet");
        shared.publish_stored(Ok(Vec::new()));
        let control = Ok(("loopback".to_owned(), Scope::Control));
        assert_eq!(who(&shared, local()), control);
        assert_eq!(who(&shared, Claims { authorization: Some(b"Bearer sk-x"), ..local() }), control);
        assert_eq!(who(&shared, Claims { host: None, ..local() }), control);
        assert_eq!(who(&shared, Claims { peer: Peer::Remote, ..local() }), Err(401));
        assert_eq!(who(&shared, Claims { forwarded: true, ..local() }), Err(401));
        assert_eq!(who(&shared, Claims { host: Some("evil.example"), ..local() }), Err(403));
    }

    #[test]
    fn with_keys_everybody_needs_one() {
        let shared = shared(&[("ui", "sk-ui", Scope::Control), ("eye", "sk-eye", Scope::Read)]);
        let with = |header: &'static [u8]| Claims { authorization: Some(header), ..local() };
        assert_eq!(who(&shared, local()), Err(401));
        assert_eq!(who(&shared, with(b"Bearer sk-ui")), Ok(("ui".to_owned(), Scope::Control)));
        assert_eq!(who(&shared, with(b"bearer  sk-eye ")), Ok(("eye".to_owned(), Scope::Read)));
        for wrong in
            [&b"Bearer"[..], b"Bearer ", b"Bearersk-ui", b"Basic sk-ui", b"sk-ui", b"Bearer sk-u", b"Bearer sk-uii"]
        {
            assert_eq!(who(&shared, Claims { authorization: Some(wrong), ..local() }), Err(401), "{wrong:?}");
        }
        let far = Claims { peer: Peer::Remote, host: Some("any.name"), forwarded: true, ..with(b"Bearer sk-ui") };
        assert_eq!(who(&shared, far), Ok(("ui".to_owned(), Scope::Control)), "with a key any Host is answered");
    }

    #[test]
    fn stored_keys_count_beside_configured_ones() {
        let shared = shared(&[]);
        shared.publish_stored(Ok(vec![stored("cli", "haia-1", Scope::Admin)]));
        assert_eq!(who(&shared, local()), Err(401), "a stored key ends the freedom of loopback");
        let claims = Claims { authorization: Some(b"Bearer haia-1"), ..local() };
        assert_eq!(who(&shared, claims), Ok(("cli".to_owned(), Scope::Admin)));
        shared.publish_stored(Err("disk".into()));
        assert_eq!(who(&shared, claims), Ok(("cli".to_owned(), Scope::Admin)), "what was known outlasts the store");
        assert_eq!(who(&shared, local()), Err(401));
    }

    #[test]
    fn a_store_that_never_answered_silences_nobody() {
        let keyed = shared(&[("ui", "sk-ui", Scope::Control)]);
        keyed.publish_stored(Err("disk".into()));
        assert_eq!(
            who(&keyed, Claims { authorization: Some(b"Bearer sk-ui"), ..local() }).map(|who| who.1),
            Ok(Scope::Control)
        );
        assert_eq!(who(&keyed, local()), Err(401));
        let open = shared(&[]);
        open.publish_stored(Err("disk".into()));
        assert_eq!(who(&open, local()).map(|who| who.1), Ok(Scope::Control));
        assert_eq!(who(&open, Claims { peer: Peer::Remote, ..local() }), Err(401));
    }

    #[test]
    fn the_socket_is_its_owners() {
        let shared = shared(&[("ui", "sk-ui", Scope::Control)]);
        let claims = Claims { peer: Peer::Socket, host: Some("evil.example"), ..local() };
        let known = identify(&shared.now(), &claims).expect("the owner");
        assert_eq!((known.caller.scope, known.caller.origin, known.by_key), (Scope::Admin, Origin::Cli, false));
    }

    #[test]
    fn a_damaged_stored_key_lets_nobody_in() {
        let shared = shared(&[("ui", "sk-ui", Scope::Control)]);
        let damaged = StoredKey { hash: "zz".repeat(32), ..stored("a", "x", Scope::Admin) };
        let short = StoredKey { hash: "ab".into(), ..stored("b", "x", Scope::Admin) };
        shared.publish_stored(Ok(vec![damaged, short]));
        assert_eq!(shared.now().keys.len(), 1);
        let open = self::shared(&[]);
        open.publish_stored(Ok(vec![StoredKey { hash: String::new(), ..stored("a", "x", Scope::Admin) }]));
        assert_eq!(who(&open, local()), Err(401), "a damaged key is still a key");
        assert_eq!(from_hex(&to_hex(&hash_key(b"k"))), Some(hash_key(b"k")));
    }
}
