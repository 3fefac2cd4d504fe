//! Where things lie in the checkout.

use std::env;
use std::path::{Path, PathBuf};

use crate::Error;

/// A checkout of this repository: everything the local stack needs or keeps lies below it or in the system's folder for
/// temporary files, so that two checkouts do not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// The checkout that the current directory is in.
    pub fn find() -> Result<Self, Error> {
        let here = env::current_dir().map_err(Error::io("read the current directory"))?;
        here.ancestors()
            .find(|folder| folder.join("crates/local/Cargo.toml").is_file())
            .map(Self::at)
            .ok_or_else(|| Error::Missing {
                what: format!(
                    "no checkout of turnkeep holds the current directory: {}",
                    here.display()
                ),
                remedy: "run it from inside the checkout".to_owned(),
            })
    }

    /// The checkout at `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Its top folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The private environment with the pinned tools (`make tools` fills it).
    pub fn tools(&self) -> PathBuf {
        self.root.join(".turnkeep/tools")
    }

    /// What running stacks note down: who runs, and what to clean up after them.
    pub fn run(&self) -> PathBuf {
        self.root.join(".turnkeep/run")
    }

    /// Where cargo puts the release binaries by default.
    pub fn release_binaries(&self) -> PathBuf {
        self.root.join("target/release")
    }
}
