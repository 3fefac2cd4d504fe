//! The whole of it: PostgreSQL, the AWS API and the functions, started together and stopped together.

pub mod template;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials as AwsCredentials, SharedCredentialsProvider};
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};

use crate::leftovers::Workplace;
use crate::postgres::{ServerFile, managed_secret, unique};
use crate::process::RunAs;
use crate::{
    Checkout, Database, Error, Function, Functions, Gateway, Moto, Postgres, PostgresOptions,
    SecretsManager, Server, background,
};
use template::{Deployment, Referred};

/// The AWS account that everything local belongs to.
pub const ACCOUNT: &str = "000000000000";

/// The region that everything local is in.
pub const REGION: &str = "us-east-1";

/// The name of the function that captures.
pub const CAPTURE: &str = "conversation-capture";

/// The name of the function that rotates.
pub const ROTATION: &str = "secret-rotation";

/// The variable with the file that describes a running PostgreSQL; `turnkeep-local with` sets it.
pub const POSTGRES_VARIABLE: &str = "TURNKEEP_LOCAL_POSTGRES";

/// The variable with the address of a running moto; `turnkeep-local with` sets it.
pub const MOTO_VARIABLE: &str = "TURNKEEP_LOCAL_MOTO";

/// The variable with the folder of the functions' binaries; `turnkeep-local with` sets it.
pub const FUNCTIONS_VARIABLE: &str = "TURNKEEP_LOCAL_FUNCTIONS";

/// The variable with the file that the functions' calls of the AWS API are added to; `make e2e` sets it.
pub const CALLS_VARIABLE: &str = "TURNKEEP_LOCAL_CALLS";

/// The variable with the folder of the PostgreSQL programs to use.
pub const BINARIES_VARIABLE: &str = "PG_BIN";

/// How a stack is to be made.
#[derive(Debug, Clone)]
pub struct StackOptions {
    checkout: Checkout,
    postgres: PostgresOptions,
    postgres_file: Option<PathBuf>,
    moto: Option<SocketAddr>,
    function_directory: PathBuf,
    log_directory: Option<PathBuf>,
    calls_file: Option<PathBuf>,
}

impl StackOptions {
    /// A stack with servers of its own, in a checkout.
    pub fn new(checkout: Checkout) -> Self {
        Self {
            function_directory: checkout.release_binaries(),
            checkout,
            postgres: PostgresOptions::default(),
            postgres_file: None,
            moto: None,
            log_directory: None,
            calls_file: None,
        }
    }

    /// As the environment of this process says: with the servers that `turnkeep-local with` has started, or with own ones.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no `main` that could hand the variables on"
    )]
    pub fn from_environment() -> Result<Self, Error> {
        let variables: BTreeMap<_, _> = std::env::vars_os().collect();
        Self::from_variables(Checkout::find()?, |name| {
            variables
                .get(std::ffi::OsStr::new(name))
                .map(|value| value.to_string_lossy().into_owned())
        })
    }

    /// As the variables say that `variable` knows; an empty one counts as unset.
    pub fn from_variables(
        checkout: Checkout,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let mut options = Self::new(checkout);
        if let Some(folder) = variable(BINARIES_VARIABLE) {
            options.postgres = options.postgres.binaries(folder);
        }
        if let Some(folder) = variable(FUNCTIONS_VARIABLE) {
            options.function_directory = folder.into();
        }
        options.calls_file = variable(CALLS_VARIABLE).map(PathBuf::from);
        options.postgres_file = variable(POSTGRES_VARIABLE).map(PathBuf::from);
        if let Some(address) = variable(MOTO_VARIABLE) {
            let parsed = address.parse().map_err(|_| Error::Setting {
                name: MOTO_VARIABLE.to_owned(),
                reason: format!("not an address such as 127.0.0.1:5000: {address}"),
            })?;
            options.moto = Some(parsed);
        }
        Ok(options)
    }

    /// Starts a PostgreSQL for this stack alone, even where one could be shared: for a test that stops it, reads its log
    /// or changes its settings.
    #[must_use]
    pub fn own_postgres(mut self, change: impl FnOnce(PostgresOptions) -> PostgresOptions) -> Self {
        self.postgres = change(self.postgres);
        self.postgres_file = None;
        self
    }

    /// Where the functions' binaries are, by the functions' names.
    #[must_use]
    pub fn function_directory(mut self, folder: impl Into<PathBuf>) -> Self {
        self.function_directory = folder.into();
        self
    }

    /// Where the functions' logs are to be written and to stay.
    #[must_use]
    pub fn log_directory(mut self, folder: impl Into<PathBuf>) -> Self {
        self.log_directory = Some(folder.into());
        self
    }

    pub(crate) fn postgres_options(&self) -> &PostgresOptions {
        &self.postgres
    }

    pub(crate) fn functions(&self) -> &Path {
        &self.function_directory
    }
}

/// A running stack; everything it started stops when it is dropped.
#[derive(Debug)]
pub struct Stack {
    // In the order in which they stop: who calls before who is called.
    gateway: Gateway,
    secrets_manager: SecretsManager,
    functions: Functions,
    _moto: Option<Moto>,
    own_postgres: Option<Postgres>,
    server: Server,
    function_directory: PathBuf,
    log_directory: PathBuf,
    _workplace: Workplace,
}

impl Stack {
    /// Starts everything and waits until it answers.
    pub async fn start(options: StackOptions) -> Result<Self, Error> {
        let workplace = Workplace::new(&options.checkout, "stack", RunAs::Ourselves)?;
        let log_directory = options
            .log_directory
            .clone()
            .unwrap_or_else(|| workplace.path().to_owned());
        std::fs::create_dir_all(&log_directory)
            .map_err(Error::io(format!("create {}", log_directory.display())))?;
        let (postgres, moto) = tokio::try_join!(postgres(&options), moto(&options))?;
        let (own_postgres, server) = postgres;
        let (own_moto, moto) = moto;
        let functions = Functions::new(log_directory.clone());
        let secrets_manager = SecretsManager::new(functions.clone());
        let gateway = Gateway::start(
            secrets_manager.clone(),
            functions.clone(),
            options.function_directory.clone(),
            moto,
            options.calls_file,
        )
        .await?;
        functions.set_base(aws_variables(&gateway.endpoint()));
        Ok(Self {
            gateway,
            secrets_manager,
            functions,
            _moto: own_moto,
            own_postgres,
            server,
            function_directory: options.function_directory,
            log_directory,
            _workplace: workplace,
        })
    }

    /// The AWS API.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Secrets Manager, for what its API cannot do: pauses, the story of rotations, scripted refusals.
    pub fn secrets_manager(&self) -> &SecretsManager {
        &self.secrets_manager
    }

    /// Lambda.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// The PostgreSQL server.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The PostgreSQL server to stop and restart, if it is this stack's own.
    pub fn own_postgres(&self) -> Option<&Postgres> {
        self.own_postgres.as_ref()
    }

    /// Where the functions' binaries are.
    pub fn function_directory(&self) -> &Path {
        &self.function_directory
    }

    /// Where the functions' logs are.
    pub fn log_directory(&self) -> &Path {
        &self.log_directory
    }

    /// A database of its own name, owned by the master user.
    pub async fn database(&self, hint: &str) -> Result<Database, Error> {
        self.server.database(hint).await
    }

    /// A bucket of its own name, versioned as the template's is.
    pub async fn bucket(&self, hint: &str) -> Result<String, Error> {
        let name = unique(hint);
        self.create_bucket(&name).await?;
        Ok(name)
    }

    /// Creates a versioned bucket.
    pub async fn create_bucket(&self, name: &str) -> Result<(), Error> {
        let client = aws_sdk_s3::Client::new(&self.sdk_config());
        let name = name.to_owned();
        background::run(async move {
            let refused = |reason: String| Error::Api {
                doing: "create a bucket".to_owned(),
                reason,
            };
            let created = client.create_bucket().bucket(&name).send().await;
            created.map_err(|error| refused(DisplayErrorContext(error).to_string()))?;
            let versioning = VersioningConfiguration::builder()
                .status(BucketVersioningStatus::Enabled)
                .build();
            let request = client
                .put_bucket_versioning()
                .bucket(&name)
                .versioning_configuration(versioning);
            request
                .send()
                .await
                .map(drop)
                .map_err(|error| refused(DisplayErrorContext(error).to_string()))
        })
        .await
    }

    /// The secret of the master user, as RDS makes it for `ManageMasterUserPassword`; its ARN.
    pub fn master_secret(&self) -> Result<String, Error> {
        let name = format!("rds!cluster-{}", uuid::Uuid::new_v4());
        self.create_secret(&name, &managed_secret(self.server.master()))
    }

    /// Creates a secret; its ARN.
    pub fn create_secret(&self, name: &str, text: &secrecy::SecretString) -> Result<String, Error> {
        self.secrets_manager
            .create(name, text)
            .map_err(|refused| Error::Api {
                doing: format!("create the secret {name}"),
                reason: refused.to_string(),
            })
    }

    /// `conversation-capture` or `secret-rotation` as the template configures it, to be changed or defined as it is.
    pub fn function(
        &self,
        name: &str,
        deployment: Deployment,
        referred: &Referred<'_>,
    ) -> Result<Function, Error> {
        let program = self.function_directory.join(name);
        template::apply(Function::binary(name, program), deployment, referred)
    }

    /// Ends rotations and functions, and waits until everything that they have written is in their logs.
    ///
    /// It blocks the thread, so that a test can call it when it is dropped.
    pub fn end(&self) -> Result<(), Error> {
        self.secrets_manager.shut_down();
        Ok(self.functions.end()?)
    }

    /// What any process needs to take this stack for AWS.
    pub fn environment(&self) -> BTreeMap<String, String> {
        aws_variables(&self.gateway.endpoint())
    }

    /// For SDK clients in this process.
    pub fn sdk_config(&self) -> SdkConfig {
        sdk_config(&self.gateway.endpoint())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.secrets_manager.shut_down();
        self.functions.shut_down();
    }
}

/// An SDK configuration for a gateway at `endpoint`; nothing of the environment flows into it.
pub fn sdk_config(endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(AwsCredentials::new(
            "local",
            "local",
            None,
            None,
            "turnkeep-local",
        )))
        .build()
}

fn aws_variables(endpoint: &str) -> BTreeMap<String, String> {
    let pairs = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        // Outside AWS the credential chain would ask the address of an instance's metadata, and wait.
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

async fn postgres(options: &StackOptions) -> Result<(Option<Postgres>, Server), Error> {
    let Some(file) = &options.postgres_file else {
        let own = Postgres::start(&options.checkout, &options.postgres).await?;
        let server = own.server().clone();
        return Ok((Some(own), server));
    };
    let text = std::fs::read(file).map_err(Error::io(format!("read {}", file.display())))?;
    let described: ServerFile = serde_json::from_slice(&text).map_err(|_| Error::Setting {
        name: file.display().to_string(),
        reason: "it does not describe a PostgreSQL server of `turnkeep-local with`".to_owned(),
    })?;
    Ok((None, described.into()))
}

async fn moto(options: &StackOptions) -> Result<(Option<Moto>, SocketAddr), Error> {
    if let Some(address) = options.moto {
        return Ok((None, address));
    }
    let own = Moto::start(&options.checkout).await?;
    let address = own.address();
    Ok((Some(own), address))
}
