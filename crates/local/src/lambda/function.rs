//! What a function is: its program and its configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::stack::{ACCOUNT, REGION};

/// What runs when a function is invoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Program {
    /// A release binary, started as AWS starts `bootstrap`.
    Binary(PathBuf),
    /// The function of that name in a `cargo lambda watch` that runs elsewhere.
    Watch(SocketAddr),
}

/// The definition of a function, as a template would give it.
#[derive(Debug, Clone)]
pub struct Function {
    pub(crate) name: String,
    pub(crate) program: Program,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) timeout: Duration,
    pub(crate) init_timeout: Duration,
    pub(crate) memory: u32,
    pub(crate) concurrency: usize,
}

impl Function {
    /// A function that runs a release binary: 30 s, 256 MB and up to ten environments.
    pub fn binary(name: &str, program: impl Into<PathBuf>) -> Self {
        Self::new(name, Program::Binary(program.into()))
    }

    /// A function that runs in `cargo lambda watch` at `address`: invocations are handed on, so that a rotation can call
    /// code that is being edited. It gets its environment variables there.
    pub fn watched(name: &str, address: SocketAddr) -> Self {
        Self::new(name, Program::Watch(address))
    }

    fn new(name: &str, program: Program) -> Self {
        Self {
            name: name.to_owned(),
            program,
            variables: BTreeMap::new(),
            timeout: Duration::from_secs(30),
            // What AWS gives a function that is started on demand.
            init_timeout: Duration::from_secs(10),
            memory: 256,
            concurrency: 10,
        }
    }

    /// The same function by another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Sets environment variables.
    #[must_use]
    pub fn variables<K: Into<String>, V: Into<String>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.variables.extend(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        self
    }

    /// Sets how long an invocation may take, from its delivery to the answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long an environment may take from its start to its first question for work.
    #[must_use]
    pub fn init_timeout(mut self, timeout: Duration) -> Self {
        self.init_timeout = timeout;
        self
    }

    /// Sets the memory in MB that the function is told about; nothing limits it.
    #[must_use]
    pub fn memory(mut self, megabytes: u32) -> Self {
        self.memory = megabytes;
        self
    }

    /// Sets how many environments there may be at once; an invocation beyond them is throttled.
    #[must_use]
    pub fn concurrency(mut self, environments: usize) -> Self {
        self.concurrency = environments;
        self
    }

    /// The program's path, for a function that runs a binary.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.program {
            Program::Binary(path) => Some(path),
            Program::Watch(_) => None,
        }
    }

    /// The access key that it signs with: its program's name, so that the gateway's record tells who made a call.
    pub(crate) fn access_key(&self) -> &str {
        let program = self.path().and_then(Path::file_name);
        program
            .and_then(std::ffi::OsStr::to_str)
            .unwrap_or(&self.name)
    }

    /// When the program was built: an environment of an older one must not answer for it.
    pub(crate) fn built(&self) -> Option<SystemTime> {
        self.path()?
            .metadata()
            .and_then(|file| file.modified())
            .ok()
    }

    /// The variables that AWS reserves (Lambda developer guide, "Defined runtime environment variables").
    pub(crate) fn reserved(
        &self,
        stream: &str,
        runtime_api: SocketAddr,
    ) -> Vec<(&'static str, String)> {
        vec![
            ("_HANDLER", "bootstrap".to_owned()),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", self.memory.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", self.name.clone()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", log_group(&self.name)),
            ("AWS_LAMBDA_LOG_STREAM_NAME", stream.to_owned()),
            ("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string()),
            ("LANG", "en_US.UTF-8".to_owned()),
            ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("TZ", ":UTC".to_owned()),
        ]
    }
}

/// The log group that Lambda writes a function's lines to.
pub(crate) fn log_group(name: &str) -> String {
    format!("/aws/lambda/{name}")
}

/// The function's ARN.
pub(crate) fn arn(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")
}

/// The name in a name, a partial or a full ARN, with or without a version or alias.
pub(crate) fn name_of(reference: &str) -> &str {
    let behind = reference
        .split_once("function:")
        .map_or(reference, |(_, name)| name);
    behind.split_once(':').map_or(behind, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_found_by_name_and_by_every_form_of_arn() {
        for reference in [
            "secret-rotation",
            "secret-rotation:live",
            "000000000000:function:secret-rotation",
            "arn:aws:lambda:us-east-1:000000000000:function:secret-rotation",
            "arn:aws:lambda:us-east-1:000000000000:function:secret-rotation:$LATEST",
        ] {
            assert_eq!(name_of(reference), "secret-rotation", "{reference}");
        }
    }
}
