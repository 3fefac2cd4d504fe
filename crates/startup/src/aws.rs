//! The one AWS configuration of a process.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};

/// What a person may set over the SDK's own variables and files; a function sets nothing.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Region, as `--region` of the AWS CLI.
    pub region: Option<String>,
    /// Profile of the shared configuration files, as `--profile` of the AWS CLI.
    pub profile: Option<String>,
    /// Endpoint of every service, as `--endpoint-url` of the AWS CLI.
    pub endpoint_url: Option<String>,
}

/// Loads region, credentials and endpoint as every AWS program does, with the time limits that the SDK leaves open.
///
/// The SDK has no limit on an operation by default, so that one lost packet would take a function's whole time. An
/// attempt gets 2 s and an operation 5 s; a crate whose calls carry large bodies sets its own. On Lambda this makes no
/// network call.
pub async fn load(options: &Options) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(2))
                .operation_attempt_timeout(Duration::from_secs(2))
                .operation_timeout(Duration::from_secs(5))
                .build(),
        )
        .retry_config(RetryConfig::standard().with_max_attempts(3));
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(endpoint_url) = &options.endpoint_url {
        loader = loader.endpoint_url(endpoint_url);
    }
    loader.load().await
}
