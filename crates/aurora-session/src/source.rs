//! Where the versions of a secret come from.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use secrets::{
    DocumentError, LoginSecret, Retry, SecretString, SecretsError, SecretsManager, Stage, Version,
};
use thiserror::Error;

/// Where a session reads the versions of its secret: Secrets Manager, or a function of the caller's.
///
/// A function serves a file, a fixed login in a test or on a laptop, another cache:
///
/// ```
/// use std::convert::Infallible;
///
/// use aurora_session::{Document, Session, Source, Stage};
///
/// let source = Source::function("laptop", async |stage| {
///     let text = r#"{"username": "me", "password": "mine", "host": "localhost"}"#;
///     let current = Document { version_id: "1".to_owned(), text: text.into() };
///     Ok::<_, Infallible>((stage == Stage::Current).then_some(current))
/// });
/// let session = Session::from_source(source).build()?;
/// # Ok::<_, aurora_session::SessionError>(())
/// ```
pub struct Source {
    name: String,
    reader: Reader,
}

enum Reader {
    SecretsManager(SecretsManager),
    Function(Box<Function>),
}

type Function = dyn Fn(Stage) -> Answer + Send + Sync;
type Answer = Pin<Box<dyn Future<Output = Result<Option<Document>, SourceError>> + Send>>;

/// One version of a secret, as a [`Source::function`] gives it and [`crate::Session::log_in_once`] takes it.
#[derive(Clone)]
pub struct Document {
    /// Tells versions apart: one that the database has refused is not tried again under any label but
    /// a new `AWSCURRENT`.
    pub version_id: String,
    /// The JSON text, with `username` and `password` at least.
    pub text: SecretString,
}

/// Why a version of the secret could not be read.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Secrets Manager's answer.
    #[error(transparent)]
    SecretsManager(Arc<SecretsError>),
    /// The error of a [`Source::function`].
    #[error("the secret's source failed")]
    Function(#[source] Arc<dyn Error + Send + Sync>),
    /// A [`Source::function`] that knows no version with the label `AWSCURRENT`.
    #[error("the secret's source has no current version")]
    NoCurrentVersion,
    /// The caller's deadline passed before a [`Source::function`] answered.
    #[error("the secret's source did not answer in time")]
    TimedOut,
}

/// A version as it was read.
pub(crate) struct Reading {
    /// ARN of the secret, or the name of the source.
    pub(crate) arn: String,
    pub(crate) version_id: String,
    pub(crate) secret: Result<LoginSecret, DocumentError>,
}

impl Source {
    /// The secret with this ARN or name.
    pub fn secrets_manager(manager: SecretsManager, secret_id: impl Into<String>) -> Self {
        Self {
            name: secret_id.into(),
            reader: Reader::SecretsManager(manager),
        }
    }

    /// Whatever `read` gives for a label; `None` where it knows no such version. `name` stands for the
    /// secret in errors.
    ///
    /// It is asked for the first login and after a refused one. A source without rotation knows
    /// [`Stage::Current`] only. An error is taken for an outage that passes: the session asks again
    /// within its caller's deadline.
    pub fn function<F, A, E>(name: impl Into<String>, read: F) -> Self
    where
        F: Fn(Stage) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Option<Document>, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        Self {
            name: name.into(),
            reader: Reader::Function(Box::new(move |stage| -> Answer {
                let answer = read(stage);
                Box::pin(async move {
                    answer.await.map_err(|error| {
                        let error: Box<dyn Error + Send + Sync> = error.into();
                        SourceError::Function(error.into())
                    })
                })
            })),
        }
    }

    /// What stands for the secret in errors: its ARN or name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Reads the version with a label; `None` for one that is not there.
    pub(crate) async fn read(&self, stage: Stage) -> Result<Option<Reading>, SourceError> {
        match &self.reader {
            Reader::SecretsManager(manager) => {
                match manager.get(&self.name, Version::Stage(stage)).await {
                    Ok(value) => Ok(Some(Reading {
                        secret: value.text().and_then(LoginSecret::parse),
                        arn: value.arn,
                        version_id: value.version_id,
                    })),
                    Err(error) if error.is_absent() && stage != Stage::Current => Ok(None),
                    Err(error) => Err(SourceError::SecretsManager(Arc::new(error))),
                }
            }
            Reader::Function(read) => match read(stage).await? {
                Some(document) => Ok(Some(self.reading(&document))),
                None if stage == Stage::Current => Err(SourceError::NoCurrentVersion),
                None => Ok(None),
            },
        }
    }

    /// What a document says.
    pub(crate) fn reading(&self, document: &Document) -> Reading {
        Reading {
            arn: self.name.clone(),
            version_id: document.version_id.clone(),
            secret: LoginSecret::parse(&document.text),
        }
    }

    /// For a read that the deadline has cut off: the retries of the source may last longer than the
    /// caller waits.
    pub(crate) fn no_answer(&self) -> SourceError {
        match self.reader {
            Reader::SecretsManager(_) => {
                SourceError::SecretsManager(Arc::new(SecretsError::Unavailable(secrets::Failure {
                    operation: "GetSecretValue",
                    code: "TimeoutError".to_owned(),
                    message: "no answer before the caller's deadline".to_owned(),
                    cause: None,
                })))
            }
            Reader::Function(_) => SourceError::TimedOut,
        }
    }
}

impl SourceError {
    /// A stable name for logs and metrics; Secrets Manager's own where it answered.
    pub fn code(&self) -> &str {
        match self {
            Self::SecretsManager(error) => error.code(),
            Self::Function(_) => "SOURCE_FAILED",
            Self::NoCurrentVersion => "NO_CURRENT_VERSION",
            Self::TimedOut => "SOURCE_TIMED_OUT",
        }
    }

    /// When the same question may be answered.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::SecretsManager(error) => error.retry(),
            Self::Function(_) | Self::TimedOut => Retry::Later,
            Self::NoCurrentVersion => Retry::Never,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("version_id", &self.version_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io;

    use super::*;

    fn source(text: &'static str) -> Source {
        Source::function("mine", move |stage| async move {
            let document = Document {
                version_id: "v1".to_owned(),
                text: text.into(),
            };
            Ok::<_, Infallible>((stage == Stage::Current).then_some(document))
        })
    }

    #[tokio::test]
    async fn a_function_gives_the_versions_that_it_knows() {
        let mine = source(r#"{"username":"u","password":"p"}"#);
        let reading = mine.read(Stage::Current).await.unwrap().unwrap();
        assert_eq!(
            (reading.arn.as_str(), reading.version_id.as_str()),
            ("mine", "v1")
        );
        assert_eq!(reading.secret.unwrap().username, "u");
        for stage in [Stage::Pending, Stage::Previous] {
            assert!(mine.read(stage).await.unwrap().is_none());
        }
        let reading = source("no json").read(Stage::Current).await;
        assert!(reading.unwrap().unwrap().secret.is_err());
    }

    #[tokio::test]
    async fn without_a_current_version_there_is_no_secret() {
        let source = Source::function("empty", async |_| Ok::<_, Infallible>(None));
        let Err(error) = source.read(Stage::Current).await else {
            panic!("there is none");
        };
        assert_eq!(
            (error.code(), error.retry()),
            ("NO_CURRENT_VERSION", Retry::Never)
        );
    }

    #[tokio::test]
    async fn the_error_of_a_function_is_an_outage_with_its_cause() {
        let source = Source::function("broken", async |_| {
            Err::<Option<Document>, _>(io::Error::other("disk on fire"))
        });
        let Err(error) = source.read(Stage::Current).await else {
            panic!("it fails");
        };
        assert_eq!(
            (error.code(), error.retry()),
            ("SOURCE_FAILED", Retry::Later)
        );
        assert_eq!(error.source().unwrap().to_string(), "disk on fire");
    }

    #[test]
    fn debug_shows_no_password() {
        let document = Document {
            version_id: "v1".to_owned(),
            text: "hunter2".into(),
        };
        let source = source("hunter2");
        assert_eq!(
            format!("{document:?} {source:?}"),
            r#"Document { version_id: "v1", .. } Source { name: "mine", .. }"#
        );
    }
}
