//! The certificate authorities that are trusted when `DB_CA_BUNDLE` names no others: those of Amazon RDS and RDS Proxy.
//!
//! `roots/PROVENANCE.md` says where they come from, which regions are missing, and how to refresh them.

use rustls::pki_types::{Der, TrustAnchor};

/// The roots of Amazon RDS, Aurora and RDS Proxy as PEM, with a comment line before each certificate.
pub(crate) const AMAZON_RDS_PEM: &str = include_str!("../roots/amazon-rds.pem");

/// The same roots, parsed when this crate was built.
pub(crate) static AMAZON_RDS: &[TrustAnchor<'static>] =
    include!(concat!(env!("OUT_DIR"), "/anchors.rs"));

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::{SystemTime, UNIX_EPOCH};

    use rustls::RootCertStore;
    use rustls::crypto::aws_lc_rs;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use x509_cert::Certificate;
    use x509_cert::der::{Decode, Encode};
    use x509_cert::ext::pkix::BasicConstraints;

    use super::*;

    /// How many certificates the file holds, so that one lost or slipped in by a refresh is seen in review.
    const COUNT: usize = 92;

    /// The comment before each certificate, `Amazon RDS us-east-1 Root CA RSA2048 G1, until 2061-05-25`, and its bytes.
    fn certificates() -> Vec<(&'static str, CertificateDer<'static>)> {
        let comments = AMAZON_RDS_PEM
            .lines()
            .zip(AMAZON_RDS_PEM.lines().skip(1))
            .filter(|(_, next)| next.starts_with("-----BEGIN"))
            .map(|(comment, _)| {
                comment
                    .strip_prefix("# ")
                    .unwrap_or_else(|| panic!("not a comment: {comment}"))
            });
        let bytes = CertificateDer::pem_slice_iter(AMAZON_RDS_PEM.as_bytes()).map(Result::unwrap);
        let all: Vec<_> = comments.zip(bytes).collect();
        assert_eq!(all.len(), COUNT);
        all
    }

    fn parse(bytes: &CertificateDer<'_>) -> Certificate {
        Certificate::from_der(bytes).unwrap()
    }

    #[test]
    fn every_certificate_becomes_a_trust_anchor_and_none_is_there_twice() {
        let mut store = RootCertStore::empty();
        let mut distinct = BTreeSet::new();
        for (comment, bytes) in certificates() {
            store
                .add(bytes.clone())
                .unwrap_or_else(|error| panic!("{comment}: {error}"));
            assert!(distinct.insert(bytes.to_vec()), "twice: {comment}");
        }
        assert_eq!(store.len(), COUNT);
        assert_eq!(
            store.roots, AMAZON_RDS,
            "what is built in is what the file says"
        );
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "whether a root has expired is a question about today"
    )]
    fn none_has_expired_and_each_comment_tells_the_truth() {
        let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        for (comment, bytes) in certificates() {
            let certificate = parse(&bytes).tbs_certificate;
            let until = certificate.validity.not_after;
            assert!(
                until.to_unix_duration() > today,
                "expired, run `make ca-bundle`: {comment}"
            );
            let (name, date) = comment.split_once(", until ").unwrap();
            assert!(
                certificate
                    .subject
                    .to_string()
                    .contains(&format!("CN={name},")),
                "{comment}: {}",
                certificate.subject
            );
            assert_eq!(
                until.to_date_time().to_string().split_once('T').unwrap().0,
                date,
                "{comment}"
            );
        }
    }

    #[test]
    fn each_is_an_authority_whose_own_key_signed_it() {
        for (comment, bytes) in certificates() {
            let certificate = parse(&bytes);
            let body = &certificate.tbs_certificate;
            assert_eq!(body.issuer, body.subject, "{comment}");
            let (_, constraints) = body.get::<BasicConstraints>().unwrap().unwrap();
            assert!(constraints.ca, "{comment}");
            assert!(signed_by_itself(&certificate), "{comment}");
        }
    }

    #[test]
    fn a_changed_certificate_is_not_signed_by_itself() {
        let mut certificate = parse(&certificates()[0].1);
        certificate.tbs_certificate.validity.not_after = x509_cert::time::Time::INFINITY;
        assert!(!signed_by_itself(&certificate));
    }

    /// A server's certificate may come from any of its region's three roots: a missing one would show only there and then.
    #[test]
    fn each_region_has_all_three_kinds_of_key() {
        let mut kinds = BTreeMap::<&str, BTreeSet<&str>>::new();
        for (comment, _) in certificates() {
            let Some(rest) = comment.strip_prefix("Amazon RDS ") else {
                continue;
            };
            let (region, rest) = rest.split_once(" Root CA ").unwrap();
            kinds
                .entry(region)
                .or_default()
                .insert(rest.split(' ').next().unwrap());
        }
        for (region, kinds) in kinds {
            let expected = BTreeSet::from(["ECC384", "RSA2048", "RSA4096"]);
            assert_eq!(kinds, expected, "{region}");
        }
    }

    /// Whether the signature verifies under the certificate's own key, tried with every algorithm TLS may use.
    fn signed_by_itself(certificate: &Certificate) -> bool {
        let body = certificate.tbs_certificate.to_der().unwrap();
        let key = certificate
            .tbs_certificate
            .subject_public_key_info
            .subject_public_key
            .raw_bytes();
        aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .all
            .iter()
            .any(|algorithm| {
                algorithm
                    .verify_signature(key, &body, certificate.signature.raw_bytes())
                    .is_ok()
            })
    }
}
