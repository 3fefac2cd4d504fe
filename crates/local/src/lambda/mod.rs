//! Lambda on loopback: release binaries run as AWS runs them, behind the Runtime API and the Invoke API.
//!
//! A function has a pool of environments; each is a process of its binary with a clean environment and a Runtime API of
//! its own, handles one request at a time, is started when an invocation finds none idle, and is used again. What AWS
//! does to an environment happens here too: it is killed at the deadline, and its end under an invocation is the caller's
//! `Runtime.ExitError`. Not modelled: freezing between invocations, limits on memory and CPU. A cold start here is the
//! start of a process and must never be shown as AWS's.

mod environment;
mod function;
mod invocation;
pub(crate) mod invoke_api;
mod log;
mod pool;
mod runtime_api;
mod watched;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use crate::Error;
use crate::background;
use crate::lock::lock;
use crate::wait::{self, TimedOut};
pub use function::Function;
pub(crate) use function::log_group;
use function::{Program, name_of};
pub use invocation::{InvokeError, Invoked};
use invocation::{PAYLOAD_LIMIT, Work};
use log::Log;
pub use log::LogLine;
use pool::Pool;

/// How often Lambda tries an asynchronous invocation that fails.
const ASYNCHRONOUS_ATTEMPTS: usize = 3;

/// Between these attempts; AWS waits minutes.
const ASYNCHRONOUS_PAUSE: Duration = Duration::from_millis(200);

/// How long the end of a killed process, and of its pipes, may take on a busy machine.
const END: Duration = Duration::from_secs(30);

/// The functions of one stack; clones are the same ones. Every environment ends with the stack.
#[derive(Clone)]
pub struct Functions {
    shared: Arc<Shared>,
}

struct Shared {
    log_directory: PathBuf,
    base: OnceLock<BTreeMap<String, String>>,
    pools: Mutex<BTreeMap<String, Arc<Pool>>>,
}

/// An execution environment.
#[derive(Debug, Clone, Serialize)]
pub struct EnvironmentState {
    /// Its log stream, which is also its name.
    pub stream: String,
    /// The process; `None` before it is started.
    pub pid: Option<i32>,
    /// Whether it handles an invocation, or starts for one.
    pub busy: bool,
    /// How many it has been given.
    pub invocations: u64,
}

impl Functions {
    pub(crate) fn new(log_directory: PathBuf) -> Self {
        Self {
            shared: Arc::new(Shared {
                log_directory,
                base: OnceLock::new(),
                pools: Mutex::default(),
            }),
        }
    }

    /// Sets the variables that every function defined from now on has besides its own.
    pub(crate) fn set_base(&self, variables: BTreeMap<String, String>) {
        // Once, when the gateway's address is known.
        let _ = self.shared.base.set(variables);
    }

    /// Defines a function, or replaces its definition: its environments then end when they are idle.
    pub fn define(&self, function: Function) -> Result<(), Error> {
        let mut pools = lock(&self.shared.pools);
        if let Some(pool) = pools.get(&function.name) {
            pool.redefine(function);
            return Ok(());
        }
        let name = function.name.clone();
        let log = Log::create(self.shared.log_directory.join(format!("{name}.log")))?;
        let base = self.shared.base.get().cloned().unwrap_or_default();
        pools.insert(name, Arc::new(Pool::new(function, base, log)));
        Ok(())
    }

    /// The definition of a function, to change and define again.
    pub fn definition(&self, name: &str) -> Option<Function> {
        self.pool(name).ok().map(|pool| pool.function())
    }

    /// Names of all functions.
    pub fn names(&self) -> Vec<String> {
        lock(&self.shared.pools).keys().cloned().collect()
    }

    pub(crate) fn knows(&self, reference: &str) -> bool {
        self.pool(reference).is_ok()
    }

    /// Invokes a function by name or ARN and waits for its answer.
    pub async fn invoke(
        &self,
        reference: &str,
        payload: impl Into<Bytes>,
    ) -> Result<Invoked, InvokeError> {
        self.invoke_with_context(reference, payload.into(), None)
            .await
    }

    pub(crate) async fn invoke_with_context(
        &self,
        reference: &str,
        payload: Bytes,
        client_context: Option<String>,
    ) -> Result<Invoked, InvokeError> {
        let (pool, payload) = self.admit(reference, payload)?;
        let function = pool.function();
        if let Program::Watch(address) = function.program {
            return background::run(watched::invoke(
                address,
                function.name,
                payload,
                function.timeout,
            ))
            .await;
        }
        let (work, answer) = Work::new(payload, client_context);
        pool.dispatch(work)?;
        answer
            .await
            .map_err(|_| InvokeError::Unavailable("the environment is gone".to_owned()))
    }

    /// Invokes a function and does not wait: up to two more attempts follow one that fails.
    pub fn invoke_asynchronously(
        &self,
        reference: &str,
        payload: impl Into<Bytes>,
    ) -> Result<(), InvokeError> {
        let (pool, payload) = self.admit(reference, payload.into())?;
        let (functions, name) = (self.clone(), pool.function().name);
        background::handle().spawn(async move {
            let mut attempts = 0;
            while attempts < ASYNCHRONOUS_ATTEMPTS {
                match functions.invoke(&name, payload.clone()).await {
                    Ok(invoked) if invoked.function_error.is_none() => return,
                    // AWS goes on for hours when it is throttled; that costs no attempt.
                    Err(InvokeError::Throttled) => {}
                    _ => attempts += 1,
                }
                tokio::time::sleep(ASYNCHRONOUS_PAUSE).await;
            }
            pool.log.push(
                "-",
                &format!("an asynchronous invocation was given up after {attempts} attempts"),
            );
        });
        Ok(())
    }

    /// Sends SIGKILL to all environments of a function; how many there were. A busy one's caller gets
    /// `Runtime.ExitError`, and the next invocation starts anew.
    pub fn kill(&self, name: &str) -> usize {
        self.pool(name).map_or(0, |pool| pool.kill(|_| true))
    }

    /// As [`Functions::kill`], for the environments that handle an invocation.
    pub fn kill_busy(&self, name: &str) -> usize {
        self.pool(name).map_or(0, |pool| {
            pool.kill(|environment| environment.busy.load(Ordering::Acquire))
        })
    }

    /// Lets environments end when they are idle, so that the next invocation is a cold start.
    pub fn retire(&self, name: &str) {
        if let Ok(pool) = self.pool(name) {
            pool.retire();
        }
    }

    /// The environments of a function.
    pub fn environments(&self, name: &str) -> Vec<EnvironmentState> {
        let environments = self
            .pool(name)
            .map(|pool| pool.environments())
            .unwrap_or_default();
        let state = |one: &Arc<environment::Environment>| EnvironmentState {
            stream: one.stream.clone(),
            pid: one.process.get().map(|process| process.pid),
            busy: one.busy.load(Ordering::Acquire),
            invocations: one.invocations.load(Ordering::Relaxed),
        };
        environments.iter().map(state).collect()
    }

    /// What a function has written so far, with Lambda's own lines between.
    pub fn log(&self, name: &str) -> Vec<LogLine> {
        self.pool(name)
            .map(|pool| pool.log.lines())
            .unwrap_or_default()
    }

    /// The file that the same lines are written to.
    pub fn log_file(&self, name: &str) -> Option<PathBuf> {
        self.pool(name).ok().map(|pool| pool.log.path().to_owned())
    }

    /// The end of what an environment wrote, since its last invocation began.
    pub(crate) fn log_tail(&self, name: &str, stream: &str) -> String {
        self.pool(name)
            .map(|pool| pool.log.tail(stream))
            .unwrap_or_default()
    }

    /// Hands a function's invocations on to `cargo lambda watch` at `address`, or, with `None`, runs `binary` again.
    pub fn watch(
        &self,
        name: &str,
        address: Option<SocketAddr>,
        binary: PathBuf,
    ) -> Result<(), Error> {
        let mut function = self
            .definition(name)
            .ok_or_else(|| Error::NoFunction(name.to_owned()))?;
        function.program = address.map_or(Program::Binary(binary), Program::Watch);
        self.define(function)
    }

    /// The `cargo lambda watch` that a function's invocations are handed on to.
    pub(crate) fn watched_at(&self, name: &str) -> Option<SocketAddr> {
        match self.definition(name)?.program {
            Program::Watch(address) => Some(address),
            Program::Binary(_) => None,
        }
    }

    /// Kills every environment.
    pub(crate) fn shut_down(&self) {
        for pool in lock(&self.shared.pools).values() {
            pool.kill(|_| true);
        }
    }

    /// Kills every environment and waits until all that they have written is in the log.
    pub(crate) fn end(&self) -> Result<(), TimedOut> {
        let pools: Vec<_> = lock(&self.shared.pools).values().cloned().collect();
        wait::blocking_until("the end of every environment", END, || {
            // Each time all of them: what one has left to do, another may have begun.
            let ended: Vec<bool> = pools.iter().map(|pool| pool.end()).collect();
            ended.iter().all(|ended| *ended).then_some(())
        })
    }

    fn admit(&self, reference: &str, payload: Bytes) -> Result<(Arc<Pool>, Bytes), InvokeError> {
        let pool = self.pool(reference)?;
        if payload.len() > PAYLOAD_LIMIT {
            return Err(InvokeError::TooLarge(payload.len()));
        }
        if payload.is_empty() {
            return Ok((pool, Bytes::from_static(b"{}")));
        }
        match serde_json::from_slice::<serde::de::IgnoredAny>(&payload) {
            Ok(_) => Ok((pool, payload)),
            Err(wrong) => Err(InvokeError::NotJson(format!(
                "line {} column {}",
                wrong.line(),
                wrong.column()
            ))),
        }
    }

    fn pool(&self, reference: &str) -> Result<Arc<Pool>, InvokeError> {
        let name = name_of(reference);
        let pools = lock(&self.shared.pools);
        pools
            .get(name)
            .cloned()
            .ok_or_else(|| InvokeError::NotFound(function::arn(name)))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for pool in lock(&self.pools).values() {
            pool.kill(|_| true);
        }
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions")
            .field("names", &self.names())
            .finish_non_exhaustive()
    }
}
