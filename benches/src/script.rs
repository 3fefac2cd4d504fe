//! What `conversation-capture` sent to S3 and PostgreSQL, for `floor` to send again.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The whole of a run, invocation by invocation.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Script {
    /// The text of the one statement.
    pub sql: String,
    /// The OIDs of its parameters' types (`pg_type.oid`).
    pub types: Vec<u32>,
    /// What each invocation sends.
    pub invocations: Vec<Invocation>,
}

/// What `floor` is told: where the database is, and what to send.
#[derive(Debug, Serialize, Deserialize)]
pub struct Setting {
    /// The script; without one it connects and can answer nothing.
    pub script: Option<PathBuf>,
    /// The bucket to put objects into.
    pub bucket: String,
    /// Host name of the database.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// Name of the database.
    pub dbname: String,
    /// The role that logs in.
    pub username: String,
    /// Its password: one of a database that is thrown away after the run.
    pub password: String,
    /// The certificate authority to trust, PEM.
    pub ca_file: PathBuf,
}

/// What one invocation sends.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Invocation {
    /// The objects that are put, in the order of their keys.
    pub objects: Vec<Object>,
    /// The parameters of the statement in PostgreSQL's binary format; `None` is NULL.
    pub parameters: Vec<Option<Bytes>>,
}

/// An object that is put.
#[derive(Debug, Serialize, Deserialize)]
pub struct Object {
    /// The key, decoded.
    pub key: String,
    /// `Content-Type`.
    pub content_type: String,
    /// SHA-256 of the body, base64.
    pub checksum_sha256: String,
    /// The body.
    pub body: Bytes,
}

/// Bytes that are base64 in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text);
        bytes.map(Self).map_err(serde::de::Error::custom)
    }
}

impl Script {
    /// Reads a script from its file.
    ///
    /// # Errors
    /// If the file cannot be read or is no script.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        serde_json::from_reader(BufReader::new(file))
            .with_context(|| format!("read the script {}", path.display()))
    }

    /// Writes the script to a file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        serde_json::to_writer(BufWriter::new(file), self)
            .with_context(|| format!("write the script {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_the_file() {
        let bytes = Bytes(vec![0, 255, 10, b'"']);
        let text = serde_json::to_string(&bytes).unwrap();
        assert_eq!(serde_json::from_str::<Bytes>(&text).unwrap(), bytes);
    }
}
