//! Turns the built-in roots from PEM into trust anchors that need no parsing when a program starts.
//!
//! Parsing the ninety certificates of the bundle was a fifth of the instructions of a function's start. The PEM file stays
//! the source, because a diff of it can be reviewed.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use webpki::anchor_from_trusted_cert;

const PEM: &str = "roots/amazon-rds.pem";

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script by its environment where to write"
)]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PEM}");
    let mut code = String::from("&[\n");
    for certificate in CertificateDer::pem_file_iter(PEM)? {
        let certificate = certificate?;
        let anchor = anchor_from_trusted_cert(&certificate)?;
        writeln!(
            code,
            "TrustAnchor {{ subject: Der::from_slice({}), subject_public_key_info: Der::from_slice({}), name_constraints: {} }},",
            literal(&anchor.subject),
            literal(&anchor.subject_public_key_info),
            anchor
                .name_constraints
                .map_or("None".to_owned(), |constraints| format!(
                    "Some(Der::from_slice({}))",
                    literal(&constraints)
                )),
        )?;
    }
    code.push(']');
    let folder = env::var("OUT_DIR")?;
    fs::write(Path::new(&folder).join("anchors.rs"), code)?;
    Ok(())
}

/// Bytes as a Rust byte string.
fn literal(bytes: &[u8]) -> String {
    format!("b\"{}\"", bytes.escape_ascii())
}
