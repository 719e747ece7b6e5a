//! Which `Host` a caller without a key may name, and which web pages may call.
//!
//! Why: a web page can point its own name at 127.0.0.1 (DNS rebinding) and then talk to HAIA as if it were that page's server. Such a
//! request comes from loopback, but its `Host` is the page's name. So without a key only names of this machine are answered. With a valid
//! key any `Host` is: the page does not have the key. And since browsers tell in `Origin` which page sends a request, a foreign origin
//! is refused with and without key.

use crate::config::is_loopback_host;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

/// The names of this machine.
#[derive(Debug)]
pub(crate) struct TrustedHosts {
    names: HashSet<String>,
}

impl TrustedHosts {
    /// The listen address, the machine's own name, and what the configuration adds.
    pub(crate) fn new(listen: SocketAddr, host_name: Option<&str>, allowed: &[String]) -> Self {
        let mut names: HashSet<String> = allowed.iter().map(|name| normal(name)).collect();
        if !listen.ip().is_unspecified() {
            names.insert(listen.ip().to_canonical().to_string());
        }
        names.extend(host_name.filter(|name| !name.is_empty()).map(normal));
        Self { names }
    }

    /// Whether `host`, as the header has it, is a name of this machine. Browsers always send one; a request without is not from them.
    pub(crate) fn trusts(&self, host: Option<&str>) -> bool {
        let Some(host) = host else { return true };
        let bare = bare_host(host);
        if is_loopback_host(bare) {
            return true;
        }
        let name = normal(bare);
        name.ends_with(".localhost") || self.names.contains(&name) || self.names.contains(&normal(host))
    }
}

/// Whether `host`, as the header has it, is an address: no page can make one of those its own.
pub(crate) fn is_address(host: &str) -> bool {
    bare_host(host).parse::<IpAddr>().is_ok()
}

/// The host without its port and brackets.
fn bare_host(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn normal(name: &str) -> String {
    match name.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => name.trim_end_matches('.').to_ascii_lowercase(),
    }
}

/// Whether `origin` is the page of this very server: its authority is what `Host` names.
pub(crate) fn same_origin(origin: &str, host: Option<&str>) -> bool {
    let Some((_, authority)) = origin.split_once("://") else { return false };
    host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
}

/// This machine's name, from the kernel.
pub fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty() && name != "(none)").then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> TrustedHosts {
        TrustedHosts::new(
            "192.168.1.5:8000".parse().expect("address"),
            Some("Tower"),
            &["haia.lan".to_owned(), "proxy.lan:8443".to_owned()],
        )
    }

    #[test]
    fn names_of_this_machine_are_trusted() {
        for host in [
            "localhost",
            "LOCALHOST:8000",
            "app.localhost:3000",
            "127.0.0.1",
            "127.0.0.1:8000",
            "127.1.2.3:1",
            "[::1]",
            "[::1]:8000",
            "[::ffff:127.0.0.1]:8000",
            "192.168.1.5:8000",
            "tower",
            "TOWER.:8000",
            "haia.lan",
            "haia.lan:9",
            "proxy.lan:8443",
        ] {
            assert!(hosts().trusts(Some(host)), "{host}");
        }
        assert!(hosts().trusts(None));
    }

    #[test]
    fn foreign_names_are_not() {
        for host in [
            "",
            "evil.example",
            "evil.example:8000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evillocalhost",
            "192.168.1.6",
            "proxy.lan",
            "[::2]",
            "tower.evil.example",
            "localhost:8000@evil.example",
        ] {
            assert!(!hosts().trusts(Some(host)), "{host}");
        }
    }

    #[test]
    fn the_same_origin_has_the_same_authority() {
        assert!(same_origin("http://localhost:8000", Some("LocalHost:8000")));
        assert!(!same_origin("http://localhost:8001", Some("localhost:8000")));
        assert!(!same_origin("null", Some("null")));
        assert!(!same_origin("http://a", None));
    }
}
