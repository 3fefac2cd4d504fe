//! One execution environment: a process of the function's binary, which handles one request at a time.

use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::function::{self, Function};
use super::invocation::{Work, exited, init_timed_out, not_started, timed_out};
use super::pool::Pool;
use super::runtime_api::{Delivery, Message, RuntimeApi};
use crate::process::{CommandLine, Identity};
use crate::{Error, background, clock};

/// What a pool knows of an environment.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) stream: String,
    pub(super) process: OnceLock<Identity>,
    pub(super) busy: AtomicBool,
    pub(super) invocations: AtomicU64,
    /// When its program was built.
    pub(super) built: Option<SystemTime>,
    work: mpsc::UnboundedSender<Work>,
    wish: watch::Sender<Wish>,
}

/// What its owner wants of an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    Live,
    /// To end as soon as it is idle.
    Retire,
    /// To be killed, as the kernel's out-of-memory killer does it.
    Die,
}

impl Environment {
    /// Starts an environment for its first invocation.
    pub(super) fn start(
        pool: &Arc<Pool>,
        function: Function,
        stream: String,
        first: Work,
    ) -> Arc<Self> {
        let (work, queue) = mpsc::unbounded_channel();
        let environment = Arc::new(Self {
            stream,
            process: OnceLock::new(),
            busy: AtomicBool::new(true),
            invocations: AtomicU64::new(0),
            built: function.built(),
            work,
            wish: watch::Sender::new(Wish::Live),
        });
        let life = live(
            Arc::clone(pool),
            function,
            Arc::clone(&environment),
            first,
            queue,
        );
        pool.began(&environment, background::handle().spawn(life));
        environment
    }

    /// Hands it the next invocation; gives it back when the environment has ended.
    pub(super) fn hand(&self, work: Work) -> Result<(), Work> {
        self.work.send(work).map_err(|refused| refused.0)
    }

    /// Takes effect at once: a process that is to die has been sent its signal on return.
    pub(super) fn wish(&self, wish: Wish) {
        self.wish.send_modify(|held| *held = wish.max(*held));
        if wish == Wish::Die
            && let Some(process) = self.process.get()
        {
            process.signal(Signal::KILL);
        }
    }
}

/// Why an environment has ended.
enum End {
    Exited(Option<ExitStatus>),
    TimedOut,
    /// The answer to the first invocation has been given already.
    InitFailed,
    /// Its owner wanted it.
    Retired,
}

async fn live(
    pool: Arc<Pool>,
    function: Function,
    environment: Arc<Environment>,
    first: Work,
    queue: mpsc::UnboundedReceiver<Work>,
) {
    let started = async {
        let runtime_api = RuntimeApi::start()
            .await
            .map_err(Error::io("open a Runtime API"))?;
        let child = spawn(&pool, &function, &environment, &runtime_api)?;
        Ok::<_, Error>((runtime_api, child))
    };
    match started.await {
        Ok((runtime_api, mut child)) => {
            let readers = [
                read(&pool, &environment, child.stdout.take()),
                read(&pool, &environment, child.stderr.take()),
            ];
            let life = Life {
                pool,
                environment,
                function,
                runtime_api,
                queue,
                queued: Some(first),
                current: None,
                waiting: None,
                initialized: false,
                began: Instant::now(),
            };
            life.run(child, readers).await;
        }
        Err(refused) => {
            pool.remove(&environment);
            let document = not_started(&first.request_id, &crate::error::chain(&refused));
            first.answer(Err(document), &environment.stream, true);
        }
    }
}

fn spawn(
    pool: &Pool,
    function: &Function,
    environment: &Environment,
    api: &RuntimeApi,
) -> Result<Child, Error> {
    let Some(path) = function.path().filter(|path| path.is_file()) else {
        return Err(Error::NoBinary(
            function.path().map(ToOwned::to_owned).unwrap_or_default(),
        ));
    };
    let mut command = CommandLine::new(path);
    let reserved = function.reserved(&environment.stream, api.address);
    for (name, value) in pool.base_variables() {
        command = command.variable(name, value);
    }
    command = command.variable("AWS_ACCESS_KEY_ID", function.access_key());
    for (name, value) in &function.variables {
        command = command.variable(name, value);
    }
    for (name, value) in reserved {
        command = command.variable(name, value);
    }
    let child = command.spawn_piped()?;
    if let Some(process) = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Identity::of)
    {
        // Set once, here.
        let _ = environment.process.set(process);
    }
    Ok(child)
}

fn read(
    pool: &Arc<Pool>,
    environment: &Arc<Environment>,
    from: Option<impl AsyncRead + Unpin + Send + 'static>,
) -> JoinHandle<()> {
    let (pool, environment) = (Arc::clone(pool), Arc::clone(environment));
    tokio::spawn(async move {
        let Some(from) = from else { return };
        let mut lines = BufReader::new(from).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            pool.log.push(
                &environment.stream,
                String::from_utf8_lossy(&line).trim_end_matches('\r'),
            );
        }
    })
}

/// An invocation that the process has been given.
struct Current {
    work: Work,
    cold_start: bool,
    since: Instant,
}

struct Life {
    pool: Arc<Pool>,
    environment: Arc<Environment>,
    function: Function,
    runtime_api: RuntimeApi,
    queue: mpsc::UnboundedReceiver<Work>,
    /// The invocation that waits until the process asks for it.
    queued: Option<Work>,
    current: Option<Current>,
    /// The process's open question for work.
    waiting: Option<oneshot::Sender<Delivery>>,
    initialized: bool,
    began: Instant,
}

impl Life {
    async fn run(mut self, mut child: Child, readers: [JoinHandle<()>; 2]) {
        let environment = Arc::clone(&self.environment);
        let (mut death, mut retirement) =
            (environment.wish.subscribe(), environment.wish.subscribe());
        let end = loop {
            self.deliver();
            let deadline = self.deadline();
            let idle = self.queued.is_none() && self.current.is_none();
            tokio::select! {
                Some(message) = self.runtime_api.messages.recv() => if let Some(end) = self.heard(message) { break end },
                Some(work) = self.queue.recv(), if idle => self.queued = Some(work),
                () = wished(&mut death, Wish::Die) => break End::Exited(kill(&mut child).await),
                () = wished(&mut retirement, Wish::Retire), if idle => break End::Retired,
                status = child.wait() => break End::Exited(status.ok()),
                () = sleep_until(deadline) => break End::TimedOut,
            }
        };
        // Nothing new may come here; then whoever still waits is told.
        self.pool.remove(&self.environment);
        let _ = child.kill().await;
        for reader in readers {
            // A grandchild may hold the pipe open for ever.
            let _ = tokio::time::timeout(Duration::from_secs(1), reader).await;
        }
        self.end(&end);
    }

    /// Gives the queued invocation to the process, if it asks for one.
    fn deliver(&mut self) {
        let Some(work) = self.queued.take_if(|_| self.waiting.is_some()) else {
            return;
        };
        let Some(waiting) = self.waiting.take() else {
            return;
        };
        let delivery = Delivery {
            request_id: work.request_id.clone(),
            payload: work.payload.clone(),
            client_context: work.client_context.clone(),
            function_arn: function::arn(&self.function.name),
            deadline: clock::now() + self.function.timeout,
        };
        if waiting.send(delivery).is_err() {
            // It hung up: its end is under way.
            self.queued = Some(work);
            return;
        }
        self.log(&format!(
            "START RequestId: {} Version: $LATEST",
            work.request_id
        ));
        let cold_start = self.environment.invocations.fetch_add(1, Ordering::Relaxed) == 0;
        self.current = Some(Current {
            work,
            cold_start,
            since: Instant::now(),
        });
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.current {
            Some(current) => Some(current.since + self.function.timeout),
            None if !self.initialized => Some(self.began + self.function.init_timeout),
            None => None,
        }
    }

    fn heard(&mut self, message: Message) -> Option<End> {
        match message {
            Message::Next(waiting) => {
                self.initialized = true;
                self.waiting = Some(waiting);
            }
            Message::Done {
                request_id,
                result,
                accepted,
            } => {
                let current = self
                    .current
                    .take_if(|current| current.work.request_id == request_id);
                let _ = accepted.send(current.is_some());
                if let Some(current) = current {
                    self.environment.busy.store(false, Ordering::Release);
                    self.finish(current, result);
                }
            }
            Message::InitError(document) => {
                self.log("INIT_REPORT Phase: init Status: error");
                self.pool.remove(&self.environment);
                if let Some(work) = self.queued.take() {
                    work.answer(Err(document), &self.environment.stream, true);
                }
                return Some(End::InitFailed);
            }
        }
        None
    }

    fn finish(&self, current: Current, result: Result<bytes::Bytes, bytes::Bytes>) {
        let id = &current.work.request_id;
        let init = if current.cold_start {
            format!(
                " Init Duration: {:.2} ms",
                (current.since - self.began).as_secs_f64() * 1000.0
            )
        } else {
            String::new()
        };
        let milliseconds = current.since.elapsed().as_secs_f64() * 1000.0;
        self.log(&format!("END RequestId: {id}"));
        self.log(&format!(
            "REPORT RequestId: {id} Duration: {milliseconds:.2} ms Memory Size: {} MB{init}",
            self.function.memory
        ));
        current
            .work
            .answer(result, &self.environment.stream, current.cold_start);
    }

    fn end(mut self, end: &End) {
        if let Some(current) = self.current.take() {
            let id = current.work.request_id.clone();
            let document = match end {
                End::TimedOut => timed_out(&id, self.function.timeout),
                End::Exited(status) => exited(&id, *status),
                End::InitFailed | End::Retired => exited(&id, None),
            };
            self.finish(current, Err(document));
        }
        if let Some(work) = self.queued.take() {
            let document = match end {
                End::TimedOut => init_timed_out(&work.request_id, self.function.init_timeout),
                End::Exited(status) if !self.initialized => exited(&work.request_id, *status),
                // It never saw this one: another environment takes it.
                _ => return self.pool.dispatch_again(work),
            };
            self.log("INIT_REPORT Phase: init Status: error");
            work.answer(Err(document), &self.environment.stream, true);
        }
        self.queue.close();
        while let Ok(work) = self.queue.try_recv() {
            self.pool.dispatch_again(work);
        }
    }

    fn log(&self, text: &str) {
        self.pool.log.push(&self.environment.stream, text);
    }
}

async fn wished(wishes: &mut watch::Receiver<Wish>, wish: Wish) {
    // The sender is in the environment, which its life holds.
    let _ = wishes.wait_for(|held| *held == wish).await;
}

async fn kill(child: &mut Child) -> Option<ExitStatus> {
    // It may be dead already; its status tells.
    let _ = child.start_kill();
    child.wait().await.ok()
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
