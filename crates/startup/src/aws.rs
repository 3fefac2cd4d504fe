//! The one AWS configuration of a process.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};

use crate::environment::{AWS_ACCESS_KEY_ID, Environment};
use crate::https::HttpsRoots;

/// What is set over the SDK's own variables and files; a function sets what it knows of Lambda.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Roots of trust for HTTPS.
    pub https_roots: HttpsRoots,
    /// Whether the environment's credentials are the only ones.
    pub only_environment_credentials: bool,
    /// Region, as `--region` of the AWS CLI.
    pub region: Option<String>,
    /// Profile of the shared configuration files, as `--profile` of the AWS CLI.
    pub profile: Option<String>,
    /// Endpoint of every service, as `--endpoint-url` of the AWS CLI.
    pub endpoint_url: Option<String>,
}

impl Options {
    /// What a function sets. Lambda puts its credentials into the environment; without the chain of every other place
    /// where credentials may be, a start has a sixth less to do. Elsewhere, as under `cargo lambda watch`, they may come
    /// from a profile.
    pub fn of_function(environment: &Environment, https_roots: &HttpsRoots) -> Self {
        Self {
            https_roots: https_roots.clone(),
            only_environment_credentials: environment.value(&AWS_ACCESS_KEY_ID).is_some(),
            ..Self::default()
        }
    }
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
    if options.only_environment_credentials {
        loader = loader.credentials_provider(EnvironmentVariableCredentialsProvider::new());
    }
    if let Some(client) = options.https_roots.client() {
        loader = loader.http_client(client);
    }
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &options.profile {
        // Else credentials in the environment would win, as they do not in the AWS CLI, and the wrong account be changed.
        let credentials = ProfileFileCredentialsProvider::builder()
            .configure(&ProviderConfig::with_default_region().await)
            .profile_name(profile)
            .build();
        loader = loader
            .profile_name(profile)
            .credentials_provider(credentials);
    }
    if let Some(endpoint_url) = &options.endpoint_url {
        loader = loader.endpoint_url(endpoint_url);
    }
    loader.load().await
}
