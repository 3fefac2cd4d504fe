//! Where it runs: the local stack, and a secret of each run.

use anyhow::{Context as _, Result};
use aurora::Trust;
use aurora_session::{SecretsManager, Session};
use local::stack::template::{Deployment, Referred};
use local::stack::{ACCOUNT, REGION, ROTATION};
use local::{Credentials, Database, Stack, StackOptions};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::client::{Client, note};
use crate::refresh_once::RefreshOnce;
use crate::{Policy, Strategy};

/// A local stack whose PostgreSQL remembers when it has committed what.
pub struct Setting {
    stack: Stack,
    database: Database,
}

/// A secret that is rotated, and how to read it.
pub(crate) struct Key {
    pub(crate) manager: SecretsManager,
    pub(crate) secret_arn: String,
    pub(crate) function_arn: String,
    trust: Trust,
}

impl Setting {
    /// Starts a stack with a PostgreSQL of its own.
    ///
    /// # Errors
    /// If a part of the stack does not start.
    pub async fn start(options: StackOptions) -> Result<Self> {
        let options =
            options.own_postgres(|postgres| postgres.setting("track_commit_timestamp", "on"));
        let stack = Stack::start(options).await?;
        let database = stack.database("load").await?;
        Ok(Self { stack, database })
    }

    /// The stack.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// A role and a secret of their own, and the function that rotates it.
    pub(crate) async fn key(&self, strategy: Strategy) -> Result<Key> {
        let server = self.stack.server();
        let role = server.role_of_master("load").await?;
        let name = format!("{}/database", role.username);
        let referred = Referred::new(&self.database, &name);
        let function = self
            .stack
            .function(ROTATION, Deployment::Existing, &referred)?
            .variable("ROTATION_STRATEGY", strategy.as_str());
        self.stack.functions().define(function)?;
        let text = self.secret(&role)?;
        let config = self.stack.sdk_config();
        Ok(Key {
            manager: SecretsManager::new(&config, None),
            secret_arn: self.stack.create_secret(&name, &text)?,
            function_arn: format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{ROTATION}"),
            trust: Trust::from_pem(&std::fs::read(&server.ca_file)?)?,
        })
    }

    /// With the master's secret, which alternating users need and a single user does not mind.
    fn secret(&self, role: &Credentials) -> Result<SecretString> {
        let text = self.database.secret(role);
        let mut secret: Value = serde_json::from_str(text.expose_secret())?;
        let members = secret.as_object_mut().context("a secret is an object")?;
        members.insert("masterarn".to_owned(), json!(self.stack.master_secret()?));
        Ok(SecretString::from(secret.to_string()))
    }
}

impl Key {
    pub(crate) fn client(&self, policy: Policy) -> Result<Client> {
        let (manager, trust) = (self.manager.clone(), self.trust.clone());
        Ok(match policy {
            Policy::Session => Client::Session(
                Session::builder(manager, &self.secret_arn)
                    .trust(trust)
                    .observer(note)
                    .build()?,
            ),
            Policy::RefreshOnce => {
                Client::RefreshOnce(RefreshOnce::new(manager, self.secret_arn.clone(), trust))
            }
        })
    }
}
