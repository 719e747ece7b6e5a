//! The self-signed certificate that all nodes of a simulated cluster show. It is made at start and never written anywhere.

use crate::error::SimError;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;

/// A server's TLS configuration, with the certificate's fingerprint as Proxmox VE shows it.
pub(crate) struct Identity {
    pub(crate) tls: Arc<ServerConfig>,
    /// SHA-256 of the certificate: pairs of capitals with colons.
    pub(crate) fingerprint: String,
    /// The certificate as a CA file.
    pub(crate) pem: String,
}

impl Identity {
    /// For loopback and these host names.
    pub(crate) fn new(names: &[String]) -> Result<Self, SimError> {
        let failed = |error: &dyn std::fmt::Display| SimError::Certificate(error.to_string());
        let mut subjects = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        subjects.extend(names.iter().cloned());
        let made = rcgen::generate_simple_self_signed(subjects).map_err(|error| failed(&error))?;
        let certificate = CertificateDer::from(made.cert.der().to_vec());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let fingerprint = fingerprint(&certificate);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .map_err(|error| failed(&error))?;
        Ok(Self { tls: Arc::new(tls), fingerprint, pem: made.cert.pem() })
    }
}

fn fingerprint(certificate: &[u8]) -> String {
    let mut text = String::with_capacity(95);
    for (at, byte) in Sha256::digest(certificate).iter().enumerate() {
        let separator = if at == 0 { "" } else { ":" };
        // Writing into a string cannot fail.
        let _ = write!(text, "{separator}{byte:02X}");
    }
    text
}
