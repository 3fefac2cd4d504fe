//! A function's environments, and which of them takes an invocation.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use time::macros::format_description;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::environment::{Environment, Wish};
use super::function::Function;
use super::invocation::{InvokeError, Work};
use super::log::Log;
use crate::clock::now;
use crate::lock::lock;

#[derive(Debug)]
pub(super) struct Pool {
    pub(super) log: Log,
    function: Mutex<Function>,
    /// Variables that every function has: credentials, region, endpoint.
    base: BTreeMap<String, String>,
    environments: Mutex<Vec<Arc<Environment>>>,
    /// Every environment whose process or whose last lines may still be there, the retired ones too.
    lives: Mutex<Vec<(Arc<Environment>, JoinHandle<()>)>>,
}

impl Pool {
    pub(super) fn new(function: Function, base: BTreeMap<String, String>, log: Log) -> Self {
        Self {
            log,
            function: Mutex::new(function),
            base,
            environments: Mutex::default(),
            lives: Mutex::default(),
        }
    }

    pub(super) fn function(&self) -> Function {
        lock(&self.function).clone()
    }

    /// Replaces the definition. As on AWS, environments of the old one take no further invocation.
    pub(super) fn redefine(&self, function: Function) {
        *lock(&self.function) = function;
        self.retire();
    }

    pub(super) fn base_variables(&self) -> &BTreeMap<String, String> {
        &self.base
    }

    pub(super) fn environments(&self) -> Vec<Arc<Environment>> {
        lock(&self.environments).clone()
    }

    /// Hands an invocation to an idle environment, or to a new one while there may be more.
    pub(super) fn dispatch(self: &Arc<Self>, mut work: Work) -> Result<(), InvokeError> {
        let function = self.function();
        let mut environments = lock(&self.environments);
        // As a deployment does on AWS: whoever builds anew wants to see the new program.
        let built = function.built();
        environments.retain(|one| {
            if one.built != built {
                one.wish(Wish::Retire);
            }
            one.built == built
        });
        for environment in environments
            .iter()
            .filter(|one| !one.busy.swap(true, Ordering::AcqRel))
        {
            match environment.hand(work) {
                Ok(()) => return Ok(()),
                // It ended a moment ago and is about to leave the list.
                Err(returned) => work = returned,
            }
        }
        if environments.len() >= function.concurrency {
            return Err(InvokeError::Throttled);
        }
        let environment = Environment::start(self, function, stream_name(), work);
        environments.push(environment);
        Ok(())
    }

    /// For an invocation that an environment has not seen before it ended.
    pub(super) fn dispatch_again(self: &Arc<Self>, work: Work) {
        let request_id = work.request_id.clone();
        // Without an environment the reply is dropped, and whoever waits for it is told that.
        if self.dispatch(work).is_err() {
            self.log.push(
                "-",
                &format!("RequestId: {request_id} found no environment"),
            );
        }
    }

    /// Takes an ended environment out of the list.
    pub(super) fn remove(&self, environment: &Arc<Environment>) {
        lock(&self.environments).retain(|one| !Arc::ptr_eq(one, environment));
    }

    /// Kills those environments that `which` chooses; the next invocation cannot meet any of them.
    pub(super) fn kill(&self, which: impl Fn(&Environment) -> bool) -> usize {
        let mut environments = lock(&self.environments);
        let before = environments.len();
        environments.retain(|one| {
            let chosen = which(one);
            if chosen {
                one.wish(Wish::Die);
            }
            !chosen
        });
        before - environments.len()
    }

    /// Keeps in mind that an environment lives until `life` is over.
    pub(super) fn began(&self, environment: &Arc<Environment>, life: JoinHandle<()>) {
        let mut lives = lock(&self.lives);
        lives.retain(|(_, life)| !life.is_finished());
        lives.push((Arc::clone(environment), life));
    }

    /// Kills every environment, the retired ones too; whether all are gone and all that they wrote is in the log.
    pub(super) fn end(&self) -> bool {
        self.kill(|_| true);
        let mut lives = lock(&self.lives);
        lives.retain(|(_, life)| !life.is_finished());
        for (environment, _) in lives.iter() {
            environment.wish(Wish::Die);
        }
        lives.is_empty()
    }

    /// Lets every environment end once it is idle; the next invocation meets a new one.
    pub(super) fn retire(&self) {
        for environment in std::mem::take(&mut *lock(&self.environments)) {
            environment.wish(Wish::Retire);
        }
    }
}

fn stream_name() -> String {
    let day = now()
        .format(format_description!("[year]/[month]/[day]"))
        .unwrap_or_default();
    format!("{day}/[$LATEST]{}", Uuid::new_v4().simple())
}
