//! HTTPS to AWS: which certificates its endpoints may show.

use std::fmt;
use std::sync::Arc;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::config::Reader;
use crate::environment::{AWS_CA_BUNDLE, AWS_REGION};

/// The roots of Amazon Trust Services, which sign the certificates of AWS's endpoints.
///
/// `https://www.amazontrust.com/repository` advises whoever has a trust store of his own to have all five in it; the
/// certificates of the European Sovereign Cloud chain to them too.
const AMAZON_TRUST_SERVICES: &str = include_str!("../roots/amazon-trust-services.pem");

/// Regions whose endpoints somebody else may sign for: the China and the isolated partitions.
const OTHER_AUTHORITIES: [&str; 3] = ["cn-", "us-iso", "eu-iso"];

/// Roots of trust for HTTPS to AWS; chain and host name are always verified.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum HttpsRoots {
    /// Those of the operating system, as every SDK has it by default.
    #[default]
    System,
    /// Those of Amazon Trust Services, built in.
    Amazon,
    /// Those of a PEM file.
    Bundle(Arc<[u8]>),
}

/// Why a bundle of certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Not one certificate in it.
    #[error("no certificate found: a pem file with `-----BEGIN CERTIFICATE-----` is expected")]
    Empty,
    /// The PEM framing or base64 is broken.
    #[error("not valid pem")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// A certificate cannot serve as a root.
    #[error("a certificate cannot serve as a root of trust")]
    Root(#[source] rustls::Error),
}

impl HttpsRoots {
    /// What a function trusts: the bundle that `AWS_CA_BUNDLE` names, else Amazon's roots.
    ///
    /// A function calls AWS and nothing else. The system's roots are some hundred and fifty more authorities that could
    /// sign for Secrets Manager, and reading them was two thirds of the instructions of a start. They are taken in the
    /// partitions of which AWS does not say that its own authorities sign there.
    pub fn of_function(reader: &mut Reader<'_>) -> Self {
        let region = reader.optional(&AWS_REGION).unwrap_or_default();
        match reader.file(&AWS_CA_BUNDLE, Self::from_pem) {
            Some(bundle) => bundle,
            None if OTHER_AUTHORITIES.iter().any(|it| region.starts_with(it)) => Self::System,
            None => Self::Amazon,
        }
    }

    /// What a command trusts: the bundle that `AWS_CA_BUNDLE` names, else the system's roots, because a person's machine
    /// may be behind a proxy of his company's.
    pub fn of_command(reader: &mut Reader<'_>) -> Self {
        reader
            .file(&AWS_CA_BUNDLE, Self::from_pem)
            .unwrap_or_default()
    }

    /// Checks what the HTTP client would panic over, at its first connection.
    fn from_pem(pem: &[u8]) -> Result<Self, BundleError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(BundleError::Pem)?;
            roots.add(certificate).map_err(BundleError::Root)?;
        }
        if roots.is_empty() {
            return Err(BundleError::Empty);
        }
        Ok(Self::Bundle(pem.into()))
    }

    /// An HTTP client that trusts these roots, otherwise as the SDK makes its own; `None` where the SDK's own will do.
    pub(crate) fn client(&self) -> Option<SharedHttpClient> {
        let pem: &[u8] = match self {
            Self::System => return None,
            Self::Amazon => AMAZON_TRUST_SERVICES.as_bytes(),
            Self::Bundle(pem) => pem,
        };
        let trust = TlsContext::builder()
            .with_trust_store(TrustStore::empty().with_pem_certificate(pem))
            .build()
            // It cannot fail yet; should it, the SDK's own client is there.
            .ok()?;
        let connect = move |settings: Option<&_>, components: Option<&RuntimeComponents>| {
            let mut connector = ConnectorBuilder::default()
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .tls_context(trust.clone())
                .proxy_config(ProxyConfig::from_env());
            connector.set_connector_settings(settings.cloned());
            if let Some(components) = components {
                connector.set_sleep_impl(components.sleep_impl());
            }
            connector.build()
        };
        Some(Builder::new().build_with_connector_fn(connect))
    }
}

/// Shows which, not the certificates.
impl fmt::Debug for HttpsRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Amazon => "Amazon",
            Self::Bundle(_) => "Bundle",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::environment::Environment;

    #[track_caller]
    fn check<const N: usize>(variables: [(&str, &str); N], expected: &HttpsRoots) {
        let environment = Environment::from(variables);
        let mut reader = Reader::new(&environment);
        assert_eq!(HttpsRoots::of_function(&mut reader), *expected);
        assert!(reader.finish(()).is_ok());
    }

    #[test]
    fn a_function_trusts_amazon_where_amazon_signs() {
        check([], &HttpsRoots::Amazon);
        check([("AWS_REGION", "eusc-de-east-1")], &HttpsRoots::Amazon);
        check([("AWS_REGION", "us-gov-west-1")], &HttpsRoots::Amazon);
        check([("AWS_REGION", "cn-north-1")], &HttpsRoots::System);
        check([("AWS_REGION", "us-isob-east-1")], &HttpsRoots::System);
    }

    #[test]
    fn a_bundle_wins_and_must_hold_certificates() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(AMAZON_TRUST_SERVICES.as_bytes()).unwrap();
        let path = file.path().to_str().unwrap();
        let bundle = HttpsRoots::Bundle(AMAZON_TRUST_SERVICES.as_bytes().into());
        check(
            [("AWS_CA_BUNDLE", path), ("AWS_REGION", "cn-north-1")],
            &bundle,
        );

        let environment = Environment::from([("AWS_CA_BUNDLE", "/dev/null")]);
        let mut reader = Reader::new(&environment);
        HttpsRoots::of_command(&mut reader);
        insta::assert_snapshot!(reader.finish(()).unwrap_err(), @"the configuration has 1 problem(s): `AWS_CA_BUNDLE`: `/dev/null` cannot be used: no certificate found: a pem file with `-----BEGIN CERTIFICATE-----` is expected, accepted: the path of a readable PEM file");
    }

    #[test]
    fn the_built_in_roots_are_the_five_of_amazon_trust_services() {
        let count = AMAZON_TRUST_SERVICES.matches("-----BEGIN CERTIFICATE-----");
        assert_eq!(count.count(), 5);
        assert!(HttpsRoots::from_pem(AMAZON_TRUST_SERVICES.as_bytes()).is_ok());
        assert!(HttpsRoots::Amazon.client().is_some());
    }
}
