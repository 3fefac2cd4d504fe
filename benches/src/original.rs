//! What a turn costs the database, beside the way of the Python function that came before: a connection for each turn, and a
//! statement for each of its rows.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio_postgres::Client;

use crate::events::Shape;
use crate::figures::{Figure, Figures, Unit, median};
use crate::run::{Effort, progress};
use crate::setting::{Home, Setting, USER};
use crate::start::milliseconds;
use crate::warm::record;

/// How long an event is, and how many come with an invocation of ours.
const SHAPE: Shape = Shape {
    batch: Some(100),
    bytes: 1024,
};
const INVOCATIONS: usize = 40;
/// Turns of the original, of which one costs as much as many of ours.
const TURNS: usize = 200;
/// Before what is measured: caches, and the plan of the statement.
const WARM_UP: usize = 10;
/// The kernel's tick, in which `/proc` counts (`CLK_TCK`, which is 100 on every Linux that we know).
const TICK: Duration = Duration::from_millis(10);

/// Measures both.
pub(crate) async fn measure(
    setting: &Setting,
    effort: Effort,
    figures: &mut Figures,
) -> Result<()> {
    progress("what a turn costs the database");
    let server = Server::of(setting)?;
    let superuser = setting.stack.server().superuser("postgres").await?;
    // As in production: waiting for the disk at each commit is a part of what a transaction for each turn costs.
    set_fsync(&superuser, "on").await?;
    let ours = ours(setting, &server, effort.of(INVOCATIONS)).await?;
    let original = original(setting, &server, effort.of(TURNS)).await?;
    set_fsync(&superuser, "off").await?;
    for (name, ours, original, limit) in [
        ("time with the database", ours.time, original.time, 0.02),
        // How dear a connection is for the server differs from day to day by more than what is left to the aim.
        ("CPU of PostgreSQL", ours.cpu, original.cpu, 0.025),
    ] {
        let name = format!("database, batch of 100: {name} for a turn");
        let figure = Figure::new(&name, Unit::Milliseconds, ours);
        figures.add(figure.beside("original", original).at_most(limit, 0.02));
    }
    Ok(())
}

/// Says whether a commit waits for the disk, which the stack's server else does not.
async fn set_fsync(superuser: &Client, fsync: &str) -> Result<()> {
    let set = format!("ALTER SYSTEM SET fsync = {fsync}");
    superuser.batch_execute(&set).await?;
    superuser.batch_execute("SELECT pg_reload_conf()").await?;
    // The server tells its sessions when it knows itself.
    local::wait::until("the new setting", Duration::from_secs(10), async || {
        let row = superuser.query_one("SHOW fsync", &[]).await.ok()?;
        (row.get::<_, &str>(0) == fsync).then_some(())
    })
    .await?;
    Ok(())
}

/// What a turn costs, in milliseconds.
struct Cost {
    /// Of the program, from before the first thing that it sends until behind the last answer; the median, for a disk that is slow
    /// once costs as much as all turns.
    time: f64,
    /// Of all processes of the server.
    cpu: f64,
}

/// By the floor, which sends what capture sends and does nothing else: here without the objects.
async fn ours(setting: &Setting, server: &Server, invocations: usize) -> Result<Cost> {
    let mut script = record(setting, "database", SHAPE, WARM_UP + invocations).await?;
    for invocation in &mut script.invocations {
        invocation.objects.clear();
    }
    let home = setting.home("database-ours").await?;
    let mut process = setting.floor(&home, Some(&script))?.start()?;
    for _ in 0..WARM_UP {
        process.invoke(b"{}")?;
    }
    let before = server.cpu()?;
    let mut times = Vec::with_capacity(invocations);
    for _ in 0..invocations {
        times.push(milliseconds(process.invoke(b"{}")?));
    }
    let used = server.cpu()?.saturating_sub(before);
    let rows = setting.rows(&home).await?;
    let expected = (WARM_UP + invocations) * SHAPE.events();
    ensure!(
        rows.0 == i64::try_from(expected)?,
        "{expected} events were sent, {rows:?} are there"
    );
    Ok(Cost {
        time: median(&times) / f64::from(u32::try_from(SHAPE.events())?),
        cpu: each(used, invocations * SHAPE.events())?,
    })
}

async fn original(setting: &Setting, server: &Server, turns: usize) -> Result<Cost> {
    let home = setting.home("database-original").await?;
    let superuser = setting.stack.server().superuser(&home.dbname).await?;
    // Its own tables, without what ours have besides.
    superuser
        .batch_execute("DROP TABLE messages, implementations, conversations CASCADE")
        .await?;
    superuser
        .batch_execute(&format!(
            "CREATE TABLE conversations (conversation_id varchar(255) PRIMARY KEY, user_id varchar(255),
                 created_at timestamp DEFAULT now(), updated_at timestamp DEFAULT now(), metadata jsonb, s3_key varchar(500));
             CREATE TABLE messages (message_id varchar(255) PRIMARY KEY,
                 conversation_id varchar(255) REFERENCES conversations (conversation_id), role varchar(50) NOT NULL,
                 content text NOT NULL, \"timestamp\" timestamp DEFAULT now(), metadata jsonb, tokens_used integer);
             GRANT ALL ON conversations, messages TO {USER}"
        ))
        .await?;
    let answer = "It costs more than an endpoint. ".repeat(24);
    let before = server.cpu()?;
    let mut times = Vec::with_capacity(turns);
    for turn in 0..turns {
        let began = Instant::now();
        let client = setting.log_in(&home).await?;
        store(&client, turn, &answer).await?;
        times.push(milliseconds(began.elapsed()));
    }
    settle(&superuser, &home).await?;
    Ok(Cost {
        time: median(&times),
        cpu: each(server.cpu()?.saturating_sub(before), turns)?,
    })
}

/// One turn, as the original stored it.
async fn store(client: &Client, turn: usize, answer: &str) -> Result<()> {
    client.batch_execute("BEGIN").await?;
    client
        .batch_execute(&format!(
            "INSERT INTO conversations (conversation_id, user_id, metadata, s3_key, created_at, updated_at)
             VALUES ('c-{turn}', 'u-1001', '{{\"context\": {{}}, \"implementations_count\": 0}}', 'conversations/2026/11/23/c-{turn}.json', now(), now())
             ON CONFLICT (conversation_id) DO UPDATE SET updated_at = excluded.updated_at, metadata = excluded.metadata"
        ))
        .await?;
    for (role, content) in [
        ("user", "which subnets does the function need?"),
        ("assistant", answer),
    ] {
        client
            .batch_execute(&format!(
                "INSERT INTO messages (message_id, conversation_id, role, content, \"timestamp\", metadata)
                 VALUES ('c-{turn}-{role}', 'c-{turn}', '{role}', '{content}', now(), '{{\"source\": \"{role}\"}}')"
            ))
            .await?;
    }
    Ok(client.batch_execute("COMMIT").await?)
}

/// Waits until the server has taken leave of all of them: what they used is counted when they have ended.
async fn settle(superuser: &Client, home: &Home) -> Result<()> {
    let others =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()";
    local::wait::until(
        "the end of the connections",
        Duration::from_secs(30),
        async || {
            let row = superuser.query_one(others, &[&home.dbname]).await.ok()?;
            (row.get::<_, i64>(0) == 0).then_some(())
        },
    )
    .await?;
    Ok(())
}

fn each(used: Duration, turns: usize) -> Result<f64> {
    Ok(milliseconds(used) / f64::from(u32::try_from(turns)?))
}

/// PostgreSQL, as the kernel sees it.
struct Server {
    postmaster: u32,
}

impl Server {
    fn of(setting: &Setting) -> Result<Self> {
        let own = setting.stack.own_postgres();
        let own = own.context("a PostgreSQL that others use cannot be measured")?;
        Ok(Self {
            postmaster: own.pid(),
        })
    }

    /// What its processes have used, those included that have ended.
    fn cpu(&self) -> Result<Duration> {
        let mut ticks = 0;
        for entry in fs::read_dir("/proc")? {
            let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else {
                continue;
            };
            // Behind the name, which may hold spaces: state, parent, and from the twelfth on utime, stime, cutime, cstime
            // (proc_pid_stat(5)).
            let Some((front, rest)) = stat.rsplit_once(") ") else {
                continue;
            };
            let fields: Vec<&str> = rest.split(' ').collect();
            let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
            let pid = front.split(' ').next().and_then(|pid| pid.parse().ok());
            if pid == Some(self.postmaster) {
                ticks += (11..15).filter_map(number).sum::<u64>();
            } else if number(1) == Some(self.postmaster.into()) {
                ticks += (11..13).filter_map(number).sum::<u64>();
            }
        }
        Ok(TICK * u32::try_from(ticks)?)
    }
}
