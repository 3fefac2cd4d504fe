//! Setting a role's password.

use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

use crate::Retry;
use crate::role::{RoleError, RoleName};
use crate::statement::{self, Fill, fill};
use crate::verifier::Verifier;

/// Why [`set_password`] did not set it.
#[derive(Debug, Error)]
pub enum SetPasswordError<E: std::error::Error + 'static> {
    /// The caller's check inside the lock said no; nothing was changed.
    #[error("the check before the change said no")]
    Vetoed(#[source] E),
    /// See [`RoleError`].
    #[error(transparent)]
    Role(#[from] RoleError),
}

const DOING: &str = "set the password of the role";
/// A conflict means that somebody else's change has just been committed; more in a row than this is
/// no coincidence.
const MAX_ATTEMPTS: u32 = 5;

/// Sets the password of `role`, one caller at a time.
///
/// Inside one transaction: takes an advisory lock keyed on the role, calls `check` (a late caller
/// must notice there that it is not its turn any more), then changes the role. Waiting and working
/// end at `deadline`. A conflict with an `ALTER ROLE` of somebody who does not take the lock is
/// repeated, `check` included. The lock holds among sessions of one database, so all callers have to
/// connect to the same one.
///
/// Setting the same verifier twice is as good as once.
pub async fn set_password<E, C>(
    client: &mut Client,
    role: &RoleName,
    verifier: &Verifier,
    deadline: Instant,
    check: C,
) -> Result<(), SetPasswordError<E>>
where
    C: AsyncFn() -> Result<(), E>,
    E: std::error::Error + 'static,
{
    let mut attempt = 1;
    loop {
        match attempt_once(client, role, verifier, deadline, &check).await {
            Err(SetPasswordError::Role(RoleError::Database {
                retry: Retry::Now, ..
            })) if attempt < MAX_ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
    }
}

async fn attempt_once<E, C>(
    client: &mut Client,
    role: &RoleName,
    verifier: &Verifier,
    deadline: Instant,
    check: &C,
) -> Result<(), SetPasswordError<E>>
where
    C: AsyncFn() -> Result<(), E>,
    E: std::error::Error + 'static,
{
    let statement = set_statement(role, verifier);
    let set = async |transaction: &Transaction<'_>| {
        let set = transaction.batch_execute(&statement).await;
        set.map_err(|error| RoleError::of(DOING, error))
    };
    under_lock(client, role, DOING, deadline, check, set).await
}

/// The statement that sets the password.
pub(super) fn set_statement(role: &RoleName, verifier: &Verifier) -> String {
    let values = [
        ("role", role.fill()),
        ("verifier", Fill::Literal(verifier.expose())),
    ];
    fill(statement::SET_PASSWORD, &values)
}

/// Has `work` done in one transaction under the lock on `role`, behind a `check` in it that says yes; ends at `deadline`.
pub(super) async fn under_lock<T, E, C, W>(
    client: &mut Client,
    role: &RoleName,
    doing: &'static str,
    deadline: Instant,
    check: &C,
    work: W,
) -> Result<T, SetPasswordError<E>>
where
    C: AsyncFn() -> Result<(), E>,
    W: AsyncFnOnce(&Transaction<'_>) -> Result<T, RoleError>,
    E: std::error::Error + 'static,
{
    let of = |error| RoleError::of(doing, error);
    let change = async {
        let transaction = client.transaction().await.map_err(of)?;
        lock(&transaction, role, deadline).await.map_err(of)?;
        check().await.map_err(SetPasswordError::Vetoed)?;
        let done = work(&transaction).await?;
        Ok::<_, SetPasswordError<E>>((transaction, done))
    };
    // Whoever leaves early drops the transaction, which rolls it back.
    let (transaction, done) = match timeout_at(deadline, change).await {
        Ok(outcome) => outcome?,
        Err(_) => return Err(RoleError::TimedOut { doing }.into()),
    };
    match timeout_at(deadline, transaction.commit()).await {
        Ok(Ok(())) => Ok(done),
        Ok(Err(error)) if error.as_db_error().is_some() => Err(of(error).into()),
        Ok(Err(error)) => Err(RoleError::CommitUnknown(Some(error)).into()),
        Err(_) => Err(RoleError::CommitUnknown(None).into()),
    }
}

/// Waits for its turn; the server gives up waiting by itself, even if the client is gone.
pub(super) async fn lock(
    transaction: &Transaction<'_>,
    role: &RoleName,
    deadline: Instant,
) -> Result<(), tokio_postgres::Error> {
    let remaining = deadline.saturating_duration_since(Instant::now());
    // Zero would mean no limit, and an `int4` is all there is room for.
    let milliseconds = i32::try_from(remaining.as_millis()).unwrap_or(i32::MAX);
    let milliseconds = milliseconds.max(1).to_string();
    transaction
        .query_typed(statement::LIMIT_TRANSACTION, &[(&milliseconds, Type::TEXT)])
        .await?;
    transaction
        .query_typed(statement::LOCK_ROLE, &[(&role.as_str(), Type::TEXT)])
        .await?;
    Ok(())
}
