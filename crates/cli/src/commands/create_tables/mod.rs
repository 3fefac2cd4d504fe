//! `turnkeep create-tables`: roles, tables and grants, and the application's secret.

mod application;
mod report;

use std::time::Duration;

use aurora::{Credentials, Login, Target, Tls, Trust};
use rotation::event::MigrateEvent;
use rotation::migrate::{self, Setup};
use secrets::{LoginSecret, SecretsError, Stage, Version};
use tokio::time::timeout_at;

use self::application::Application;
use self::report::{Created, Database, SecretState};
use crate::access::Access;
use crate::args;
use crate::failure::{Exit, Failure};
use crate::function;
use crate::output::Output;
use crate::progress;

/// What the verb may take where no `--timeout` is given; a migration may have to wait for locks.
const TIME: Duration = Duration::from_mins(5);

/// Sets the database up from here, or through the rotation function.
pub(crate) async fn run(
    access: &Access,
    options: &args::CreateTables,
    output: Output,
) -> Result<Exit, Failure> {
    let created = match (&options.function, &options.master_secret) {
        (Some(function), _) => through_function(access, options, function).await,
        (None, Some(master)) => with_master(access, options, master).await,
        (None, None) => with_own_user(access, options).await,
    }?;
    output.report(&created)?;
    Ok(Exit::Done)
}

/// Migrates with the rights of the secret's own user.
async fn with_own_user(access: &Access, options: &args::CreateTables) -> Result<Created, Failure> {
    let trust = access.trust()?;
    let proven = access.prove().await?;
    let target = proven.version.target.clone();
    let application = credentials(&proven.version.secret);
    let database = Database::new(&target);
    let setup = setup(access, application, None, target, trust, options);
    let report = set_up(access, proven.login, &setup).await?;
    Ok(Created::new(
        SecretState::Found,
        access.settings.secret.clone(),
        Some(database),
        None,
        report,
    ))
}

/// Makes or repairs everything with the rights of the master user.
async fn with_master(
    access: &Access,
    options: &args::CreateTables,
    master_id: &str,
) -> Result<Created, Failure> {
    let trust = access.trust()?;
    let (application, pending, place) = access
        .within("Secrets Manager", async {
            let master = master(access, master_id).await?;
            let application = Application::find_or_create(access, options, Some(&master)).await?;
            let pending = application.pending(access).await?;
            // A managed master secret has no host; the application's has.
            let mut place = access.place(&application.login);
            place.host = place.host.or(master.host);
            Ok((application, pending, place))
        })
        .await?;
    let target = place.target()?;
    let login = access
        .within("the database", log_in(access, master_id, &target, &trust))
        .await?;
    let database = Database::new(&target);
    let login_of_application = credentials(&application.login);
    let pending = pending.as_ref().map(credentials);
    let setup = setup(
        access,
        login_of_application,
        pending,
        target,
        trust,
        options,
    );
    let report = set_up(access, login, &setup).await?;
    Ok(Created::new(
        application.state,
        access.settings.secret.clone(),
        Some(database),
        None,
        report,
    ))
}

/// Has the rotation function do it, which reaches the database and knows the master secret.
async fn through_function(
    access: &Access,
    options: &args::CreateTables,
    function: &str,
) -> Result<Created, Failure> {
    let state = if options.create_secret {
        access
            .within("Secrets Manager", async {
                let master = match &options.master_secret {
                    Some(id) => Some(master(access, id).await?),
                    None => None,
                };
                let application =
                    Application::find_or_create(access, options, master.as_ref()).await?;
                Ok(application.state)
            })
            .await?
    } else {
        SecretState::Found
    };
    if options.dry_run && state == SecretState::WouldCreate {
        return Err(Failure::new(
            Exit::Failed,
            "SecretMissing",
            format!(
                "secret {} does not exist yet, and the function needs it even to plan",
                access.settings.secret
            ),
        )
        .next("run it without --dry-run, or with --master-secret and without --function"));
    }
    let event = MigrateEvent {
        secret_id: access.settings.secret.clone(),
        master_secret_id: options.master_secret.clone(),
        dry_run: options.dry_run,
    };
    let report = function::order(access, function, &event, access.deadline(TIME)).await?;
    Ok(Created::new(
        state,
        access.settings.secret.clone(),
        None,
        Some(function.to_owned()),
        report,
    ))
}

async fn master(access: &Access, master_id: &str) -> Result<LoginSecret, Failure> {
    let named = |failure: Failure| failure.context(format!("cannot use master secret {master_id}"));
    let value = access
        .secrets
        .get(master_id, Version::Stage(Stage::Current))
        .await
        .map_err(|error| match error {
            SecretsError::NotFound(_) => named(Failure::from(error))
                .next("name the master user's secret with --master-secret"),
            error => named(Failure::from(error)),
        })?;
    value
        .text()
        .and_then(LoginSecret::parse)
        .map_err(|error| named(Failure::from(error)))
}

/// Logs in as the master user, whose secret RDS may be rotating at this moment.
async fn log_in(
    access: &Access,
    master_id: &str,
    target: &Target,
    trust: &Trust,
) -> Result<Login, Failure> {
    let session = access
        .session(master_id, trust.clone())
        .host(&target.host)
        .port(target.port)
        .dbname(&target.dbname)
        .build()?;
    Ok(session.connect(access.connect_deadline()).await?)
}

fn credentials(login: &LoginSecret) -> Credentials {
    Credentials {
        username: login.username.clone(),
        password: login.password.clone(),
    }
}

fn setup(
    access: &Access,
    application: Credentials,
    pending: Option<Credentials>,
    target: Target,
    trust: Trust,
    options: &args::CreateTables,
) -> Setup {
    Setup {
        application,
        pending,
        access: migrate::Access {
            target,
            trust,
            tls: Tls::Require,
            deadline: access.deadline(TIME),
        },
        dry_run: options.dry_run,
    }
}

async fn set_up(
    access: &Access,
    mut login: Login,
    setup: &Setup,
) -> Result<migrate::Report, Failure> {
    let work = timeout_at(
        access.deadline(TIME),
        migrate::run(&mut login.client, setup),
    );
    match progress::watch("roles, migrations and grants", work).await {
        Ok(report) => Ok(report?),
        Err(_) => Err(Failure::new(
            Exit::Unreachable,
            "Timeout",
            "the database is not set up in time; what was not committed is rolled back",
        )
        .next("look for sessions that hold locks, then run it again with a longer --timeout")),
    }
}
