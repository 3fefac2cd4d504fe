//! The master user's secret: whose password it is, and where.
//!
//! The master's password goes to the host that is configured, that the master's own secret names, or that AWS's tag on it
//! leads to; never to one that only the application's secret names.

mod instances;

use std::collections::BTreeMap;

use aurora::{Credentials, Target};
use secrets::{
    DatabaseSecret, DocumentError, MasterSecret, SdkConfig, SecretsError, SecretsManager, Ssl,
    Stage, Version,
};

use crate::config::Config;
use crate::decide::{MasterPlace, MasterValue};
use crate::error::RotationError;
use instances::{Address, Instances, Primary};

pub use instances::InstancesError;

/// The longest ARN that the reference takes a tag for.
const LONGEST_ARN: usize = 256;
const CLUSTER_TAG: &str = "aws:rds:primarydbclusterarn";
const INSTANCE_TAG: &str = "aws:rds:primarydbinstancearn";

/// Why the master's secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    /// Its value is no database secret: put one, or another `masterarn`.
    #[error("the master's secret cannot be used: {secret_id}")]
    Unusable {
        /// ARN of the master's secret.
        secret_id: String,
        /// What is wrong with it.
        #[source]
        source: DocumentError,
    },
    /// It names no host, and neither does a tag of RDS: configure one.
    #[error(
        "the master's secret has neither a host nor a tag of amazon rds that leads to one; set `DB_HOST`: {0}"
    )]
    HostUnknown(String),
    /// RDS did not say where the database is: repair the permission or the network, or configure the host.
    #[error("amazon rds was asked about the database's hosts; set `DB_HOST` to do without")]
    Instances(#[from] InstancesError),
}

/// A master that was read: how to log in with it.
#[derive(Debug)]
pub(crate) struct Master {
    pub(crate) credentials: Credentials,
    pub(crate) target: Target,
    pub(crate) ssl: Ssl,
}

/// What reads the secrets of masters.
pub(crate) struct Masters<'a> {
    pub(crate) config: &'a Config,
    pub(crate) aws: &'a SdkConfig,
    pub(crate) secrets: &'a SecretsManager,
}

impl Masters<'_> {
    /// Reads the secret of the master of `child`, and what a decision needs of it.
    pub(crate) async fn read(
        &self,
        secret_id: &str,
        stage: Stage,
        child: &DatabaseSecret,
    ) -> Result<(MasterValue, Option<Master>), RotationError> {
        let version = Version::Stage(stage);
        let value = match stage {
            Stage::Current => self.secrets.get(secret_id, version).await.map(Some),
            // Only what might help.
            Stage::Pending | Stage::Previous => self.secrets.find(secret_id, version).await,
        };
        let value = match value {
            Ok(Some(value)) => value,
            Ok(None) => return Ok((MasterValue::Absent, None)),
            Err(error) => return Err(self.of_value(secret_id, error).await),
        };
        let secret = match value.text().and_then(MasterSecret::parse) {
            Ok(secret) => secret,
            Err(_) if stage != Stage::Current => return Ok((MasterValue::Absent, None)),
            Err(source) => {
                let secret_id = secret_id.to_owned();
                return Err(MasterError::Unusable { secret_id, source }.into());
            }
        };
        let address = self.address(secret_id, &secret, child).await?;
        let place = if self.is_at(&address, child).await? {
            MasterPlace::Same
        } else {
            MasterPlace::Elsewhere {
                host: address.host.clone(),
            }
        };
        let (username, password, ssl) = match secret {
            MasterSecret::Managed { username, password } => (username, password, child.ssl),
            MasterSecret::Complete(secret) => (secret.username, secret.password, secret.ssl),
        };
        let master = Master {
            credentials: Credentials { username, password },
            target: Target {
                host: self.config.host.clone().unwrap_or(address.host),
                port: self.config.port.unwrap_or(address.port),
                // Roles belong to the cluster, but privileges and what is owned are the database's.
                dbname: self.config.dbname.as_ref().unwrap_or(&child.dbname).clone(),
            },
            ssl,
        };
        Ok((MasterValue::Read(place), Some(master)))
    }

    /// What a failed call means that needs the secret's value; the key is only asked for where it is what failed.
    async fn of_value(&self, secret_id: &str, error: SecretsError) -> RotationError {
        if let SecretsError::Kms(_) = &error
            && let Ok(secret) = self.secrets.describe(secret_id).await
        {
            return RotationError::of_value(secret_id, secret.kms_key_id.as_deref(), error);
        }
        error.into()
    }

    /// Where the master's database is.
    async fn address(
        &self,
        secret_id: &str,
        secret: &MasterSecret,
        child: &DatabaseSecret,
    ) -> Result<Address, RotationError> {
        if let MasterSecret::Complete(secret) = secret {
            return Ok(Address {
                host: secret.host.clone(),
                port: secret.port,
                engine: secret.engine.clone(),
            });
        }
        if let Some(host) = &self.config.host {
            return Ok(Address {
                host: host.clone(),
                port: child.port,
                engine: child.engine.clone(),
            });
        }
        let tags = self.secrets.describe(secret_id).await?.tags;
        let primary =
            primary(&tags).ok_or_else(|| MasterError::HostUnknown(secret_id.to_owned()))?;
        let address = Instances::new(self.aws).address(&primary).await;
        Ok(address.map_err(MasterError::from)?)
    }

    /// Whether the master's database is the one of `child`, or the one that it is a replica of.
    async fn is_at(&self, master: &Address, child: &DatabaseSecret) -> Result<bool, RotationError> {
        if let Some(host) = &self.config.host {
            // Every login goes there.
            return Ok(master.host.eq_ignore_ascii_case(host)
                && (child.host.eq_ignore_ascii_case(host)
                    || child.host.eq_ignore_ascii_case(&master.host)));
        }
        if child.host.eq_ignore_ascii_case(&master.host) {
            return Ok(true);
        }
        let replica = Instances::new(self.aws)
            .is_replica(&child.host, master)
            .await;
        Ok(replica.map_err(MasterError::from)?)
    }
}

/// What the tags of an RDS-managed secret name.
fn primary(tags: &BTreeMap<String, String>) -> Option<Primary> {
    let named = |wanted: &str| {
        let mut tags = tags.iter();
        let found = tags.find(|(key, arn)| {
            key.eq_ignore_ascii_case(wanted) && !arn.is_empty() && arn.len() <= LONGEST_ARN
        });
        found.map(|(_, arn)| arn.clone())
    };
    named(INSTANCE_TAG)
        .map(Primary::Instance)
        .or_else(|| named(CLUSTER_TAG).map(Primary::Cluster))
}

impl MasterError {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &str {
        match self {
            Self::Unusable { .. } => "MASTER_INVALID",
            Self::HostUnknown(_) => "HOST_UNKNOWN",
            Self::Instances(source) => &source.code,
        }
    }

    /// The type that the caller sees: the reference's where it has one.
    pub(crate) fn error_type(&self) -> &str {
        match self {
            Self::Unusable { source, .. } => source.error_type(),
            Self::HostUnknown(_) | Self::Instances(_) => self.code(),
        }
    }

    /// The reference's message, where it has one.
    pub(crate) fn reference_message(&self) -> Option<String> {
        match self {
            Self::Unusable { source, .. } => Some(source.reference_message()),
            Self::HostUnknown(_) | Self::Instances(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tags: &[(&str, &str)], expected: Option<&Primary>) {
        let tags = tags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(primary(&tags).as_ref(), expected);
    }

    #[test]
    fn the_tag_of_a_managed_secret_names_its_database() {
        let arn = "arn:aws:rds:eu-west-2:000000000000:cluster:talks";
        let cluster = Primary::Cluster(arn.to_owned());
        check(&[("aws:rds:primaryDBClusterArn", arn)], Some(&cluster));
        check(&[("AWS:RDS:PRIMARYDBCLUSTERARN", arn)], Some(&cluster));
        check(
            &[("aws:rds:primaryDBInstanceArn", "arn:i")],
            Some(&Primary::Instance("arn:i".to_owned())),
        );
        check(&[("Name", arn)], None);
        check(&[("aws:rds:primaryDBClusterArn", "")], None);
        check(&[("aws:rds:primaryDBClusterArn", &"a".repeat(257))], None);
    }
}
