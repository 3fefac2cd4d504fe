//! What a rotation costs: calls, logins, memory, and the gap in which `AWSCURRENT` opens nothing.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use local::secrets_manager::Step;
use serde_json::{Value, json};

use crate::figures::{Figure, Figures, Unit, median};
use crate::run::{Effort, progress};
use crate::setting::{SECRET, Setting};
use crate::start::milliseconds;

/// Rotations at full effort.
const ROTATIONS: usize = 40;
/// How long the stack may take to end a rotation whose steps are done.
const PATIENCE: Duration = Duration::from_secs(30);

/// Calls of Secrets Manager that AWS's function for a single user makes, by its source: each step looks at the labels;
/// `createSecret` reads two versions, asks for a password and puts, `setSecret` reads three, `testSecret` one, and
/// `finishSecret` looks again and moves.
const CALLS_OF_THE_REFERENCE: f64 = 14.0;

/// What rotations cost, one value each.
#[derive(Default)]
struct Costs {
    calls: Vec<f64>,
    refused_logins: Vec<f64>,
    wall: Vec<f64>,
}

/// Measures rotations as AWS has them, and with fast promotion. The secret has other passwords afterwards.
pub(crate) async fn measure(
    setting: &Setting,
    effort: Effort,
    figures: &mut Figures,
) -> Result<()> {
    setting.define_rotation()?;
    for (name, fast, calls) in [
        ("rotation", false, 13.0),
        ("rotation with fast promotion", true, 11.0),
    ] {
        progress(name);
        let program = setting.rotating(fast);
        let mut process = program.start()?;
        let mut costs = Costs::default();
        for _ in 0..effort.of(ROTATIONS) {
            let rotation = setting.begin_rotation()?;
            let (before, refused) = (setting.calls(), setting.refused_logins()?);
            let mut wall = Duration::ZERO;
            for step in Step::ALL {
                let event = json!({"Step": step.as_str(), "SecretId": SECRET, "ClientRequestToken": rotation.token});
                wall += process.invoke(event.to_string().as_bytes())?;
            }
            costs.calls.push(count(setting.calls() - before)?);
            let refused = setting.refused_logins()? - refused;
            costs.refused_logins.push(count(refused)?);
            costs.wall.push(milliseconds(wall));
            rotation.end(PATIENCE).await?;
        }
        figures.add(
            Figure::new(
                &format!("{name}: calls of Secrets Manager"),
                Unit::Count,
                median(&costs.calls),
            )
            .beside("AWS's", CALLS_OF_THE_REFERENCE)
            .limited(calls, calls),
        );
        figures.add(
            Figure::new(
                &format!("{name}: refused logins"),
                Unit::Count,
                median(&costs.refused_logins),
            )
            .limited(1.0, 1.0),
        );
        figures.add(Figure::new(
            &format!("{name}: time of its four steps"),
            Unit::Milliseconds,
            median(&costs.wall),
        ));
        figures.add(
            Figure::new(
                &format!("{name}: peak memory"),
                Unit::KibiBytes,
                process.peak_memory()?,
            )
            .limited(20.0 * 1024.0, 20.0 * 1024.0),
        );
        if fast {
            let gaps = gaps(&process.log()?)?;
            ensure!(
                gaps.len() == costs.calls.len(),
                "{} rotations tell {} gaps",
                costs.calls.len(),
                gaps.len()
            );
            figures.add(
                Figure::new(
                    &format!("{name}: gap from commit to label, p50"),
                    Unit::Milliseconds,
                    median(&gaps),
                )
                .limited(30.0, 30.0),
            );
        }
    }
    Ok(())
}

/// The gaps that the function has told in its log, in milliseconds.
fn gaps(log: &str) -> Result<Vec<f64>> {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter_map(|line| line.get("fields")?.get("gap_ms").cloned())
        .map(|gap| gap.as_f64().context("`gap_ms` is no number"))
        .collect()
}

fn count(number: usize) -> Result<f64> {
    Ok(f64::from(u32::try_from(number)?))
}
