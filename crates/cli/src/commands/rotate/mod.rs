//! `turnkeep rotate`: starts a rotation and follows it.

mod follow;
mod log;
mod report;
mod stopped;

use std::collections::BTreeMap;
use std::time::Duration;

use aurora_session::{Document, SessionError};
use secrets::{RotateRequest, SecretDescription, SecretsError, Stage, Version};
use tokio::time::{Instant, sleep_until};

use self::follow::{Follow, Look, Reason, Standing, Step};
use self::log::Log;
use self::report::{Moment, Outcome, Rotated};
use self::stopped::Stopped;
use crate::access::{Access, unreadable};
use crate::args;
use crate::failure::{Exit, Failure};
use crate::output::{Output, say};
use crate::progress::{self, stamp};

/// What `--wait` may take where no `--timeout` is given: four steps, each of which the service may repeat.
const TIME: Duration = Duration::from_mins(10);
/// Milliseconds between two looks at the labels, and the most that is added by chance, so that scripts started together
/// do not ask together.
const LOOK_EVERY_MS: u64 = 800;
const JITTER_MS: u64 = 400;
/// A sign of life, and a look at the function's log, after this long without a change.
const QUIET: Duration = Duration::from_secs(5);
/// How far the log is read back for a rotation that somebody else started, and for one started now.
const LOOK_BACK: Duration = Duration::from_hours(1);
const CLOCKS_APART: Duration = Duration::from_secs(5);
/// What finding out whether the database takes the pending password may take.
const PROBE_TIME: Duration = Duration::from_secs(5);

/// Starts a rotation, unless only asked to follow one, and follows it if asked to.
pub(crate) async fn run(
    access: &Access,
    options: &args::Rotate,
    output: Output,
) -> Result<Exit, Failure> {
    let secret_id = &access.settings.secret;
    let before = access
        .within("Secrets Manager", async {
            let described = access.secrets.describe(secret_id).await;
            described.map_err(|error| unreadable(secret_id, error))
        })
        .await?;
    let in_progress = in_progress(&before.versions);
    if let Some(version_id) = &options.follow {
        let version_id = followed(version_id.as_deref(), in_progress, &before.versions)?;
        // What made it stop may have been said long ago.
        let log = log_since(access, before.rotation_function_arn.as_deref(), LOOK_BACK);
        return follow(access, &before, version_id, log, output).await;
    }

    if let Some(version_id) = in_progress {
        return Err(already_in_progress(&version_id));
    }
    if options.function.is_none() && before.rotation_enabled != Some(true) {
        return Err(not_configured(&before));
    }
    let request = RotateRequest {
        function_arn: options.function.clone(),
        days: options.days,
        immediately: Some(true),
        ..RotateRequest::default()
    };
    let function = options
        .function
        .as_deref()
        .or(before.rotation_function_arn.as_deref());
    let log = log_since(access, function, CLOCKS_APART);
    let version_id = access
        .within("Secrets Manager", async {
            access
                .secrets
                .rotate(secret_id, request)
                .await
                .map_err(not_started)
        })
        .await?;
    if options.wait {
        return follow(access, &before, version_id, log, output).await;
    }
    output.report(&Rotated::new(
        &before,
        version_id,
        access.elapsed(),
        Outcome::Started,
    ))?;
    Ok(Exit::Done)
}

fn log_since(access: &Access, function_arn: Option<&str>, back: Duration) -> Option<Log> {
    function_arn.map(|arn| Log::since(&access.aws, arn, back))
}

/// Returns the version that a rotation is making: the one which is pending and not current, as `RotateSecret` sees it.
fn in_progress(versions: &BTreeMap<String, Vec<String>>) -> Option<String> {
    let has = |labels: &[String], stage: Stage| labels.iter().any(|label| label == stage.as_str());
    versions
        .iter()
        .find(|(_, labels)| has(labels, Stage::Pending) && !has(labels, Stage::Current))
        .map(|(version_id, _)| version_id.clone())
}

/// Returns the version to follow. One that is named may be current by now.
fn followed(
    named: Option<&str>,
    in_progress: Option<String>,
    versions: &BTreeMap<String, Vec<String>>,
) -> Result<String, Failure> {
    match (named, in_progress) {
        (Some(version_id), _) if versions.contains_key(version_id) => Ok(version_id.to_owned()),
        (Some(version_id), _) => Err(Failure::new(
            Exit::RotationStopped,
            "NoRotation",
            format!("no label is on version {version_id}"),
        )
        .next("see the secret's versions: turnkeep credentials; if clients are refused: turnkeep recover")),
        (None, Some(version_id)) => Ok(version_id),
        (None, None) => Err(Failure::new(
            Exit::RotationStopped,
            "NoRotation",
            "no rotation is in progress: no version but the current one is pending",
        )
        .next("start one: turnkeep rotate --wait")),
    }
}

fn already_in_progress(version_id: &str) -> Failure {
    Failure::new(
        Exit::RotationStopped,
        "RotationInProgress",
        format!("a rotation is in progress, or stopped before its end; its version: {version_id}"),
    )
    .next("follow it to its end, or see where it stopped: turnkeep rotate --follow")
}

fn not_configured(description: &SecretDescription) -> Failure {
    let (sentence, next) = match &description.rotation_function_arn {
        Some(arn) => (
            "rotation is switched off",
            format!("switch it on: turnkeep rotate --function {arn} --wait"),
        ),
        None => (
            "rotation is not configured",
            "name the rotation function: turnkeep rotate --function ARN --days 30 --wait"
                .to_owned(),
        ),
    };
    Failure::new(
        Exit::RotationStopped,
        "RotationNotConfigured",
        format!("{sentence} for secret {}", description.name),
    )
    .next(next)
}

fn not_started(error: SecretsError) -> Failure {
    let next = match &error {
        SecretsError::AccessDenied(_) => Some(
            "allow secretsmanager:RotateSecret to you, and to secretsmanager.amazonaws.com \
             lambda:InvokeFunction on the function",
        ),
        // The secret was there a moment ago.
        SecretsError::NotFound(_) => {
            Some("name the rotation function by its ARN: turnkeep rotate --function ARN")
        }
        SecretsError::InvalidRequest(_) => {
            Some("see labels and rotation of the secret: turnkeep credentials")
        }
        _ => None,
    };
    let failure = Failure::from(error).context("the rotation is not started".to_owned());
    match next {
        Some(next) => failure.next(next),
        None => failure,
    }
}

/// Looks at the labels until version `version_id` is current or will not become so.
async fn follow(
    access: &Access,
    before: &SecretDescription,
    version_id: String,
    mut log: Option<Log>,
    output: Output,
) -> Result<Exit, Failure> {
    let deadline = access.deadline(TIME);
    let mut follow = Follow::default();
    let mut timeline = Vec::new();
    let mut told = Instant::now();
    let stamped = |sentence: &str| say(&format!("{}  {sentence}", stamp(access.elapsed())));
    stamped(&format!("following version {version_id}"));
    let reason = loop {
        for change in follow.observe(&look(access, &version_id, &follow).await?) {
            stamped(change.sentence());
            timeline.push(Moment::new(access.elapsed(), change));
            told = Instant::now();
        }
        match follow.standing() {
            Standing::Done => {
                let outcome = Outcome::Rotated { timeline };
                output.report(&Rotated::new(before, version_id, access.elapsed(), outcome))?;
                return Ok(Exit::Done);
            }
            Standing::Stopped(reason) => break reason,
            Standing::Going if Instant::now() >= deadline => break Reason::Timeout,
            Standing::Going => {}
        }
        if told.elapsed() >= QUIET {
            let lines = match &mut log {
                Some(log) => log.new_errors(&version_id).await,
                None => Vec::new(),
            };
            for line in &lines {
                stamped(&format!("the function says: {line}"));
            }
            if lines.is_empty() {
                stamped("waiting for the rotation function");
            }
            told = Instant::now();
        }
        let pause = Duration::from_millis(LOOK_EVERY_MS + fastrand::u64(..=JITTER_MS));
        sleep_until(deadline.min(Instant::now() + pause)).await;
    };

    let stopped = progress::watch(
        "the function's log and the database",
        examine(access, &version_id, &follow, log, reason),
    )
    .await
    .with_next(
        &access.settings.secret,
        &version_id,
        before.version_with(Stage::Current),
    );
    say(&format!(
        "turnkeep: the rotation is not complete: {}",
        stopped.sentence()
    ));
    let outcome = Outcome::Stopped { timeline, stopped };
    output.report(&Rotated::new(before, version_id, access.elapsed(), outcome))?;
    Ok(Exit::RotationStopped)
}

/// Looks once. A service that cannot be reached for a moment is looked at again, until the time is over.
async fn look(access: &Access, version_id: &str, follow: &Follow) -> Result<Look, Failure> {
    let secret_id = &access.settings.secret;
    let deadline = access.deadline(TIME);
    loop {
        let description = match access.secrets.describe(secret_id).await {
            Ok(description) => description,
            Err(error) if error.retry() == secrets::Retry::Later && Instant::now() < deadline => {
                say(&format!(
                    "{}  {}",
                    stamp(access.elapsed()),
                    startup::report::chain(&error)
                ));
                sleep_until(deadline.min(Instant::now() + QUIET)).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let has_value = if follow.has_value() {
            Some(true)
        } else {
            has_value(access, version_id).await
        };
        return Ok(Look::of(&description, version_id, has_value));
    }
}

/// Whether the version has a value; `None` if that may not be read.
async fn has_value(access: &Access, version_id: &str) -> Option<bool> {
    let secret_id = &access.settings.secret;
    let found = access
        .secrets
        .find(secret_id, Version::Id(version_id))
        .await;
    found.ok().map(|value| value.is_some())
}

/// Finds out at which step a rotation stopped, and why.
async fn examine(
    access: &Access,
    version_id: &str,
    follow: &Follow,
    log: Option<Log>,
    reason: Reason,
) -> Stopped {
    let has_value = if follow.has_value() {
        Some(true)
    } else {
        has_value(access, version_id).await
    };
    let database_accepts = if has_value == Some(true) {
        database_accepts(access, version_id).await
    } else {
        None
    };
    let log = match log {
        Some(mut log) => {
            log.new_errors(version_id).await;
            Some(log.into_excerpt())
        }
        None => None,
    };
    Stopped {
        reason,
        step: Step::missing(has_value, database_accepts),
        has_value,
        database_accepts,
        log,
        next: String::new(),
    }
}

/// Whether the database takes the version's password; `None` where that cannot be found out from here.
async fn database_accepts(access: &Access, version_id: &str) -> Option<bool> {
    let secret_id = &access.settings.secret;
    let value = access
        .secrets
        .get(secret_id, Version::Id(version_id))
        .await
        .ok()?;
    let document = Document {
        version_id: value.version_id,
        text: value.secret_string?,
    };
    let session = access.session(secret_id, access.trust().ok()?);
    let session = session.build().ok()?;
    let until = Instant::now() + PROBE_TIME;
    match session.log_in_once(&document, until).await {
        Ok(_) => Some(true),
        Err(SessionError::Login(error)) if error.is_refused() => Some(false),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(versions: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        versions
            .iter()
            .map(|(id, labels)| {
                let labels = labels.iter().map(|&label| label.to_owned()).collect();
                ((*id).to_owned(), labels)
            })
            .collect()
    }

    #[track_caller]
    fn check_in_progress(versions: &[(&str, &[&str])], expected: Option<&str>) {
        assert_eq!(in_progress(&labels(versions)).as_deref(), expected);
    }

    #[test]
    fn a_rotation_is_in_progress_while_another_version_than_the_current_one_is_pending() {
        check_in_progress(&[("v1", &["AWSCURRENT"])], None);
        check_in_progress(
            &[
                ("v1", &["AWSPREVIOUS"]),
                ("v2", &["AWSCURRENT", "AWSPENDING"]),
            ],
            None,
        );
        check_in_progress(
            &[("v1", &["AWSCURRENT"]), ("v2", &["AWSPENDING"])],
            Some("v2"),
        );
        check_in_progress(&[("v2", &["AWSPENDING"])], Some("v2"));
    }

    #[test]
    fn a_version_is_followed_by_its_id_even_when_it_is_current_by_now() {
        let versions = labels(&[("v1", &["AWSPREVIOUS"]), ("v2", &["AWSCURRENT"])]);
        let followed = |named, pending: Option<&str>| {
            followed(named, pending.map(str::to_owned), &versions).map_err(|error| error.exit())
        };
        assert_eq!(followed(Some("v2"), None), Ok("v2".to_owned()));
        assert_eq!(followed(None, Some("v3")), Ok("v3".to_owned()));
        assert_eq!(followed(None, None), Err(Exit::RotationStopped));
        assert_eq!(followed(Some("v9"), None), Err(Exit::RotationStopped));
    }
}
