//! A certificate authority and a server certificate, made anew for every PostgreSQL.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256,
};

use crate::Error;

/// PEM texts: who is to be trusted, and what the server shows.
pub(crate) struct Certificates {
    pub(crate) authority: String,
    pub(crate) server: String,
    pub(crate) server_key: String,
}

impl Certificates {
    /// Makes an authority and a server certificate for `names` (DNS names or addresses), RSA of 2048 bits, as RDS signs by default
    /// (`rds-ca-rsa2048-g1`).
    pub(crate) fn generate(names: &[&str]) -> Result<Self, Error> {
        Self::try_generate(names).map_err(|refused| Error::Api {
            doing: "make the server's certificate".to_owned(),
            reason: refused.to_string(),
        })
    }

    fn try_generate(names: &[&str]) -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name.push(
            DnType::CommonName,
            "Turnkeep local root, worth nothing elsewhere",
        );
        let authority_key = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
        let authority_certificate = authority.self_signed(&authority_key)?;

        let mut server = CertificateParams::new(
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        )?;
        server.distinguished_name.push(
            DnType::CommonName,
            names.first().copied().unwrap_or_default(),
        );
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let server_key = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
        let server_certificate =
            server.signed_by(&server_key, &Issuer::new(authority, authority_key))?;

        Ok(Self {
            authority: authority_certificate.pem(),
            server: server_certificate.pem(),
            server_key: server_key.serialize_pem(),
        })
    }
}
