//! What a step has changed: labels, roles, and the value of the version that is being made.

use std::collections::BTreeMap;

use local::Credentials;
use local::lambda::Invoked;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use tokio_postgres::Client;

use super::names::Names;
use super::scene::alternate;
use crate::system::System;

/// What there is at one moment.
pub struct Look {
    /// Labels by version.
    pub labels: Value,
    /// Of each of the two users: whose password it has, what it is a member of, what its sessions begin with.
    pub roles: Value,
    /// The value of the version that is being made.
    pub stored: Value,
}

/// Looks, and remembers which verifier is whose.
pub struct Observer {
    superuser: Client,
    passwords: BTreeMap<String, String>,
}

impl Observer {
    /// One connection for all looks.
    pub async fn of(system: &System) -> Self {
        Self {
            superuser: system.database.superuser().await.unwrap(),
            passwords: BTreeMap::new(),
        }
    }

    /// The verifier of a role's password, which is known by this name from now on.
    pub async fn know(&mut self, role: &str, name: &str) -> String {
        let query = "SELECT rolpassword FROM pg_authid WHERE rolname = $1";
        let row = self.superuser.query_one(query, &[&role]).await.unwrap();
        let verifier: String = row.get(0);
        self.passwords.insert(verifier.clone(), format!("<{name}>"));
        verifier
    }

    /// Looks at everything.
    pub async fn look(&mut self, system: &System, secret: &str, names: &mut Names) -> Look {
        let manager = system.stack.secrets_manager();
        let labels: Map<String, Value> = manager
            .stages(secret)
            .into_iter()
            .filter(|(_, labels)| !labels.is_empty())
            .map(|(version, labels)| (names.blank(&version), labels.join(", ").into()))
            .collect();
        let pending = names.get("pending");
        let stored = manager.text_of(secret, &pending);
        let stored = stored.map(|text| text.expose_secret().to_owned());
        let password = stored.as_deref().and_then(password);
        if let Some(password) = &password {
            names.add("new password", password.as_str());
        }
        let roles = self.roles(system, password.as_deref(), names).await;
        Look {
            labels: labels.into(),
            roles,
            stored: stored.map(|text| names.blank(&text)).into(),
        }
    }

    async fn roles(&mut self, system: &System, password: Option<&str>, names: &Names) -> Value {
        let both = [alternate(&names.user), names.user.clone()];
        let query = "SELECT role.rolname::text, role.rolpassword, shown.rolconfig,
                (SELECT string_agg(granted.rolname::text, ', ') FROM pg_auth_members AS given
                    JOIN pg_roles AS granted ON granted.oid = given.roleid
                    WHERE given.member = role.oid AND granted.rolname::text = ANY ($1))
            FROM pg_authid AS role JOIN pg_roles AS shown ON shown.oid = role.oid
            WHERE role.rolname::text = ANY ($1)";
        let mut roles = Map::new();
        for row in self
            .superuser
            .query(query, &[&both.as_slice()])
            .await
            .unwrap()
        {
            let (name, verifier): (String, Option<String>) = (row.get(0), row.get(1));
            let mut words = vec![match verifier {
                None => "no password".to_owned(),
                Some(verifier) => self.whose(system, &name, verifier, password, names).await,
            }];
            words.extend(row.get::<_, Option<Vec<String>>>(2).into_iter().flatten());
            let group: Option<String> = row.get(3);
            words.extend(group.map(|group| format!("member of {group}")));
            roles.insert(names.blank(&name), names.blank(&words.join("; ")).into());
        }
        roles.into()
    }

    /// Which password a verifier is made of.
    async fn whose(
        &mut self,
        system: &System,
        user: &str,
        verifier: String,
        password: Option<&str>,
        names: &Names,
    ) -> String {
        if let Some(known) = self.passwords.get(&verifier) {
            return known.clone();
        }
        let password = password.unwrap_or_default();
        let credentials = Credentials::new(user, password);
        let name = match system.database.connect(&credentials).await {
            Ok(_) => names.blank(password),
            Err(_) => "no password that opens the database".to_owned(),
        };
        self.passwords.insert(verifier, name.clone());
        name
    }
}

/// The last password in a document, which may have numbers that only Python reads.
fn password(text: &str) -> Option<String> {
    let (_, behind) = text.rsplit_once("\"password\"")?;
    let value = behind.trim_start().strip_prefix(':')?.trim_start();
    let mut values = serde_json::Deserializer::from_str(value).into_iter::<String>();
    values.next()?.ok()
}

/// What a step answered, called and changed.
pub fn observation(
    invoked: &Invoked,
    calls: &[String],
    before: &Look,
    after: &Look,
    names: &Names,
) -> Value {
    let mut observed = json!({"answer": answer(invoked, names), "calls": calls});
    for (what, before, after) in [
        ("labels", &before.labels, &after.labels),
        ("roles", &before.roles, &after.roles),
        ("stored", &before.stored, &after.stored),
    ] {
        if before != after {
            observed[what] = after.clone();
        }
    }
    observed
}

fn answer(invoked: &Invoked, names: &Names) -> String {
    let payload = String::from_utf8_lossy(&invoked.payload);
    let answered: Value = serde_json::from_str(&payload).unwrap();
    match (&invoked.function_error, answered) {
        (None, Value::Null) => "ok".to_owned(),
        (None, _) => names.blank(&format!("answered {payload}")),
        (Some(_), error) => {
            let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
            names.blank(&format!("{}: {}", text("errorType"), text("errorMessage")))
        }
    }
}
