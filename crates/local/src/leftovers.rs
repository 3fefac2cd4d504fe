//! What a killed run leaves behind, and how the next run in the same checkout removes it.
//!
//! Children die with their owner by themselves (`process`). A data folder cannot; and where the kernel's signal is lost
//! (the owner died between fork and prctl), neither can a child. So each is noted in a file before it exists, with the
//! identity of its owner. A file whose owner lives is never touched: runs side by side do not disturb one another.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::process::{Identity, RunAs};
use crate::{Checkout, Error};

/// Only folders with this prefix, directly below the system's folder for temporary files, are ever removed.
const PREFIX: &str = "turnkeep-";

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    owner: Identity,
    process: Option<Identity>,
    folder: PathBuf,
}

/// A temporary folder of a server, and the note that outlives us if we are killed.
#[derive(Debug)]
pub(crate) struct Workplace {
    folder: Option<TempDir>,
    note: PathBuf,
    owner: Identity,
}

impl Workplace {
    /// Makes a folder that belongs to `run_as`, after removing what dead owners left.
    pub(crate) fn new(checkout: &Checkout, name: &str, run_as: RunAs) -> Result<Self, Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let notes = notes_folder(checkout);
        fs::create_dir_all(&notes).map_err(Error::io(format!("create {}", notes.display())))?;
        sweep(&notes);
        let owner = Identity::ours().ok_or_else(|| Error::Missing {
            what: "/proc cannot be read".to_owned(),
            remedy: "the local stack needs Linux with /proc mounted".to_owned(),
        })?;
        let folder = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{name}-"))
            .tempdir()
            .map_err(Error::io("create a temporary folder"))?;
        let note = notes.join(format!(
            "{}-{}.json",
            owner.pid,
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        let workplace = Self {
            folder: Some(folder),
            note,
            owner,
        };
        workplace.write(None)?;
        run_as.own(workplace.path())?;
        Ok(workplace)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder
            .as_ref()
            .map_or(Path::new("/nonexistent"), TempDir::path)
    }

    /// Notes the process that works here.
    pub(crate) fn process(&self, pid: u32) -> Result<(), Error> {
        self.write(i32::try_from(pid).ok().and_then(Identity::of))
    }

    fn write(&self, process: Option<Identity>) -> Result<(), Error> {
        let note = Note {
            owner: self.owner,
            process,
            folder: self.path().to_owned(),
        };
        let text = serde_json::to_vec(&note).unwrap_or_default();
        write_whole(&self.note, &text)
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take() {
            let _ = folder.close();
        }
        let _ = fs::remove_file(&self.note);
    }
}

/// Replaces a file in one step, so that a reader never sees half of it; readable by us only.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    let doing = || format!("write {}", path.display());
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(Error::io(doing()))?;
    std::io::Write::write_all(&mut file, content).map_err(Error::io(doing()))?;
    file.persist(path).map_err(|refused| Error::Io {
        doing: doing(),
        source: refused.error,
    })?;
    Ok(())
}

/// Removes what killed runs of this checkout left behind.
pub(crate) fn sweep_checkout(checkout: &Checkout) {
    sweep(&notes_folder(checkout));
}

fn notes_folder(checkout: &Checkout) -> PathBuf {
    checkout.run().join("notes")
}

fn sweep(notes: &Path) {
    for entry in fs::read_dir(notes).into_iter().flatten().flatten() {
        let path = entry.path();
        // Another run may sweep at the same moment: each of these steps may find its work done.
        let Some(note) = fs::read(&path)
            .ok()
            .and_then(|text| serde_json::from_slice::<Note>(&text).ok())
        else {
            continue;
        };
        if note.owner.is_alive() {
            continue;
        }
        if let Some(process) = note.process {
            process.signal(Signal::KILL);
            let _ = process.ended(Duration::from_secs(5));
        }
        if is_ours(&note.folder) {
            let _ = fs::remove_dir_all(&note.folder);
        }
        let _ = fs::remove_file(&path);
    }
}

fn is_ours(folder: &Path) -> bool {
    folder.parent() == Some(std::env::temp_dir().as_path())
        && folder
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_owners_folder_is_removed_and_a_living_ones_is_not() {
        let root = tempfile::tempdir().expect("a folder");
        let checkout = Checkout::at(root.path());
        let left = Workplace::new(&checkout, "test", RunAs::Ourselves).expect("a workplace");
        let living = Workplace::new(&checkout, "test", RunAs::Ourselves).expect("a workplace");
        assert!(left.path().exists(), "its owner lives");
        let owner = serde_json::from_str(r#"{"pid":1,"start_time":1}"#).expect("an identity");
        let note = Note {
            owner,
            process: None,
            folder: left.path().to_owned(),
        };
        fs::write(&left.note, serde_json::to_vec(&note).expect("json")).expect("a note");
        sweep_checkout(&checkout);
        assert!(!left.path().exists(), "its owner is dead");
        assert!(!left.note.exists());
        assert!(living.path().exists());
    }

    #[test]
    fn nothing_but_our_own_temporary_folders_is_ever_removed() {
        assert!(is_ours(&std::env::temp_dir().join("turnkeep-postgres-x")));
        assert!(!is_ours(&std::env::temp_dir().join("other")));
        assert!(!is_ours(Path::new("/home/turnkeep-x")));
    }
}
