//! What a run begins with: roles, their passwords, secrets.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::Strategy;
use super::script::{Script, Start};
use crate::postgres::{managed_secret, unique, verifier};
use crate::secrets_manager::labels::{CURRENT, PENDING};
use crate::{Credentials, Database, Error, Stack};

/// The roles of one player. The users of alternating users are the first and its clone.
pub(super) struct Scene {
    pub(super) database: Database,
    pub(super) superuser: Client,
    /// The session of the master, who makes the users: since PostgreSQL 16 only their maker may administer them.
    master: Client,
    user: Accepted,
    /// Another password of the user.
    refused: Credentials,
    clone: Accepted,
    masters: [Accepted; 2],
    /// Where both users have their tables.
    pub(super) schema: String,
}

/// Credentials, and the verifier with which the database accepts them.
struct Accepted {
    credentials: Credentials,
    verifier: String,
}

/// The master of one run, and its secret as RDS manages it.
#[derive(Debug)]
pub(super) struct Master {
    pub(super) secret_arn: String,
    /// Which of its two passwords the database accepts.
    at: usize,
    in_gap: bool,
}

impl Scene {
    pub(super) async fn build(database: &Database) -> Result<Self, Error> {
        let name = unique("chaos");
        let master_name = format!("{name}_master");
        let masters = [0, 1].map(|_| Accepted::generate(&master_name));
        let user = Accepted::generate(&name);
        let superuser = database.superuser().await?;
        let [master, _] = &masters;
        let create = format!("CREATE ROLE {} CREATEROLE", master.login());
        run(&superuser, &create, "create a master").await?;
        let master = database.connect(&master.credentials).await?;
        let create = format!("CREATE ROLE {}", user.login());
        run(&master, &create, "create a user").await?;
        Ok(Self {
            database: database.clone(),
            superuser,
            master,
            refused: Credentials::generate(&name),
            clone: Accepted::generate(&format!("{name}_clone")),
            user,
            masters,
            schema: format!("{name}_tables"),
        })
    }

    /// Names of the two users.
    pub(super) fn users(&self) -> [&str; 2] {
        [&self.user, &self.clone].map(|one| &*one.credentials.username)
    }

    /// Makes the roles what the script wants, and the secret with the master's, which `port` leads to.
    pub(super) async fn set(
        &self,
        script: &Script,
        stack: &Stack,
        port: u16,
    ) -> Result<(String, Option<Master>), Error> {
        let [user, clone] = self.users();
        let [master, _] = &self.masters;
        let passwords = [&self.user, master].map(Accepted::set).join("; ");
        run(&self.superuser, &passwords, "set the first passwords").await?;
        if script.strategy == Strategy::AlternatingUsers {
            let schema = &self.schema;
            let tables = format!(
                "DROP SCHEMA IF EXISTS {schema} CASCADE; DROP ROLE IF EXISTS {clone}; \
                 CREATE SCHEMA {schema} AUTHORIZATION {user}; \
                 CREATE TABLE {schema}.of_the_first (id int); \
                 ALTER TABLE {schema}.of_the_first OWNER TO {user}"
            );
            run(&self.superuser, &tables, "make the tables of two users").await?;
            self.set_clone(script.start).await?;
        }
        let master = (script.strategy == Strategy::AlternatingUsers)
            .then(|| self.master_secret(stack))
            .transpose()?;
        let master_arn = master.as_ref().map(|master| &*master.secret_arn);
        let (first, clone) = (&self.user.credentials, &self.clone.credentials);
        let (older, newer) = match (script.start, script.strategy) {
            (Start::New, _) => (first, None),
            (Start::Rotated, Strategy::AlternatingUsers) => (first, Some(clone)),
            (Start::Rotated, Strategy::SingleUser) => (&self.refused, Some(first)),
            (Start::WrongCurrent, _) => (first, Some(&self.refused)),
            (Start::FromReference, _) => (clone, Some(first)),
        };
        let text = |credentials| self.text(credentials, port, master_arn);
        let secret_arn = stack.create_secret(&unique("chaos"), &text(older))?;
        if let Some(newer) = newer {
            let secrets_manager = stack.secrets_manager();
            secrets_manager.put(&secret_arn, &text(newer), CURRENT);
        }
        Ok((secret_arn, master))
    }

    /// The next step of the master's own rotation: its new password is pending and set, and then it is current.
    pub(super) async fn rotate_master(
        &self,
        master: &mut Master,
        stack: &Stack,
    ) -> Result<(), Error> {
        let secrets_manager = stack.secrets_manager();
        if master.in_gap {
            secrets_manager.promote_pending(&master.secret_arn);
            master.in_gap = false;
            return Ok(());
        }
        master.at = 1 - master.at;
        let [one, other] = &self.masters;
        let next = if master.at == 0 { one } else { other };
        let text = managed_secret(&next.credentials);
        secrets_manager.put(&master.secret_arn, &text, PENDING);
        master.in_gap = true;
        run(&self.superuser, &next.set(), "rotate the master").await
    }

    /// The second user, where it is there before the run.
    async fn set_clone(&self, start: Start) -> Result<(), Error> {
        let [user, clone] = self.users();
        let create = format!(
            "CREATE ROLE {}; GRANT {user} TO {clone}",
            self.clone.login()
        );
        match start {
            Start::New | Start::WrongCurrent => Ok(()),
            Start::Rotated => {
                let pair = format!("{create}; ALTER ROLE {clone} SET role TO {user}");
                run(&self.master, &pair, "make a pair").await
            }
            Start::FromReference => {
                run(&self.master, &create, "make a clone").await?;
                let schema = &self.schema;
                let table = format!(
                    "CREATE TABLE {schema}.of_the_clone (id int); \
                     ALTER TABLE {schema}.of_the_clone OWNER TO {clone}"
                );
                run(&self.superuser, &table, "make a table of the clone").await
            }
        }
    }

    fn master_secret(&self, stack: &Stack) -> Result<Master, Error> {
        let [master, _] = &self.masters;
        let text = managed_secret(&master.credentials);
        Ok(Master {
            secret_arn: stack.create_secret(&unique("chaosmaster"), &text)?,
            at: 0,
            in_gap: false,
        })
    }

    fn text(&self, credentials: &Credentials, port: u16, master: Option<&str>) -> SecretString {
        let text = self.database.secret_at("127.0.0.1", port, credentials);
        let Some(master) = master else { return text };
        let mut secret: Value = serde_json::from_str(text.expose_secret()).unwrap_or_default();
        if let Some(members) = secret.as_object_mut() {
            members.insert("masterarn".to_owned(), json!(master));
        }
        SecretString::from(secret.to_string())
    }
}

impl Accepted {
    fn generate(username: &str) -> Self {
        let credentials = Credentials::generate(username);
        Self {
            verifier: verifier(&credentials),
            credentials,
        }
    }

    /// What stands behind `CREATE ROLE` for it.
    fn login(&self) -> String {
        format!(
            "{} LOGIN PASSWORD '{}'",
            self.credentials.username, self.verifier
        )
    }

    /// The statement that sets the password.
    fn set(&self) -> String {
        let username = &self.credentials.username;
        format!("ALTER ROLE {username} PASSWORD '{}'", self.verifier)
    }
}

async fn run(client: &Client, statements: &str, doing: &str) -> Result<(), Error> {
    let result = client.batch_execute(statements).await;
    result.map_err(Error::database(doing))
}
