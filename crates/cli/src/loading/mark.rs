//! The place that a verb has reached, in a file: to lose it costs time and nothing else.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::failure::{Exit, Failure};

/// The file, if one is to be kept.
pub(crate) struct Mark {
    path: Option<PathBuf>,
    written: Written,
}

/// What it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    /// What was to be done: verb, bucket and scope.
    task: String,
    /// Which part of it, where it has several.
    part: String,
    /// Up to where that is done.
    after: Vec<String>,
}

impl Mark {
    /// Opens the file at `path`, if there is to be one; what it holds must be of the same task.
    pub(crate) fn open(path: Option<&PathBuf>, task: String) -> Result<Self, Failure> {
        let mut mark = Self {
            path: path.cloned(),
            written: Written {
                task,
                ..Written::default()
            },
        };
        let Some(path) = path else {
            return Ok(mark);
        };
        let unusable = |why: String| {
            Failure::new(
                Exit::Usage,
                "Resume",
                format!("cannot go on from {}: {why}", path.display()),
            )
            .next("name another file with --resume, or remove it to begin anew")
        };
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(mark),
            Err(error) => return Err(unusable(startup::report::chain(&error))),
        };
        let written: Written = serde_json::from_slice(&text)
            .map_err(|_| unusable("it was not written by this verb".to_owned()))?;
        if written.task != mark.written.task {
            return Err(unusable(format!(
                "it belongs to another task: {}",
                written.task
            )));
        }
        mark.written = written;
        Ok(mark)
    }

    /// Which part was under way, and up to where it was done.
    pub(crate) fn place(&self) -> (&str, &[String]) {
        (&self.written.part, &self.written.after)
    }

    /// Keeps a place, if it is another one.
    pub(crate) fn keep(&mut self, part: &str, after: &[&str]) -> Result<(), Failure> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let written = Written {
            task: self.written.task.clone(),
            part: part.to_owned(),
            after: after.iter().map(|&text| text.to_owned()).collect(),
        };
        if written == self.written {
            return Ok(());
        }
        let mut beside = path.clone().into_os_string();
        beside.push(".new");
        let text = serde_json::to_string(&written).map_err(std::io::Error::from)?;
        // A file that is half written would be of no use.
        fs::write(&beside, text)?;
        fs::rename(&beside, path)?;
        self.written = written;
        Ok(())
    }

    /// Removes the file: all is done.
    pub(crate) fn remove(self) -> Result<(), Failure> {
        match self.path.map(fs::remove_file) {
            Some(Err(error)) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again_by_the_same_task_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let open = |task: &str| Mark::open(Some(&path), task.to_owned());
        let mut mark = open("replay b").unwrap();
        assert_eq!(mark.place(), ("", [].as_slice()));
        mark.keep("objects", &["a", "b"]).unwrap();
        assert_eq!(
            open("replay b").unwrap().place(),
            ("objects", ["a".to_owned(), "b".to_owned()].as_slice())
        );
        let refused = open("replay c").err().unwrap();
        assert_eq!((refused.exit(), refused.code()), (Exit::Usage, "Resume"));
        mark.remove().unwrap();
        assert!(!path.exists());
        fs::write(&path, "half").unwrap();
        assert!(open("replay b").is_err());
    }
}
