//! What a session tells while it works.

use secrets::Stage;

/// Something worth a log line or a metric. Holds no secret.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A login was accepted.
    LoggedIn {
        /// Label under which the version was found. [`Stage::Previous`] is worth an alarm.
        stage: Stage,
        /// The version.
        version_id: &'a str,
    },
    /// A login was refused.
    Refused {
        /// Label under which the version was found.
        stage: Stage,
        /// The version.
        version_id: &'a str,
        /// `28P01` or `28000`.
        sqlstate: &'a str,
    },
    /// A search for the version that opens the database begins, because there was none yet or it was
    /// refused. Tasks that look for it at the same time share one.
    SearchBegun,
    /// Secrets Manager, or another source, is asked for the version with a label.
    SecretRead {
        /// The label.
        stage: Stage,
    },
    /// The policy does not let this client read `AWSPENDING`, so that it has to wait for a rotation
    /// to end. Told once per session.
    PendingDenied,
    /// A login is repeated because the server or the network was not ready.
    LoginRetried {
        /// [`aurora::LoginError::code`].
        error_code: &'static str,
    },
    /// No version will do at the moment; after a pause the labels are looked at again.
    Waiting,
    /// A connection, kept or of a pool, was dead, or led to a server without writes, and is replaced.
    Replaced,
    /// A connect failed for good, as its caller sees.
    ConnectFailed {
        /// [`crate::SessionError::code`].
        error_code: &'static str,
    },
}

/// Whoever is told.
pub(crate) type Observer = Box<dyn Fn(&Event<'_>) + Send + Sync>;
