//! Which server certificates to trust.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Roots of trust for the database's certificate; chain and host name are always verified (what libpq
/// calls `verify-full`). Clones share one TLS configuration.
#[derive(Clone)]
pub struct Trust {
    connector: MakeRustlsConnect,
    roots: usize,
}

/// Why a bundle of certificates cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Not one certificate in it.
    #[error("no certificate found: a pem file with `-----BEGIN CERTIFICATE-----` is expected")]
    Empty,
    /// The PEM framing or base64 is broken.
    #[error("certificate {number} is not valid pem")]
    Pem {
        /// Position in the bundle, from 1.
        number: usize,
        /// The parser's reason.
        #[source]
        source: pem::Error,
    },
    /// A certificate cannot serve as a root.
    #[error("certificate {number} cannot serve as a root of trust")]
    Root {
        /// Position in the bundle, from 1.
        number: usize,
        /// The TLS library's reason.
        #[source]
        source: rustls::Error,
    },
    /// The TLS library cannot be configured.
    #[error("tls cannot be configured")]
    Configuration(#[source] rustls::Error),
}

impl Trust {
    /// The roots of Amazon RDS, built in.
    pub fn amazon_rds() -> Result<Self, TrustError> {
        Self::new(RootCertStore {
            roots: crate::roots::AMAZON_RDS.to_vec(),
        })
    }

    /// The built-in roots as PEM, for programs that take a file.
    pub const fn amazon_rds_pem() -> &'static str {
        crate::roots::AMAZON_RDS_PEM
    }

    /// The certificates of a PEM bundle; other PEM sections and text between are skipped.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TrustError> {
        let mut roots = RootCertStore::empty();
        for (certificate, number) in CertificateDer::pem_slice_iter(pem).zip(1..) {
            let certificate = certificate.map_err(|source| TrustError::Pem { number, source })?;
            roots
                .add(certificate)
                .map_err(|source| TrustError::Root { number, source })?;
        }
        if roots.is_empty() {
            return Err(TrustError::Empty);
        }
        Self::new(roots)
    }

    fn new(roots: RootCertStore) -> Result<Self, TrustError> {
        let count = roots.len();
        // Named and not the process-wide default, which panics once a second provider is linked.
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TrustError::Configuration)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            connector: MakeRustlsConnect::new(config),
            roots: count,
        })
    }

    /// How many roots there are.
    pub fn roots(&self) -> usize {
        self.roots
    }

    pub(crate) fn connector(&self) -> MakeRustlsConnect {
        self.connector.clone()
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("roots", &self.roots)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rustls::NamedGroup;

    use super::*;

    fn first_root() -> &'static str {
        let pem = Trust::amazon_rds_pem();
        let end = "-----END CERTIFICATE-----\n";
        &pem[..pem.find(end).unwrap() + end.len()]
    }

    #[track_caller]
    fn check_error(pem: &str, expected: &str) {
        assert_eq!(
            Trust::from_pem(pem.as_bytes()).unwrap_err().to_string(),
            expected
        );
    }

    #[test]
    fn the_built_in_roots_can_be_used() {
        assert!(Trust::amazon_rds().unwrap().roots() > 80);
    }

    /// A client sends a share of its first group only, so being in the list is not enough.
    #[test]
    fn the_hybrid_post_quantum_group_is_offered_first() {
        let groups = aws_lc_rs::default_provider().kx_groups;
        assert_eq!(groups[0].name(), NamedGroup::X25519MLKEM768);
    }

    #[test]
    fn text_and_other_sections_are_skipped() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let bundle = format!("# note\n{}{key}{}", first_root(), first_root());
        assert_eq!(Trust::from_pem(bundle.as_bytes()).unwrap().roots(), 2);
    }

    #[test]
    fn what_cannot_be_used_is_told_by_its_position() {
        const EMPTY: &str =
            "no certificate found: a pem file with `-----BEGIN CERTIFICATE-----` is expected";
        check_error("", EMPTY);
        check_error("not pem at all", EMPTY);
        let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        check_error(
            &format!("{}{broken}", first_root()),
            "certificate 2 is not valid pem",
        );
        let unusable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        check_error(unusable, "certificate 1 cannot serve as a root of trust");
        check_error(
            first_root().trim_end().trim_end_matches('-'),
            "certificate 1 is not valid pem",
        );
    }
}
