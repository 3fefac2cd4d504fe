//! How long a process takes to its first question for work, and to its first answer.

use std::time::Duration;

use anyhow::Result;

use crate::events::Shape;
use crate::figures::{Figure, Figures, Unit, median};
use crate::process::{Process, Program};
use crate::run::Effort;
use crate::setting::Setting;

/// What a start cost.
#[derive(Default)]
struct Starts {
    wall: Vec<f64>,
    cpu: Vec<f64>,
    memory: Vec<f64>,
}

impl Starts {
    fn note(&mut self, wall: Duration, process: &Process) -> Result<()> {
        self.wall.push(milliseconds(wall));
        self.cpu.push(milliseconds(process.cpu()?));
        self.memory.push(process.peak_memory()?);
        Ok(())
    }
}

/// Starts each program in turn, again and again, up to its first question for work.
fn to_next<const N: usize>(programs: &[Program; N], rounds: usize) -> Result<[Starts; N]> {
    let mut starts = std::array::from_fn(|_| Starts::default());
    for _ in 0..rounds {
        for (program, starts) in programs.iter().zip(&mut starts) {
            let process = program.start()?;
            starts.note(process.started_in, &process)?;
        }
    }
    Ok(starts)
}

/// Measures the starts of all programs.
pub(crate) async fn measure(
    setting: &Setting,
    effort: Effort,
    figures: &mut Figures,
) -> Result<()> {
    let home = setting.home("start").await?;
    let programs = [
        setting.unpacked(setting.hello())?,
        setting.unpacked(setting.capture_without_database())?,
        setting.unpacked(setting.rotation())?,
        setting.unpacked(setting.capture(&home))?,
        setting.unpacked(setting.floor(&home, None)?)?,
    ];
    let [hello, capture, rotation, connected, floor] = to_next(&programs, effort.starts)?;
    let against_hello = |name: &str, ours: &Starts| {
        Figure::new(name, Unit::Milliseconds, median(&ours.cpu)).beside("hello", median(&hello.cpu))
    };
    figures.add(against_hello("start, capture: CPU to first `next`", &capture).at_most(3.0, 1.5));
    figures.add(against_hello("start, rotation: CPU to first `next`", &rotation).at_most(3.0, 1.5));
    let wall = |name: &str, ours: &Starts| {
        Figure::new(name, Unit::Milliseconds, median(&ours.wall))
            .beside("hello", median(&hello.wall))
    };
    figures.add(wall("start, capture: time to first `next`", &capture));
    figures.add(wall("start, rotation: time to first `next`", &rotation));
    figures.add(
        Figure::new(
            "start, capture with its connection: CPU to first `next`",
            Unit::Milliseconds,
            median(&connected.cpu),
        )
        .beside("floor", median(&floor.cpu)),
    );
    figures.add(
        Figure::new(
            "start, capture with its connection: time to first `next`",
            Unit::Milliseconds,
            median(&connected.wall),
        )
        .beside("floor", median(&floor.wall)),
    );
    for (name, ours) in [("capture", &connected), ("rotation", &rotation)] {
        figures.add(
            Figure::new(
                &format!("start, {name}: peak memory at first `next`"),
                Unit::KibiBytes,
                median(&ours.memory),
            )
            .beside("hello", median(&hello.memory)),
        );
    }
    first_answer(setting, effort, figures).await
}

/// From the start of the process to the answer of its first event, which a caller waits for at a cold start.
async fn first_answer(setting: &Setting, effort: Effort, figures: &mut Figures) -> Result<()> {
    let home = setting.home("cold").await?;
    let program = setting.unpacked(setting.capture(&home))?;
    let shape = Shape {
        batch: None,
        bytes: 1024,
    };
    let hello = setting.unpacked(setting.hello())?;
    let (mut ours, mut least) = (Starts::default(), Starts::default());
    for round in 0..effort.starts {
        for (program, starts) in [(&program, &mut ours), (&hello, &mut least)] {
            let mut process = program.start()?;
            let took = process.invoke(shape.payload(round).as_bytes())?;
            starts.note(process.started_in + took, &process)?;
        }
    }
    for (name, of) in [
        (
            "start, capture: time to first answer",
            (&ours.wall, &least.wall),
        ),
        (
            "start, capture: CPU to first answer",
            (&ours.cpu, &least.cpu),
        ),
    ] {
        figures
            .add(Figure::new(name, Unit::Milliseconds, median(of.0)).beside("hello", median(of.1)));
    }
    Ok(())
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
