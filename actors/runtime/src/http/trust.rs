//! Which server to trust: by the system's authorities, by one's own, by the fingerprint of its certificate, or blindly if told so.
//!
//! Whatever decides on the certificate, the server must always prove that it holds the certificate's key.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Whom to trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The authorities that the system trusts.
    System,
    /// The authorities in this PEM text, and no others.
    Authorities(Vec<u8>),
    /// Servers whose certificate has one of these SHA-256 fingerprints, whatever its name, age and issuer.
    Fingerprints(Vec<[u8; 32]>),
    /// Anybody. Only where the user wrote so.
    Anyone,
}

/// Why the authorities cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TrustError(String);

/// A certificate that a server showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its SHA-256 fingerprint.
    pub fingerprint: [u8; 32],
    /// Whether it was trusted.
    pub is_trusted: bool,
}

/// The certificate that the server showed when it was last connected to.
#[derive(Clone, Debug, Default)]
pub struct Presented(Arc<Mutex<Option<Seen>>>);

impl Presented {
    /// The certificate; `None` when the last connection did not get so far.
    pub fn get(&self) -> Option<Seen> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, seen: Option<Seen>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

/// A fingerprint as people write it: `AB:CD:…`.
pub fn fingerprint_text(fingerprint: &[u8; 32]) -> String {
    let mut text = String::with_capacity(95);
    for (at, byte) in fingerprint.iter().enumerate() {
        let colon = if at == 0 { "" } else { ":" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{colon}{byte:02X}");
    }
    text
}

/// Reads a fingerprint: 64 hexadecimal digits, with or without colons or spaces between them.
pub fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !matches!(c, ':' | ' ' | '-'))
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    bytes.try_into().ok().filter(|_| digits.len() == 64)
}

/// A TLS configuration after `trust`, and where it notes what the server showed.
///
/// # Errors
/// The authorities are no PEM certificates, or TLS is not available.
pub(super) fn tls_config(trust: &Trust, presented: &Presented) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let by_authorities = |roots: RootCertStore| {
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map(Judge::Authorities)
            .map_err(|error| TrustError(format!("the certificate authorities cannot be used: {error}")))
    };
    let judge = match trust {
        Trust::System => by_authorities(super::roots())?,
        Trust::Authorities(pem) => by_authorities(read_authorities(pem)?)?,
        Trust::Fingerprints(fingerprints) => Judge::Fingerprints(fingerprints.clone()),
        Trust::Anyone => Judge::Anyone,
    };
    let verifier = Verifier { judge, provider: Arc::clone(&provider), presented: presented.clone() };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError(format!("TLS is not available: {error}")))?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read_authorities(pem: &[u8]) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| TrustError(format!("it is no PEM file: {error:?}")))?;
        roots
            .add(certificate)
            .map_err(|error| TrustError(format!("it holds a certificate that cannot be used: {error}")))?;
    }
    if roots.is_empty() {
        return Err(TrustError("it holds no certificate (-----BEGIN CERTIFICATE-----)".to_owned()));
    }
    Ok(roots)
}

#[derive(Debug)]
enum Judge {
    Authorities(Arc<WebPkiServerVerifier>),
    Fingerprints(Vec<[u8; 32]>),
    Anyone,
}

#[derive(Debug)]
struct Verifier {
    judge: Judge,
    provider: Arc<CryptoProvider>,
    presented: Presented,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let fingerprint: [u8; 32] = Sha256::digest(end_entity.as_ref()).into();
        let verdict = match &self.judge {
            Judge::Authorities(verifier) => {
                verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            Judge::Fingerprints(known) if known.contains(&fingerprint) => Ok(ServerCertVerified::assertion()),
            Judge::Fingerprints(_) => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
            Judge::Anyone => Ok(ServerCertVerified::assertion()),
        };
        self.presented.set(Some(Seen { fingerprint, is_trusted: verdict.is_ok() }));
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_people_write_them() {
        let bytes: [u8; 32] = std::array::from_fn(|at| at as u8 * 7);
        let text = fingerprint_text(&bytes);
        assert!(text.starts_with("00:07:0E:"), "{text}");
        for form in [text.clone(), text.to_lowercase(), text.replace(':', ""), text.replace(':', " ")] {
            assert_eq!(parse_fingerprint(&form), Some(bytes), "{form}");
        }
        for odd in ["", "AB:CD", &text[3..], &format!("{text}:00"), &text.replace("07", "0G"), &text[1..]] {
            assert_eq!(parse_fingerprint(odd), None, "{odd}");
        }
    }

    #[test]
    fn authorities_that_are_none_are_told() {
        for (pem, said) in [
            ("", "no certificate"),
            ("hello", "no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be used"),
        ] {
            let error = read_authorities(pem.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(said), "{pem}: {error}");
        }
    }
}
