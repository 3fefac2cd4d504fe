//! The commands that the demonstration runs, printed as a person would type them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

use super::SECRET;
use crate::postgres::Database;
use crate::{Checkout, Stack};

/// A shell with the environment that `make up` prints.
pub(super) struct Shell {
    checkout: PathBuf,
    turnkeep: PathBuf,
    cargo_lambda: PathBuf,
    environment: BTreeMap<String, String>,
    invoke_port: u16,
}

impl Shell {
    pub(super) fn new(
        checkout: &Checkout,
        stack: &Stack,
        database: &Database,
        bucket: &str,
    ) -> Self {
        let mut environment = stack.environment();
        for (name, value) in [
            ("TURNKEEP_SECRET", SECRET.to_owned()),
            ("CONVERSATIONS_BUCKET", bucket.to_owned()),
            (
                "DB_CA_BUNDLE",
                database.server.ca_file.display().to_string(),
            ),
        ] {
            environment.insert(name.to_owned(), value);
        }
        Self {
            checkout: checkout.root().to_owned(),
            turnkeep: stack.function_directory().join("turnkeep"),
            cargo_lambda: checkout.tools().join("bin/cargo-lambda"),
            environment,
            invoke_port: stack.gateway().address().port(),
        }
    }

    /// Runs `turnkeep` with its output on the terminal.
    pub(super) async fn turnkeep(&self, arguments: &[&str]) -> Result<()> {
        println!("$ turnkeep {}", arguments.join(" "));
        // Killed with the demonstration: it would wait ten minutes for the end of a rotation that nobody drives any more.
        let status = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.turnkeep)
            .args(arguments)
            .envs(&self.environment)
            .kill_on_drop(true)
            .status()
            .await
            .with_context(|| {
                format!(
                    "cannot run {}; `make build` makes it",
                    self.turnkeep.display()
                )
            })?;
        ensure!(
            status.success(),
            "`turnkeep {}` ended with {status}",
            arguments.join(" ")
        );
        println!();
        Ok(())
    }

    /// Sends an event file of the checkout and prints command and reply.
    pub(super) async fn invoke(&self, function: &str, file: &str) -> Result<Value> {
        println!("$ cargo lambda invoke {function} --data-file {file}");
        let reply = self
            .invoke_quietly(function, &self.checkout.join(file))
            .await?;
        println!("{reply}");
        Ok(reply)
    }

    /// Sends an event file.
    pub(super) async fn invoke_quietly(&self, function: &str, file: &Path) -> Result<Value> {
        let output = Command::new(&self.cargo_lambda)
            .args([
                "lambda",
                "invoke",
                "--invoke-address",
                "127.0.0.1",
                "--invoke-port",
            ])
            .arg(self.invoke_port.to_string())
            .arg(function)
            .arg("--data-file")
            .arg(file)
            .current_dir(&self.checkout)
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| {
                format!(
                    "cannot run {}; `make tools` installs it",
                    self.cargo_lambda.display()
                )
            })?;
        ensure!(
            output.status.success(),
            "`cargo lambda invoke {function} --data-file {}` ended with {}: {}{}",
            file.display(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("the reply to {} is not JSON", file.display()))
    }
}
