//! A database session that survives the rotation of its password, as a library.
//!
//! Each test turns the key by hand, one effect at a time: a new version under AWSPENDING, the password in the database, the
//! move of AWSCURRENT. So the session can be looked at between any two of them. That it works in a function while a real
//! rotation runs is in `rotation`.

mod example;
mod frozen;
mod outage;
mod pool;
mod readme;
mod rotation;
mod shown;
mod wire;
mod work;

use std::time::Duration;

use aurora_session::{Builder, Counters, SecretsManager, Session, SessionError, Stage, Trust};
use local::canary;
use local::{Credentials, Database, FaultProxy, Stack, StackOptions};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::Client;

/// Name of the secret; every stack has its own Secrets Manager.
const SECRET: &str = "shop/database";

/// A secret and the role that it opens the database for.
struct Key {
    stack: Stack,
    database: Database,
    /// What the secret held at first.
    first: Credentials,
    /// A superuser, for what a rotation does and for questions.
    superuser: Client,
}

impl Key {
    async fn new(hint: &str) -> Self {
        Self::with(StackOptions::from_environment().unwrap(), hint).await
    }

    /// As [`Key::new`], with options for the stack.
    async fn with(options: StackOptions, hint: &str) -> Self {
        let stack = Stack::start(options).await.unwrap();
        let database = stack.database(hint).await.unwrap();
        let first = stack.server().login_role(hint, &[]).await.unwrap();
        stack
            .create_secret(SECRET, &database.secret(&first))
            .unwrap();
        let superuser = database.superuser().await.unwrap();
        Self {
            stack,
            database,
            first,
            superuser,
        }
    }

    fn manager(&self) -> SecretsManager {
        SecretsManager::new(&self.stack.sdk_config(), None)
    }

    fn builder(&self, manager: SecretsManager) -> Builder {
        Session::builder(manager, SECRET)
            .trust(self.trust())
            .application_name(&self.database.name)
    }

    fn trust(&self) -> Trust {
        let roots = std::fs::read(&self.stack.server().ca_file).unwrap();
        Trust::from_pem(&roots).unwrap()
    }

    fn session(&self) -> Session {
        self.builder(self.manager()).build().unwrap()
    }

    /// A session that reaches the database through a proxy.
    async fn session_by_proxy(&self) -> (Session, FaultProxy) {
        let proxy = FaultProxy::start(self.stack.server().address())
            .await
            .unwrap();
        let builder = self.builder(self.manager()).port(proxy.port());
        (builder.build().unwrap(), proxy)
    }

    /// A session that reaches Secrets Manager through a proxy.
    async fn session_by_api_proxy(&self) -> (Session, FaultProxy) {
        let proxy = FaultProxy::start(self.stack.gateway().address())
            .await
            .unwrap();
        let manager = SecretsManager::new(&self.stack.sdk_config(), Some(&proxy.endpoint()));
        (self.builder(manager).build().unwrap(), proxy)
    }

    /// A new password for the same role.
    fn next(&self) -> Credentials {
        Credentials::generate(&self.first.username)
    }

    /// Puts a new version under AWSPENDING; its id.
    async fn put_pending(&self, credentials: &Credentials) -> String {
        let version = format!("{:032x}", fastrand::u128(..));
        let text = self.database.secret(credentials);
        self.manager()
            .put_pending(SECRET, &version, None, &text)
            .await
            .unwrap();
        version
    }

    /// Makes the database accept these credentials and no others for the role.
    async fn set_password(&self, credentials: &Credentials) {
        let server = self.stack.server();
        server.set_password(credentials).await.unwrap();
    }

    /// Moves AWSCURRENT to a version, and AWSPREVIOUS with it.
    async fn promote(&self, version: &str) {
        let current = self.version(Stage::Current).unwrap();
        let manager = self.manager();
        manager
            .move_current(SECRET, version, Some(&current))
            .await
            .unwrap();
        if self.version(Stage::Pending).as_deref() == Some(version) {
            manager
                .remove_stage(SECRET, Stage::Pending, version)
                .await
                .unwrap();
        }
    }

    /// A rotation from its begin into the gap: the database has the new password, AWSCURRENT is the old version still.
    async fn rotate_into_the_gap(&self) -> String {
        let next = self.next();
        let version = self.put_pending(&next).await;
        self.set_password(&next).await;
        version
    }

    /// The version that holds a label.
    fn version(&self, stage: Stage) -> Option<String> {
        let versions = self.stack.secrets_manager().stages(SECRET);
        versions.into_iter().find_map(|(version, stages)| {
            stages
                .iter()
                .any(|held| held == stage.as_str())
                .then_some(version)
        })
    }

    /// How often Secrets Manager was asked for a value so far.
    fn reads(&self) -> usize {
        self.stack
            .gateway()
            .count("SecretsManager", "GetSecretValue")
    }

    /// How often the role's password was refused so far: by the server's log, and as the one session that was used has counted.
    #[track_caller]
    fn refused_logins(&self, session: &Session) -> u64 {
        let counters = session.counters();
        let counted = counters.refusals.total();
        let logged = self.logged_refusals();
        // A login that was given up may have been refused without anybody learning of it.
        assert!(
            logged == counted || logged > counted && counters.login_retries > 0,
            "the server has logged {logged}: {counters:?}"
        );
        counted
    }

    fn logged_refusals(&self) -> u64 {
        let line = format!(
            "password authentication failed for user \"{}\"",
            self.first.username
        );
        let log = self.stack.server().log().unwrap();
        let refusals = log.lines().filter(|logged| logged.contains(&line));
        refusals.count().try_into().unwrap()
    }

    /// How many connections the session under test has, as the server sees it.
    async fn connections(&self) -> i64 {
        let count = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = current_database()";
        let row = self.superuser.query_one(count, &[]).await.unwrap();
        row.get(0)
    }

    /// Ends every connection of the session under test, as a failover does.
    async fn terminate_connections(&self) {
        let terminate = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = current_database()";
        let row = self.superuser.query_one(terminate, &[]).await.unwrap();
        assert!(row.get::<_, i64>(0) > 0, "there was no connection to end");
    }
}

/// How long what has to come may take on any machine, however much else that does.
const PATIENCE: Duration = Duration::from_mins(2);

/// A deadline for what has to succeed.
fn soon() -> Instant {
    within(PATIENCE)
}

fn within(time: Duration) -> Instant {
    Instant::now() + time
}

/// Waits until a count of the session's is there.
async fn counted(session: &Session, what: &str, is_there: impl Fn(Counters) -> bool) {
    let waited = local::wait::until(what, PATIENCE, async || {
        is_there(session.counters()).then_some(())
    });
    waited.await.unwrap();
}

/// Has a task try every version until it only watches the labels any more, drops it there, and returns the error of the next
/// task, which has no time for anything: so no login depends on how fast this machine is.
async fn nothing_opens(session: &Session) -> SessionError {
    let waits = session.counters().waits;
    let searching = connecting(session);
    counted(session, "a session that watches the labels", |counters| {
        counters.waits > waits
    })
    .await;
    searching.abort();
    let cancelled = searching.await.expect_err("nothing can have opened it");
    assert!(cancelled.is_cancelled(), "{cancelled}");
    let failed = session.connect(within(Duration::from_millis(50))).await;
    failed.expect_err("no version opens the database")
}

/// A task that connects.
fn connecting(session: &Session) -> JoinHandle<Result<(), SessionError>> {
    let session = session.clone();
    tokio::spawn(async move { session.connect(soon()).await.map(drop) })
}

/// An error and its causes, as a handler prints them: without a password.
fn chain(error: &SessionError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    assert_eq!(canary::search("an error", &text), []);
    text
}
