//! What functions write, line by line with the time, as CloudWatch Logs would keep it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Error;
use crate::clock::now;
use crate::lock::lock;

/// One line.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// When it was read.
    pub at: OffsetDateTime,
    /// The log stream, one for each environment.
    pub stream: String,
    /// The line without its end.
    pub text: String,
}

/// A function's lines, in memory and in a file.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    lines: Mutex<(Vec<LogLine>, File)>,
}

impl Log {
    pub(crate) fn create(path: PathBuf) -> Result<Self, Error> {
        let file = File::options().create(true).append(true).open(&path);
        let file = file.map_err(Error::io(format!("open {}", path.display())))?;
        Ok(Self {
            path,
            lines: Mutex::new((Vec::new(), file)),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn push(&self, stream: &str, text: &str) {
        let line = LogLine {
            at: now(),
            stream: stream.to_owned(),
            text: text.to_owned(),
        };
        let mut held = lock(&self.lines);
        let (lines, file) = &mut *held;
        // A full disk must not end the stack; the line is still in memory.
        let _ = writeln!(
            file,
            "{} {} {}",
            line.at.format(&Rfc3339).unwrap_or_default(),
            short(stream),
            text
        );
        lines.push(line);
    }

    pub(crate) fn lines(&self) -> Vec<LogLine> {
        lock(&self.lines).0.clone()
    }

    /// The end of one environment's lines since its last `START`, at most 4 KB: what `LogType=Tail` asks for.
    pub(crate) fn tail(&self, stream: &str) -> String {
        const LIMIT: usize = 4096;
        let held = lock(&self.lines);
        let mut own: Vec<&str> = Vec::new();
        for line in held.0.iter().rev().filter(|line| line.stream == stream) {
            own.push(&line.text);
            if line.text.starts_with("START RequestId: ") {
                break;
            }
        }
        own.reverse();
        let text = own.join("\n") + "\n";
        let mut begin = text.len().saturating_sub(LIMIT);
        while !text.is_char_boundary(begin) {
            begin += 1;
        }
        text.get(begin..).unwrap_or_default().to_owned()
    }
}

/// The part of a stream's name that tells environments apart.
fn short(stream: &str) -> &str {
    stream
        .rsplit_once(']')
        .and_then(|(_, id)| id.get(..8))
        .unwrap_or(stream)
}
