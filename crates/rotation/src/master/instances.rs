//! What the RDS API knows of a database: its address, and whose replica it is.
//!
//! The only code that calls it, and only for a master secret that names no host, or another than the application's. Where
//! `DB_HOST` says where the database is, nothing is asked.

use std::error::Error;

use aws_sdk_rds::Client;
use aws_sdk_rds::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rds::types::{DbCluster, DbInstance};
use secrets::SdkConfig;

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) engine: String,
}

/// What the tag of an RDS-managed secret names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Primary {
    Instance(String),
    Cluster(String),
}

/// A call to RDS that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed with {code}: {message}")]
pub struct InstancesError {
    /// The API operation, as AWS spells it.
    pub operation: &'static str,
    /// The exception's name as the SDK and boto3 have it.
    pub code: String,
    /// The service's message.
    pub message: String,
    /// What the SDK knows when the service gave no answer.
    #[source]
    cause: Option<Box<dyn Error + Send + Sync>>,
}

/// The RDS API; a client is made when it is needed, which is seldom.
#[derive(Debug)]
pub(crate) struct Instances {
    client: Client,
}

const DESCRIBE_CLUSTERS: &str = "DescribeDBClusters";
const DESCRIBE_INSTANCES: &str = "DescribeDBInstances";

impl Instances {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::new(config),
        }
    }

    /// The address of the database that a tag names.
    pub(crate) async fn address(&self, primary: &Primary) -> Result<Address, InstancesError> {
        let (operation, address) = match primary {
            Primary::Instance(arn) => (
                DESCRIBE_INSTANCES,
                self.instance(arn).await?.as_ref().and_then(of_instance),
            ),
            Primary::Cluster(arn) => (
                DESCRIBE_CLUSTERS,
                self.cluster(arn).await?.as_ref().and_then(of_cluster),
            ),
        };
        address.ok_or_else(|| InstancesError {
            operation,
            code: "IncompleteResponse".to_owned(),
            message: "the answer has no endpoint".to_owned(),
            cause: None,
        })
    }

    /// Whether `host` is a replica, or the reader endpoint, of the database whose master is at `master`.
    pub(crate) async fn is_replica(
        &self,
        host: &str,
        master: &Address,
    ) -> Result<bool, InstancesError> {
        let (replica, primary) = (label(host, 0), label(&master.host, 0));
        if master.engine == "postgres" {
            let instance = self.instance(replica).await?;
            return Ok(instance.is_some_and(|instance| is_copy_of(&instance, primary)));
        }
        let cluster = if label(&master.host, 1).contains("cluster") {
            Some(primary.to_owned())
        } else {
            let instance = self.instance(primary).await?;
            instance.and_then(|instance| instance.db_cluster_identifier)
        };
        let Some(cluster) = cluster else {
            return Ok(false);
        };
        let cluster = self.cluster(&cluster).await?;
        Ok(cluster.is_some_and(|cluster| reads_from(&cluster, host)))
    }

    async fn instance(&self, identifier: &str) -> Result<Option<DbInstance>, InstancesError> {
        let described = self
            .client
            .describe_db_instances()
            .db_instance_identifier(identifier)
            .send()
            .await
            .map_err(|error| failed(DESCRIBE_INSTANCES, error))?;
        Ok(described
            .db_instances
            .and_then(|found| found.into_iter().next()))
    }

    async fn cluster(&self, identifier: &str) -> Result<Option<DbCluster>, InstancesError> {
        let described = self
            .client
            .describe_db_clusters()
            .db_cluster_identifier(identifier)
            .send()
            .await
            .map_err(|error| failed(DESCRIBE_CLUSTERS, error))?;
        Ok(described
            .db_clusters
            .and_then(|found| found.into_iter().next()))
    }
}

fn of_instance(instance: &DbInstance) -> Option<Address> {
    let endpoint = instance.endpoint()?;
    Some(Address {
        host: endpoint.address()?.to_owned(),
        port: endpoint.port()?.try_into().ok()?,
        engine: instance.engine()?.to_owned(),
    })
}

fn of_cluster(cluster: &DbCluster) -> Option<Address> {
    Some(Address {
        host: cluster.endpoint()?.to_owned(),
        port: cluster.port()?.try_into().ok()?,
        engine: cluster.engine()?.to_owned(),
    })
}

/// Without Aurora a replica names the instance that it copies.
fn is_copy_of(instance: &DbInstance, primary: &str) -> bool {
    instance.read_replica_source_db_instance_identifier() == Some(primary)
}

fn reads_from(cluster: &DbCluster, host: &str) -> bool {
    let is_reader_endpoint = cluster
        .reader_endpoint()
        .is_some_and(|endpoint| endpoint.eq_ignore_ascii_case(host));
    is_reader_endpoint
        || cluster.db_cluster_members().iter().any(|member| {
            member.db_instance_identifier() == Some(label(host, 0))
                && member.is_cluster_writer() == Some(false)
        })
}

/// A label of a DNS name.
fn label(host: &str, index: usize) -> &str {
    host.split('.').nth(index).unwrap_or_default()
}

fn failed<E, R>(operation: &'static str, error: SdkError<E, R>) -> InstancesError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let (code, message) = match &error {
        SdkError::ServiceError(context) => {
            let meta = context.err().meta();
            (
                meta.code().unwrap_or("unnamed"),
                meta.message().unwrap_or("no message"),
            )
        }
        SdkError::TimeoutError(_) => ("TimeoutError", "no answer in time"),
        SdkError::DispatchFailure(_) => ("DispatchFailure", "the request could not be sent"),
        SdkError::ResponseError(_) => ("ResponseError", "the answer cannot be read"),
        _ => ("ConstructionFailure", "the request cannot be made"),
    };
    InstancesError {
        operation,
        code: code.to_owned(),
        message: message.to_owned(),
        cause: match error {
            SdkError::ServiceError(_) => None,
            error => error.into_source().ok(),
        },
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::types::DbClusterMember;

    use super::*;

    fn cluster() -> DbCluster {
        let member = |name: &str, writer| {
            DbClusterMember::builder()
                .db_instance_identifier(name)
                .is_cluster_writer(writer)
                .build()
        };
        DbCluster::builder()
            .reader_endpoint("talks.cluster-ro-abc.eu-west-2.rds.amazonaws.com")
            .db_cluster_members(member("one", true))
            .db_cluster_members(member("two", false))
            .build()
    }

    #[track_caller]
    fn check(host: &str, reads: bool) {
        assert_eq!(reads_from(&cluster(), host), reads, "{host}");
    }

    #[test]
    fn a_clusters_readers_are_replicas_and_its_writer_is_none() {
        check("talks.cluster-ro-abc.eu-west-2.rds.amazonaws.com", true);
        check("TALKS.cluster-ro-abc.eu-west-2.rds.amazonaws.com", true);
        check("two.abc.eu-west-2.rds.amazonaws.com", true);
        check("one.abc.eu-west-2.rds.amazonaws.com", false);
        check("three.abc.eu-west-2.rds.amazonaws.com", false);
        check("", false);
    }

    #[test]
    fn without_aurora_a_replica_names_its_source() {
        let replica = DbInstance::builder().read_replica_source_db_instance_identifier("talks");
        let replica = replica.build();
        assert!(is_copy_of(&replica, "talks"));
        assert!(!is_copy_of(&replica, "others"));
        assert!(!is_copy_of(&DbInstance::builder().build(), "talks"));
        assert!(!is_copy_of(&DbInstance::builder().build(), ""));
    }

    #[test]
    fn labels_of_a_name() {
        assert_eq!(label("a.cluster-x.b", 1), "cluster-x");
        assert_eq!(label("localhost", 1), "");
    }
}
