//! What must hold in a run, and is looked at from outside.

use secrecy::ExposeSecret;
use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::play::{Run, error_of, text_in};
use super::{Broken, Strategy};
use crate::secrets_manager::Step;
use crate::secrets_manager::labels::{CURRENT, PENDING, PREVIOUS};
use crate::{Credentials, Error};

/// How often the labels and the passwords may change while they are looked at.
const LOOKS: u32 = 50;

/// How often a step is called whose time runs out, as it may on a busy machine; the service, too, repeats what failed.
const CALLS: u32 = 3;
const TIME_RAN_OUT: [&str; 5] = [
    "DATABASE_TIMED_OUT",
    "OUT_OF_TIME",
    "ROLE_TIMED_OUT",
    "Sandbox.Timedout",
    "TimeoutError",
];

/// What decides who gets in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    current: Option<String>,
    pending: Option<String>,
    previous: Option<String>,
    /// The verifiers of the roles, by their names.
    verifiers: Vec<(String, Option<String>)>,
}

impl Seen {
    /// Whether a rotation is not over.
    pub(super) fn is_under_way(&self) -> bool {
        self.pending.is_some() && self.pending != self.current
    }

    /// Whether neither a password nor the current version is another than before.
    fn is_as(&self, before: &Self) -> bool {
        (&self.verifiers, &self.current) == (&before.verifiers, &before.current)
    }
}

impl Run<'_> {
    /// Takes what is there for what was there before anything happened.
    pub(super) async fn begin_to_watch(&mut self) -> Result<(), Error> {
        self.first = self.look().await?;
        let first = self.first.clone();
        self.first_refused = !self.accepts(first.current.as_ref(), &first).await?;
        Ok(())
    }

    /// Whether `AWSCURRENT` or `AWSPENDING` opens the database, or nothing has happened yet; of alternating users `AWSCURRENT`
    /// does, unless it did not before.
    pub(super) async fn check(&mut self, when: &str) -> Result<(), Broken> {
        for _ in 0..LOOKS {
            let seen = self.look().await?;
            let current = self.accepts(seen.current.as_ref(), &seen).await?;
            let opens = current || self.accepts(seen.pending.as_ref(), &seen).await?;
            let still_refused = self.first_refused && seen.current == self.first.current;
            let may_be_refused = self.strategy == Strategy::SingleUser || still_refused;
            let broken = if !opens && !seen.is_as(&self.first) {
                "neither AWSCURRENT nor AWSPENDING"
            } else if !current && !may_be_refused {
                "AWSPENDING only, although two users alternate"
            } else {
                return Ok(());
            };
            // It may have changed between the two looks.
            if self.look().await? == seen {
                return Err(Broken::Promise(format!(
                    "{when}: the database accepts {broken}"
                )));
            }
        }
        Err(Broken::Promise(format!("{when}: it never rests")))
    }

    /// The rotation that is not over, if there is one, and then another.
    pub(super) async fn rotate_normally(&mut self) -> Result<(), Broken> {
        let seen = self.look().await?;
        let left = seen.pending.clone().filter(|_| seen.is_under_way());
        let token = format!("{:016x}-normal-rotation", self.seed);
        for (which, token) in [
            left.map(|token| ("the rotation that was left", token)),
            Some(("a normal rotation", token)),
        ]
        .into_iter()
        .flatten()
        {
            let broken = |reason: String| Broken::Promise(format!("{which}: {reason}"));
            let before = self.look().await?;
            let opened = self.accepts(before.current.as_ref(), &before).await?;
            self.rotate(&token).await.map_err(broken)?;
            let seen = self.look().await?;
            if !self.accepts(seen.current.as_ref(), &seen).await? {
                return Err(broken("the database refuses AWSCURRENT".to_owned()));
            }
            if opened && self.strategy == Strategy::AlternatingUsers {
                let shared = self.share_tables(&seen).await;
                shared.map_err(|error| broken(crate::error::chain(&error)))?;
            }
        }
        Ok(())
    }

    /// Calls the four steps; why that is no success.
    async fn rotate(&self, token: &str) -> Result<(), String> {
        let secrets_manager = self.player.stack.secrets_manager();
        secrets_manager
            .reserve(&self.secret_arn, token, &self.function)
            .map_err(|error| error.to_string())?;
        for step in Step::ALL {
            let mut calls = 1;
            while let Err((error_type, message)) = self.step(step, token).await {
                if calls == CALLS || !TIME_RAN_OUT.contains(&&*error_type) {
                    return Err(format!("{step}: {error_type}: {message}"));
                }
                calls += 1;
            }
        }
        if secrets_manager.complete(&self.secret_arn, token) {
            Ok(())
        } else {
            Err("AWSCURRENT is not on its version".to_owned())
        }
    }

    /// Calls a step; type and message of its error.
    async fn step(&self, step: Step, token: &str) -> Result<(), (String, String)> {
        let invoked = self.invocation(step, token).await;
        let invoked = invoked.map_err(|refused| (refused.code().to_owned(), String::new()))?;
        error_of(&invoked).map_or(Ok(()), Err)
    }

    /// Both users get in behind a rotation, and each changes and drops what the other has made.
    async fn share_tables(&self, seen: &Seen) -> Result<(), Error> {
        let schema = &self.player.scene.schema;
        let users = [
            self.session("AWSCURRENT", seen.current.as_ref()).await?,
            self.session("AWSPREVIOUS", seen.previous.as_ref()).await?,
        ];
        let [current, previous] = &users;
        for (maker, other) in [(current, previous), (previous, current)] {
            for (client, statements) in [
                (maker, "CREATE TABLE {schema}.made (id int)"),
                (other, "ALTER TABLE {schema}.made ADD COLUMN more int"),
                (other, "INSERT INTO {schema}.made VALUES (1, 2)"),
                (maker, "ALTER TABLE {schema}.made DROP COLUMN more"),
                (other, "DROP TABLE {schema}.made"),
            ] {
                run(client, &statements.replace("{schema}", schema)).await?;
            }
        }
        for client in &users {
            let made_before = format!(
                "DO $$ DECLARE made regclass; BEGIN \
                 FOR made IN SELECT oid FROM pg_class WHERE relkind = 'r' \
                     AND relnamespace = '{schema}'::regnamespace LOOP \
                 EXECUTE format('ALTER TABLE %s ADD COLUMN more int', made); \
                 EXECUTE format('ALTER TABLE %s DROP COLUMN more', made); \
                 END LOOP; END $$"
            );
            run(client, &made_before).await?;
        }
        Ok(())
    }

    pub(super) async fn look(&self) -> Result<Seen, Error> {
        let query =
            "SELECT rolname::text, rolpassword FROM pg_authid WHERE rolname = ANY ($1) ORDER BY 1";
        let scene = &self.player.scene;
        let users = scene.users();
        let rows = scene.superuser.query(query, &[&users.as_slice()]).await;
        let rows = rows.map_err(Error::database("read the verifiers"))?;
        let stages = self.player.stack.secrets_manager().stages(&self.secret_arn);
        let with = |label: &str| {
            let held = |stages: &Vec<String>| stages.iter().any(|stage| stage == label);
            let found = stages.iter().find(|(_, stages)| held(stages));
            found.map(|(id, _)| id.clone())
        };
        Ok(Seen {
            current: with(CURRENT),
            pending: with(PENDING),
            previous: with(PREVIOUS),
            verifiers: rows.iter().map(|row| (row.get(0), row.get(1))).collect(),
        })
    }

    /// Logs in, unless it did with the same password against the same verifier.
    async fn accepts(&mut self, version: Option<&String>, seen: &Seen) -> Result<bool, Error> {
        let Some((version, credentials)) =
            version.and_then(|version| Some((version, self.credentials(version)?)))
        else {
            return Ok(false);
        };
        let verifiers = seen.verifiers.iter();
        let verifier = verifiers
            .filter(|(role, _)| *role == credentials.username)
            .find_map(|(_, verifier)| verifier.clone());
        let key = (version.clone(), verifier);
        if let Some(known) = self.accepted.get(&key) {
            return Ok(*known);
        }
        let database = &self.player.scene.database;
        let accepted = match database.connect(&credentials).await {
            Ok(_) => true,
            Err(Error::Database { source, .. }) if is_refused(&source) => false,
            Err(error) => return Err(error),
        };
        self.accepted.insert(key, accepted);
        Ok(accepted)
    }

    async fn session(&self, label: &str, version: Option<&String>) -> Result<Client, Error> {
        let credentials = version.and_then(|version| self.credentials(version));
        let missing = || Error::Api {
            doing: format!("log in with {label}"),
            reason: "there is no such version".to_owned(),
        };
        let credentials = credentials.ok_or_else(missing)?;
        self.player.scene.database.connect(&credentials).await
    }

    /// What a version holds; `None` where it has no value yet.
    fn credentials(&self, version: &str) -> Option<Credentials> {
        let secrets_manager = self.player.stack.secrets_manager();
        let text = secrets_manager.text_of(&self.secret_arn, version)?;
        let secret: Value = serde_json::from_str(text.expose_secret()).unwrap_or_default();
        let member = |name: &str| text_in(&secret, name);
        Some(Credentials::new(member("username"), member("password")))
    }
}

/// Whether the server says that it is not this password.
fn is_refused(error: &tokio_postgres::Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
    )
}

async fn run(client: &Client, statements: &str) -> Result<(), Error> {
    let result = client.batch_execute(statements).await;
    result.map_err(Error::database(format!("run {statements}")))
}
