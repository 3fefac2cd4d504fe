//! Every store in every way that it fails: nothing ends in success with loss, the answer says which item failed and why, and
//! what is delivered again afterwards is there once.

use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use local::canary::said;
use local::gateway::Refusal;
use local::{Fault, FaultProxy};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::capture::{batch, failures, turn};
use crate::capture_sources::request;
use crate::system::{CAPTURE, System};

/// How long a queue goes on delivering.
const PATIENCE: Duration = Duration::from_secs(90);

/// What is wrong in a cell.
enum Wrong {
    /// S3 refuses every put.
    S3Refuses(u16, &'static str),
    /// The way to S3.
    S3(Fault),
    /// The way to the database.
    Database(Fault),
    /// The server, by statements of its superuser: before, and afterwards. `APP` is the role and `DB` the database.
    Server(&'static str, &'static str),
    /// The server fails whoever inserts a message, by this SQLSTATE.
    Insert(&'static str),
    /// Somebody holds the table.
    Locked,
    /// An item among the good ones; what the queue is told of it.
    Item(Poison, Told),
}

#[derive(Clone, Copy)]
enum Poison {
    NotJson,
    UnknownShape,
    InvalidField,
    TooLarge,
}

#[derive(Clone, Copy, PartialEq)]
enum Told {
    /// It was put aside.
    Handled,
    /// It failed.
    Failed,
}

/// By name; with a part of the reason that who has sent one event directly is told.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn cells() -> Vec<(&'static str, Wrong, &'static str)> {
    use Fault::{BlackHole, CutAfterClientBytes, CutBeforeAnswer, Refuse, Reset, SwallowAnswer};
    use Wrong::{Database, Insert, Item, Locked, S3, S3Refuses, Server};
    vec![
        (
            "S3 has an internal error",
            S3Refuses(500, "InternalError"),
            "InternalError",
        ),
        ("S3 is throttled", S3Refuses(503, "SlowDown"), "SlowDown"),
        (
            "S3 is unavailable",
            S3Refuses(503, "ServiceUnavailable"),
            "ServiceUnavailable",
        ),
        (
            "S3 denies access",
            S3Refuses(403, "AccessDenied"),
            "AccessDenied",
        ),
        (
            "S3 has no such bucket",
            S3Refuses(404, "NoSuchBucket"),
            "NoSuchBucket",
        ),
        (
            "S3 does not trust the clock",
            S3Refuses(403, "RequestTimeTooSkewed"),
            "RequestTimeTooSkewed",
        ),
        ("S3 is not there", S3(Refuse), ""),
        ("S3 hangs up", S3(Reset), ""),
        ("S3 is silent", S3(BlackHole), ""),
        (
            "S3 takes half of the body",
            S3(CutAfterClientBytes(900)),
            "",
        ),
        ("S3 takes it and hangs up", S3(CutBeforeAnswer(1)), ""),
        ("S3 takes it and is silent", S3(SwallowAnswer(1)), ""),
        ("the database is not there", Database(Refuse), ""),
        ("the database hangs up", Database(Reset), ""),
        ("the database is silent", Database(BlackHole), ""),
        (
            "the database is silent in its handshake",
            Database(SwallowAnswer(2)),
            "",
        ),
        (
            "the database hangs up in its handshake",
            Database(CutBeforeAnswer(3)),
            "",
        ),
        (
            "the database hangs up in a statement",
            Database(CutAfterClientBytes(4_000)),
            "",
        ),
        (
            "the database is read-only",
            Server(READ_ONLY, WRITABLE),
            "25006",
        ),
        (
            "the role has no connection left",
            Server(
                "ALTER ROLE APP CONNECTION LIMIT 0",
                "ALTER ROLE APP CONNECTION LIMIT -1",
            ),
            "no connection to the database",
        ),
        (
            "the role may not log in",
            Server("ALTER ROLE APP NOLOGIN", "ALTER ROLE APP LOGIN"),
            "NO_VERSION_ACCEPTED",
        ),
        (
            "a table is away",
            Server(
                "ALTER TABLE messages RENAME TO away",
                "ALTER TABLE away RENAME TO messages",
            ),
            "42P01",
        ),
        ("the disk is full", Insert("53100"), "53100"),
        ("the memory is full", Insert("53200"), "53200"),
        ("a deadlock does not end", Insert("40P01"), "40P01"),
        (
            "the server is shut down in a statement",
            Insert("57P01"),
            "57P01",
        ),
        (
            "the server crashes in a statement",
            Insert("57P02"),
            "57P02",
        ),
        ("somebody holds the table", Locked, ""),
        (
            "an item is not JSON",
            Item(Poison::NotJson, Told::Handled),
            "cannot be read",
        ),
        (
            "an item has no shape",
            Item(Poison::UnknownShape, Told::Failed),
            "accepted",
        ),
        (
            "an item has a bad field",
            Item(Poison::InvalidField, Told::Failed),
            "conversation_id",
        ),
        (
            "an item's object is too large",
            Item(Poison::TooLarge, Told::Failed),
            "33554432",
        ),
    ]
}

/// New sessions are what the next environment has, so the default of the database is theirs.
const READ_ONLY: &str = "ALTER DATABASE DB SET default_transaction_read_only = on";
const WRITABLE: &str = "ALTER DATABASE DB RESET default_transaction_read_only";

impl Wrong {
    /// What the sender of one event is refused by.
    fn codes(&self) -> &'static [&'static str] {
        match self {
            Self::S3Refuses(..) | Self::S3(_) => {
                &["Capture.ArchiveUnavailable", "Capture.DeadlineReached"]
            }
            Self::Item(Poison::NotJson, _) => &["Capture.BadInput"],
            Self::Item(Poison::UnknownShape, _) => &["Capture.UnknownShape"],
            Self::Item(Poison::InvalidField, _) => &["Capture.InvalidField"],
            Self::Item(Poison::TooLarge, _) => &["Capture.ClaimRefused"],
            _ => &["Capture.DatabaseUnavailable", "Capture.DeadlineReached"],
        }
    }
}

impl Poison {
    fn body(self) -> String {
        match self {
            Self::NotJson => format!("{{not json: {}", said("anything")),
            Self::UnknownShape => json!({"hello": said("world")}).to_string(),
            Self::InvalidField => {
                json!({"schema": "llm.capture/1", "conversation_id": {"no": said("id")}, "messages": []}).to_string()
            }
            Self::TooLarge => {
                json!({"schema": "llm.capture/1", "user_id": said("u"), "body_ref": {"bucket": BUCKET, "key": LARGE}}).to_string()
            }
        }
    }
}

impl Poison {
    /// Lambda itself takes nothing but JSON, so that what is none comes as the body of a request.
    fn sent_directly(self) -> String {
        match self {
            Self::NotJson => request(&json!({"sub": said("ana")}), &self.body()).to_string(),
            _ => self.body(),
        }
    }
}

const BUCKET: &str = "conversation-uploads";
/// An object with a byte more than is taken.
const LARGE: &str = "large";
const LARGE_BYTES: usize = 32 * 1024 * 1024 + 1;

/// A system, and the ways to its stores.
struct Bench {
    system: System,
    s3: FaultProxy,
    database: FaultProxy,
    superuser: Client,
}

impl Bench {
    async fn start() -> Self {
        let system = System::start("matrix").await;
        let s3 = FaultProxy::start(system.stack.gateway().address())
            .await
            .unwrap();
        let database = FaultProxy::start(system.database_address()).await.unwrap();
        let function = system
            .capture_function()
            .variable("AWS_ENDPOINT_URL_S3", s3.endpoint())
            .variable("DB_PORT", database.port().to_string())
            .variable("CLAIM_CHECK_BUCKETS", BUCKET)
            .timeout(Duration::from_secs(6));
        system.stack.functions().define(function).unwrap();
        let objects = aws_sdk_s3::Client::new(&system.stack.sdk_config());
        objects.create_bucket().bucket(BUCKET).send().await.unwrap();
        let large = objects.put_object().bucket(BUCKET).key(LARGE);
        let body = ByteStream::from(vec![b' '; LARGE_BYTES]);
        large.body(body).send().await.unwrap();
        let superuser = system.database.superuser().await.unwrap();
        superuser
            .batch_execute(
                "CREATE TABLE failing (sqlstate text); GRANT SELECT ON failing TO PUBLIC;
             CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
             DECLARE code text; BEGIN
                 SELECT sqlstate INTO code FROM failing;
                 IF FOUND THEN RAISE EXCEPTION 'failed by a test' USING ERRCODE = code; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER fail BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION fail()",
            )
            .await
            .unwrap();
        Self {
            system,
            s3,
            database,
            superuser,
        }
    }

    async fn run(&self, statements: &str) {
        let statements = statements
            .replace("APP", &self.system.application)
            .replace("DB", &self.system.database.name);
        self.superuser.batch_execute(&statements).await.unwrap();
    }

    /// Makes it wrong; what is to be kept until it is right again.
    async fn begin(&self, wrong: &Wrong) -> Option<Client> {
        match wrong {
            Wrong::S3Refuses(status, code) => {
                let refusal = Refusal {
                    status: *status,
                    code,
                };
                self.system
                    .stack
                    .gateway()
                    .refuse("PutObject", Some(refusal));
            }
            Wrong::S3(fault) => {
                self.s3.set(*fault).await;
                self.s3.cut();
            }
            Wrong::Database(fault) => {
                self.database.set(*fault).await;
                self.database.cut();
            }
            Wrong::Server(before, _) => self.run(before).await,
            Wrong::Insert(sqlstate) => {
                self.run(&format!("INSERT INTO failing VALUES ('{sqlstate}')"))
                    .await;
            }
            Wrong::Locked => {
                let other = self.system.database.superuser().await.unwrap();
                other
                    .batch_execute("BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
                    .await
                    .unwrap();
                return Some(other);
            }
            Wrong::Item(..) => {}
        }
        None
    }

    async fn end(&self, wrong: &Wrong) {
        self.system.stack.gateway().refuse("PutObject", None);
        self.s3.set(Fault::Pass).await;
        self.database.set(Fault::Pass).await;
        match wrong {
            Wrong::Server(_, after) => self.run(after).await,
            Wrong::Insert(_) => self.run("DELETE FROM failing").await,
            _ => {}
        }
    }

    async fn stored(&self, conversation: &str) -> i64 {
        let stored =
            "SELECT count(*) FROM capture_events WHERE conversation_id = $1 AND outcome = 'stored'";
        self.system.number(stored, &[&conversation]).await
    }

    /// Plays a cell; what is not as it must be.
    async fn play(&self, number: usize, wrong: &Wrong, why: &str) -> Result<(), String> {
        let conversation = format!("c-{number}");
        let good: Vec<String> = (0..2)
            .map(|turn_number| turn(&conversation, turn_number).to_string())
            .collect();
        let (delivery, direct, expected) = match wrong {
            Wrong::Item(poison, told) => {
                let bodies = [good[0].clone(), poison.body(), good[1].clone()];
                let expected: &[&str] = if *told == Told::Failed { &["m-1"] } else { &[] };
                (batch(&bodies), poison.sent_directly(), expected)
            }
            _ => (
                batch(&good),
                turn(&conversation, 2).to_string(),
                &["m-0", "m-1"][..],
            ),
        };
        self.system.stack.functions().retire(CAPTURE);
        let held = self.begin(wrong).await;
        let reply = self.system.capture(&delivery).await;
        let invoked = self.system.deliver(CAPTURE, direct.clone()).await;
        drop(held);
        self.end(wrong).await;
        let told = failures(&reply);
        if told != expected {
            return Err(format!("the queue was told {told:?}"));
        }
        let mut answer: Value = serde_json::from_slice(&invoked.payload).unwrap();
        let mut is_refused = invoked.function_error.is_some();
        if let Some(body) = answer["body"].as_str() {
            is_refused = answer["statusCode"].as_u64() >= Some(400);
            answer = serde_json::from_str(body).unwrap();
        }
        let code = answer["errorType"].as_str().unwrap_or_default();
        let message = answer["errorMessage"].as_str().unwrap_or_default();
        if !is_refused
            || !wrong.codes().contains(&code)
            || message.is_empty()
            || !message.contains(why)
        {
            return Err(format!("the sender was told {answer}"));
        }
        if matches!(wrong, Wrong::Item(..)) {
            let stored = self.stored(&conversation).await;
            return if stored == 2 {
                Ok(())
            } else {
                Err(format!("{stored} of the good ones are stored"))
            };
        }
        // Of a queue, since a session asks again for a login that was refused only after a while.
        let taken = local::wait::until("the redelivery to be taken", PATIENCE, async || {
            let reply = self.system.capture(&delivery).await;
            failures(&reply).is_empty().then_some(())
        });
        taken.await.map_err(|error| error.to_string())?;
        let direct = self.system.deliver(CAPTURE, direct).await;
        let stored = self.stored(&conversation).await;
        if direct.function_error.is_some() || stored != 3 {
            let direct = String::from_utf8_lossy(&direct.payload);
            return Err(format!("{stored} are stored in the end; {direct}"));
        }
        Ok(())
    }
}

#[tokio::test]
async fn nothing_ends_in_success_with_loss() {
    let bench = Bench::start().await;
    let cells = cells();
    for (_, wrong, _) in &cells {
        for code in wrong.codes() {
            bench
                .system
                .announce_unless(code, "another reason comes first");
        }
    }
    bench.system.announce(r#""outcome":"not_json""#);
    let mut problems = Vec::new();
    for (number, (name, wrong, why)) in cells.iter().enumerate() {
        if let Err(problem) = bench.play(number, wrong, why).await {
            problems.push(format!("{name}: {problem}"));
        }
    }
    assert!(
        problems.is_empty(),
        "of {} cells:\n{}",
        cells.len(),
        problems.join("\n")
    );
    let events = bench
        .system
        .number("SELECT count(*) FROM capture_events", &[])
        .await;
    let objects = bench.system.objects("conversations/").await.len();
    assert_eq!(usize::try_from(events).unwrap(), objects);
    bench.system.assert_counters_are_exact().await;
}
