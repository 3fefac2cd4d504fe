//! Why a step stops although every call was answered.

use super::Search;

/// A reason to stop that follows from labels, values and refused logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The secret's rotation is off: switch it on.
    RotationOff,
    /// The version is not listed: the rotation was cancelled, or the event is old.
    NoStage,
    /// The version is no longer being made: a newer rotation has taken over.
    NotPending,
    /// The event names no step of the service.
    InvalidStep(String),
    /// There is no `AWSCURRENT` version: put a value first.
    NoCurrentValue,
    /// The version that is being made has no value: `createSecret` has to run first.
    NoPendingValue,
    /// The version has a value that the service does not show yet: repeat the step.
    PendingNotVisible,
    /// The secret names a master, but nobody chose a strategy.
    StrategyNotChosen,
    /// The pending version is for another user than the current one.
    OtherUser {
        /// User of the pending version.
        pending: String,
        /// User of the current version.
        current: String,
    },
    /// The pending version is for another host than the current one.
    OtherHost {
        /// Host of the pending version.
        pending: String,
        /// Host of the current version.
        current: String,
    },
    /// The pending version is for another user than the one that takes turns with the current one.
    OtherThanClone {
        /// User of the pending version.
        pending: String,
        /// User of the current version.
        current: String,
    },
    /// The name of the alternate user would be too long: choose a shorter one.
    CloneName,
    /// The database refuses the current version, which has to open it before the master is asked.
    CurrentRefused,
    /// The secret names no master.
    NoMaster,
    /// The master is another database's.
    OtherMaster {
        /// Host of the current version.
        current: String,
        /// Host of the master.
        master: String,
    },
    /// The database refuses the master.
    MasterRefused {
        /// ARN of the master's secret.
        secret: String,
    },
    /// The secret is not the one that the function is configured for.
    NotExpected(&'static str),
    /// The server does not let the user change its own password; the server's answer says why.
    ChangeForbidden,
    /// Somebody edited the current version after the pending one was made from it.
    CurrentEdited {
        /// A key that differs.
        key: String,
    },
    /// Somebody else moves `AWSCURRENT`, and the database does not have the pending password.
    CurrentMoved,
    /// The database refuses every version that may be tried.
    PasswordUnknown(Search),
    /// The database refuses the pending version.
    PendingRefused,
    /// Replicas in these regions do not get to where the primary secret is: wait, or mend the replication.
    ReplicasBehind(Vec<String>),
    /// A reader does not accept the pending version: repeat the step, or look why it lags.
    ReaderBehind,
    /// The connection broke every time while the change was being committed.
    ChangeUnknown,
}

impl Refusal {
    /// A stable name for logs and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RotationOff => "ROTATION_OFF",
            Self::NoStage => "VERSION_WITHOUT_STAGE",
            Self::NotPending => "VERSION_NOT_PENDING",
            Self::InvalidStep(_) => "INVALID_STEP",
            Self::NoCurrentValue => "NO_CURRENT_VALUE",
            Self::NoPendingValue => "NO_PENDING_VALUE",
            Self::PendingNotVisible => "PENDING_NOT_VISIBLE",
            Self::StrategyNotChosen => "STRATEGY_NOT_CHOSEN",
            Self::OtherUser { .. } | Self::OtherThanClone { .. } => "OTHER_USER",
            Self::OtherHost { .. } | Self::OtherMaster { .. } => "OTHER_HOST",
            Self::CloneName => "CLONE_NAME_TOO_LONG",
            Self::CurrentRefused => "CURRENT_REFUSED",
            Self::NoMaster => "NO_MASTER",
            Self::MasterRefused { .. } => "MASTER_REFUSED",
            Self::NotExpected(_) => "NOT_EXPECTED",
            Self::ChangeForbidden => "CHANGE_FORBIDDEN",
            Self::CurrentEdited { .. } | Self::CurrentMoved => "CURRENT_CHANGED",
            Self::PasswordUnknown(_) => "DB_PASSWORD_UNKNOWN",
            Self::PendingRefused => "PENDING_REFUSED",
            Self::ReplicasBehind(_) => "REPLICAS_BEHIND",
            Self::ReaderBehind => "READER_BEHIND",
            Self::ChangeUnknown => "CHANGE_UNKNOWN",
        }
    }

    /// The type of the error as the caller sees it: the reference's where it raises one in this case.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::RotationOff
            | Self::NoStage
            | Self::NotPending
            | Self::InvalidStep(_)
            | Self::OtherUser { .. }
            | Self::OtherHost { .. }
            | Self::OtherThanClone { .. }
            | Self::CloneName
            | Self::CurrentRefused
            | Self::OtherMaster { .. }
            | Self::MasterRefused { .. }
            | Self::PasswordUnknown(_)
            | Self::PendingRefused => "ValueError",
            // The reference lets the answer to its own read through.
            Self::NoPendingValue => "ResourceNotFoundException",
            Self::NoMaster => "KeyError",
            Self::NoCurrentValue
            | Self::PendingNotVisible
            | Self::StrategyNotChosen
            | Self::CurrentEdited { .. }
            | Self::CurrentMoved
            | Self::ReplicasBehind(_)
            | Self::ReaderBehind
            | Self::NotExpected(_)
            | Self::ChangeForbidden
            | Self::ChangeUnknown => self.code(),
        }
    }

    /// What the log says besides [`Refusal::message`], which callers get in the reference's words alone.
    pub fn note(&self) -> Option<String> {
        match self {
            Self::PasswordUnknown(search) => Some(search.to_string()),
            _ => None,
        }
    }

    /// The reason in words about version `version` of secret `secret`: the reference's words where it has any.
    pub fn message(&self, secret: &str, version: &str) -> String {
        match self {
            Self::RotationOff => format!("Secret {secret} is not enabled for rotation"),
            Self::NoStage => {
                format!("Secret version {version} has no stage for rotation of secret {secret}.")
            }
            Self::NotPending => format!(
                "Secret version {version} not set as AWSPENDING for rotation of secret {secret}."
            ),
            Self::InvalidStep(step) => {
                format!("Invalid step parameter {step} for secret {secret}")
            }
            Self::NoCurrentValue => format!(
                "no version has the label `AWSCURRENT`, so there is nothing to rotate; put a value into the secret first: {secret}"
            ),
            Self::NoPendingValue => format!(
                "the version that is being made has no value, so `createSecret` has to run first: {version}"
            ),
            Self::PendingNotVisible => format!(
                "the version that is being made has a value which cannot be read yet; repeat the step: {version}"
            ),
            Self::StrategyNotChosen => format!(
                "the secret has a `masterarn`, so that it may have been rotated with alternating users; set `ROTATION_STRATEGY` to `single-user` to change its user's password in place, or to `alternating-users`: {secret}"
            ),
            Self::OtherUser { pending, current } => {
                format!("Attempting to modify user {pending} other than current user {current}")
            }
            Self::OtherHost { pending, current } => format!(
                "Attempting to modify user for host {pending} other than current host {current}"
            ),
            Self::OtherThanClone { pending, current } => format!(
                "Attempting to modify user {pending} other than current user or clone {current}"
            ),
            Self::CloneName => {
                "Unable to clone user, username length with _clone appended would exceed 63 characters"
                    .to_owned()
            }
            Self::CurrentRefused => {
                format!("Unable to log into database using current credentials for secret {secret}")
            }
            // As Python prints what is missing.
            Self::NoMaster => "'masterarn'".to_owned(),
            Self::OtherMaster { current, master } => format!(
                "Current database host {current} is not the same host as/rds replica of master {master}"
            ),
            Self::MasterRefused { secret } => {
                format!("Unable to log into database using credentials in master secret {secret}")
            }
            Self::NotExpected(what) => format!(
                "the function is configured for one application, and this is another; look at `TURNKEEP_SECRET`, `DB_HOST`, `BOOTSTRAP_USER` and `BOOTSTRAP_SECRET`: {secret}; what differs: {what}"
            ),
            Self::ChangeForbidden => {
                format!("the database does not let the user change its own password: {secret}")
            }
            Self::CurrentEdited { key } => format!(
                "the current version was edited after the pending one had been made from it, and the edit would be lost; the database was not changed; {}; key that differs: `{key}`",
                start_over(secret, version)
            ),
            Self::CurrentMoved => format!(
                "`AWSCURRENT` was moved by somebody else and the database does not accept the pending version: {secret}"
            ),
            Self::PasswordUnknown(_) => format!(
                "Unable to log into database with previous, current, or pending secret of secret arn {secret}"
            ),
            Self::PendingRefused => {
                format!("Unable to log into database with pending secret of secret ARN {secret}")
            }
            Self::ReplicasBehind(regions) => format!(
                "replicas of the secret are not in sync, and a second move of a label may leave them so for ever; the database was not changed; repeat the step, and if they stay behind, remove and add the replica: {}",
                regions.join(", ")
            ),
            Self::ReaderBehind => format!(
                "the writer accepts the new password, but the reader of `READER_HOST` does not yet, so `AWSCURRENT` stays where it is; repeat the step, and look how far the reader is behind: {secret}"
            ),
            Self::ChangeUnknown => format!(
                "the connection was lost each time while the new password was being committed, and the database still refuses it; repeat the step: {secret}"
            ),
        }
    }
}

/// How an operator gets rid of a pending version that cannot be used.
pub(crate) fn start_over(secret: &str, version: &str) -> String {
    format!(
        "start over with `aws secretsmanager update-secret-version-stage --secret-id {secret} --version-stage AWSPENDING --remove-from-version-id {version}` and another rotation"
    )
}
