//! Which operations have been called: names only, never what they carried.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

use crate::lock::lock;
use crate::stack::{CAPTURE, ROTATION};

/// One call of the AWS API.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// The access key that signed it: of a function, its program's name.
    pub access_key: String,
    /// Such as `S3` or `SecretsManager`.
    pub service: String,
    /// Such as `PutObject`.
    pub operation: String,
    /// The first folder of the key, for an object of S3.
    pub folder: Option<String>,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The exception's name, as far as it is ours; `Unhandled` for a function's error.
    pub error: Option<String>,
    /// When it arrived.
    #[serde(with = "time::serde::rfc3339")]
    pub started: OffsetDateTime,
    /// How long the answer took, to the begin of its body.
    #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
    pub elapsed: Duration,
}

fn milliseconds<S: serde::Serializer>(
    elapsed: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(elapsed.as_secs_f64() * 1000.0)
}

impl Call {
    /// Who calls what, as policies name it, if it is one of our functions: those of a run are held against the template's.
    fn of_function(&self) -> Option<String> {
        let Self {
            access_key,
            operation,
            ..
        } = self;
        let service = self.service.to_lowercase();
        let folder = self.folder.as_ref().map(|folder| format!(" {folder}"));
        [CAPTURE, ROTATION].contains(&access_key.as_str()).then(|| {
            let folder = folder.unwrap_or_default();
            format!("{access_key} {service}:{operation}{folder}\n")
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct Record {
    calls: Mutex<Vec<Call>>,
    file: Option<PathBuf>,
    /// The lines that have been added to the file.
    noted: Mutex<BTreeSet<String>>,
}

impl Record {
    /// With a file, the different calls of our functions are added to it, which those of other processes may do, too.
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self {
            file,
            ..Self::default()
        }
    }

    pub(super) fn add(&self, call: Call) {
        if let (Some(file), Some(line)) = (&self.file, call.of_function()) {
            self.note(file, line);
        }
        lock(&self.calls).push(call);
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        lock(&self.calls).clone()
    }

    pub(super) fn clear(&self) {
        lock(&self.calls).clear();
    }

    fn note(&self, file: &Path, line: String) {
        let mut noted = lock(&self.noted);
        if noted.contains(&line) {
            return;
        }
        let added = OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)
            // One write, so that lines of several processes do not mix.
            .and_then(|mut file| file.write_all(line.as_bytes()));
        // A line that could not be added is missed by whoever holds the file against the policies.
        if added.is_ok() {
            noted.insert(line);
        }
    }
}
