//! What a warm invocation costs, beside the floor, which sends the same bytes.

use std::time::Duration;

use anyhow::{Result, ensure};
use local::{FaultProxy, Recorder, StubS3};
use percent_encoding::percent_decode_str;

use crate::events::Shape;
use crate::figures::{Figure, Figures, Unit, median};
use crate::process::Process;
use crate::run::{Effort, progress};
use crate::script::{Bytes, Invocation, Object, Script};
use crate::setting::{Home, Setting};
use crate::start::milliseconds;
use crate::statement::Statement;

/// One kind of invocation.
pub(crate) struct Case {
    name: &'static str,
    shape: Shape,
    /// How many are measured at full effort, in all rounds together.
    invocations: usize,
}

/// The cases: batches of a queue, then single events by their size.
const CASES: [Case; 6] = [
    Case::new("batch of 1", Some(1), 1024, 300),
    Case::new("batch of 10", Some(10), 1024, 153),
    Case::new("batch of 100", Some(100), 1024, 54),
    Case::new("event of 1 KB", None, 1024, 300),
    Case::new("event of 10 KB", None, 10 * 1024, 200),
    Case::new("event of 1 MB", None, 1024 * 1024, 180),
];

/// Invocations before the measured ones: connections, caches and the statement's plan are made in them. PostgreSQL looks
/// for a generic plan at the sixth execution.
const WARM_UP: usize = 10;

impl Case {
    const fn new(
        name: &'static str,
        batch: Option<usize>,
        bytes: usize,
        invocations: usize,
    ) -> Self {
        Self {
            name,
            shape: Shape { batch, bytes },
            invocations,
        }
    }

    /// Its name as a part of other names.
    fn slug(&self) -> String {
        self.name.to_ascii_lowercase().replace(' ', "-")
    }
}

/// A process whose invocations are measured.
struct Running {
    process: Process,
    wall: Vec<f64>,
    /// What it had used before the measured invocations.
    before: Duration,
}

impl Running {
    fn new(process: Process) -> Self {
        Self {
            process,
            wall: Vec::new(),
            before: Duration::ZERO,
        }
    }

    /// Forgets what was measured so far.
    fn begin(&mut self) -> Result<()> {
        self.wall.clear();
        self.before = self.process.cpu()?;
        Ok(())
    }

    fn invoke(&mut self, payload: &str) -> Result<()> {
        let took = self.process.invoke(payload.as_bytes())?;
        self.wall.push(milliseconds(took));
        Ok(())
    }
}

/// What the invocations of a program took, in several processes one after the other.
#[derive(Default)]
struct Measured {
    wall: Vec<f64>,
    cpu: Duration,
    peak_memory: f64,
}

impl Measured {
    fn add(&mut self, running: Running) -> Result<()> {
        self.cpu += running.process.cpu()?.saturating_sub(running.before);
        self.peak_memory = self.peak_memory.max(running.process.peak_memory()?);
        self.wall.extend(running.wall);
        Ok(())
    }

    /// CPU of one invocation, in milliseconds.
    fn cpu(&self) -> Result<f64> {
        Ok(milliseconds(self.cpu) / f64::from(u32::try_from(self.wall.len())?))
    }
}

/// Measures all cases.
pub(crate) async fn measure(
    setting: &Setting,
    effort: Effort,
    figures: &mut Figures,
) -> Result<()> {
    for case in &CASES {
        progress(&format!("warm, {}", case.name));
        let total = WARM_UP + effort.of(case.invocations) / effort.rounds;
        let script = record(setting, &case.slug(), case.shape, total).await?;
        let (mut ours, mut floor) = (Measured::default(), Measured::default());
        // Where a process happens to lie in memory, and its server process too, makes a difference of some hundredths that lasts
        // as long as they do.
        for round in 0..effort.rounds {
            let home = |name: &str| format!("{name}-{}-{round}", case.slug());
            let home_of_ours = setting.home(&home("ours")).await?;
            let home_of_floor = setting.home(&home("floor")).await?;
            let mut running = Running::new(setting.capture(&home_of_ours).start()?);
            let beside = setting.floor(&home_of_floor, Some(&script))?;
            let mut beside = Running::new(beside.start()?);
            take_turns(case, total, &mut running, &mut beside)?;
            ours.add(running)?;
            floor.add(beside)?;
            for home in [&home_of_ours, &home_of_floor] {
                check_rows(setting, home, total * case.shape.events()).await?;
            }
        }
        report(case, &ours, &floor, figures)?;
    }
    large_batch(setting, effort, figures).await?;
    flushes(setting, figures).await
}

/// What the largest payload of Lambda that a queue can fill needs of memory.
pub(crate) async fn large_batch(
    setting: &Setting,
    effort: Effort,
    figures: &mut Figures,
) -> Result<()> {
    progress("warm, batch of 6 MB");
    let home = setting.home("large-batch").await?;
    let mut process = setting.capture(&home).start()?;
    let shape = Shape {
        batch: Some(10),
        bytes: 560 * 1024,
    };
    for invocation in 0..effort.of(30) {
        process.invoke(shape.payload(invocation).as_bytes())?;
    }
    figures.add(
        Figure::new(
            "warm, batch of 6 MB: peak memory",
            Unit::KibiBytes,
            process.peak_memory()?,
        )
        .limited(48.0 * 1024.0, 48.0 * 1024.0),
    );
    Ok(())
}

fn take_turns(case: &Case, total: usize, ours: &mut Running, floor: &mut Running) -> Result<()> {
    for invocation in 0..total {
        if invocation == WARM_UP {
            ours.begin()?;
            floor.begin()?;
        }
        let payload = case.shape.payload(invocation);
        // Whoever comes second finds other caches.
        if invocation % 2 == 0 {
            ours.invoke(&payload)?;
            floor.invoke(&payload)?;
        } else {
            floor.invoke(&payload)?;
            ours.invoke(&payload)?;
        }
    }
    Ok(())
}

/// A program that skips work is no fast one.
async fn check_rows(setting: &Setting, home: &Home, events: usize) -> Result<()> {
    let events = i64::try_from(events)?;
    let rows = setting.rows(home).await?;
    ensure!(
        rows == (events, 2 * events),
        "{}: {events} events were sent, {rows:?} events and messages are there",
        home.dbname
    );
    Ok(())
}

fn report(case: &Case, ours: &Measured, floor: &Measured, figures: &mut Figures) -> Result<()> {
    let (name, events) = (case.name, f64::from(u32::try_from(case.shape.events())?));
    let (wall, cpu) = (median(&ours.wall), ours.cpu()?);
    figures.add(
        Figure::new(&format!("warm, {name}: p50"), Unit::Milliseconds, wall)
            .beside("floor", median(&floor.wall))
            .at_most(1.15, 1.15),
    );
    figures.add(
        Figure::new(
            &format!("warm, {name}: CPU of a turn"),
            Unit::Milliseconds,
            cpu / events,
        )
        .beside("floor", floor.cpu()? / events),
    );
    figures.add(
        Figure::new(
            &format!("warm, {name}: turns a second, one environment"),
            Unit::PerSecond,
            events * 1000.0 / wall,
        )
        .beside("floor", events * 1000.0 / median(&floor.wall)),
    );
    figures.add(Figure::new(
        &format!("warm, {name}: peak memory"),
        Unit::KibiBytes,
        ours.peak_memory,
    ));
    Ok(())
}

/// Has capture do it all once, and notes what it sends.
pub(crate) async fn record(
    setting: &Setting,
    name: &str,
    shape: Shape,
    total: usize,
) -> Result<Script> {
    let home = setting.home(&format!("recorded-{name}")).await?;
    let recorder = Recorder::start(setting.stack.server()).await?;
    let s3 = StubS3::start()?;
    s3.keep_bodies();
    let mut program = setting.capture_at(&home, recorder.port());
    program.s3(&s3);
    let mut process = program.start()?;
    let mut invocations = Vec::new();
    for invocation in 0..total {
        process.invoke(shape.payload(invocation).as_bytes())?;
        let objects = s3.take(&home.bucket).into_iter().map(|put| {
            Ok(Object {
                key: key(&put.path)?,
                content_type: put.content_type,
                checksum_sha256: put.checksum_sha256,
                body: Bytes(put.body),
            })
        });
        invocations.push(Invocation {
            objects: objects.collect::<Result<_>>()?,
            parameters: Vec::new(),
        });
    }
    let statement = Statement::recorded(&recorder)?;
    ensure!(
        statement.parameters.len() == total,
        "{total} invocations sent the statement {} times",
        statement.parameters.len()
    );
    for (invocation, parameters) in invocations.iter_mut().zip(statement.parameters) {
        ensure!(
            invocation.objects.len() == shape.events(),
            "{} events made {} objects",
            shape.events(),
            invocation.objects.len()
        );
        invocation.parameters = parameters;
    }
    Ok(Script {
        sql: statement.sql,
        types: statement.types,
        invocations,
    })
}

/// The key in `/bucket/key`, decoded.
fn key(path: &str) -> Result<String> {
    let key = path.splitn(3, '/').nth(2).unwrap_or_default();
    Ok(percent_decode_str(key).decode_utf8()?.into_owned())
}

/// Statements and flushes of an invocation: the one by the server's own count, the other by a proxy before it.
async fn flushes(setting: &Setting, figures: &mut Figures) -> Result<()> {
    const INVOCATIONS: u32 = 20;
    progress("statements and flushes");
    let home = setting.home("counted").await?;
    let proxy = FaultProxy::start(setting.stack.server().address()).await?;
    let mut process = setting.capture_at(&home, proxy.port()).start()?;
    let shape = Shape {
        batch: Some(10),
        bytes: 1024,
    };
    process.invoke(shape.payload(0).as_bytes())?;
    let before = (setting.statements(&home).await?, proxy.counters());
    for invocation in 1..=INVOCATIONS {
        process.invoke(shape.payload(usize::try_from(invocation)?).as_bytes())?;
    }
    let statements = u32::try_from(setting.statements(&home).await? - before.0)?;
    let flights = u32::try_from(proxy.counters().client_flights - before.1.client_flights)?;
    let each = |count: u32| f64::from(count) / f64::from(INVOCATIONS);
    figures.add(
        Figure::new(
            "warm: statements of an invocation",
            Unit::Count,
            each(statements),
        )
        .limited(1.0, 1.0),
    );
    figures.add(
        Figure::new(
            "warm: flushes to PostgreSQL of an invocation",
            Unit::Count,
            each(flights),
        )
        .limited(2.0, 1.0),
    );
    Ok(())
}
