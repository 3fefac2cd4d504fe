//! What one login of a pair may do and the other may not.

use std::fmt;

use tokio::time::{Instant, timeout_at};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row, Transaction};

use crate::role::pair::{begin_attempt, end_attempt};
use crate::role::{Pair, RoleError, password};
use crate::statement::pair as sql;

/// Something that one login of a pair has and the other lacks; prints as a sentence.
///
/// What the other has by being a member of the first is none, and neither is what everybody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Who has it.
    pub role: String,
    /// What kind of thing it is: `table`, `sequence`, `schema`, `database`, `routine`, `type`, `membership`,
    /// `default privilege`, `default privilege of its own`, `setting` or `attribute`.
    pub kind: String,
    /// What it is on, quoted as an identifier: a table, a role, the name of a setting.
    pub object: String,
    /// The privilege, or what is different about a setting or an attribute.
    pub privilege: String,
    grant: Option<String>,
}

/// What [`compare`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// What was granted to the other as well.
    pub copied: Vec<Difference>,
    /// What still differs.
    pub left: Vec<Difference>,
}

const DOING: &str = "compare the grants of the two users";

/// Compares the two logins of a pair, and with `copy` grants to each what only the other has, as far as the user logged in
/// may grant it. Settings and attributes are only compared.
///
/// Repeating it changes nothing.
pub async fn compare(
    client: &mut Client,
    pair: &Pair,
    copy: bool,
    deadline: Instant,
) -> Result<Differences, RoleError> {
    let of = |error| RoleError::of(DOING, error);
    let work = async {
        let transaction = client.transaction().await.map_err(of)?;
        password::lock(&transaction, &pair.pending, deadline)
            .await
            .map_err(of)?;
        let found = read(&transaction, pair).await.map_err(of)?;
        let mut differences = Differences::default();
        for difference in found {
            let grant = difference.grant.as_deref().filter(|_| copy);
            if let Some(grant) = grant
                && granted(&transaction, grant).await?
            {
                differences.copied.push(difference);
            } else {
                differences.left.push(difference);
            }
        }
        transaction.commit().await.map_err(of)?;
        Ok(differences)
    };
    match timeout_at(deadline, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(RoleError::TimedOut { doing: DOING }),
    }
}

async fn read(
    transaction: &Transaction<'_>,
    pair: &Pair,
) -> Result<Vec<Difference>, tokio_postgres::Error> {
    let names = [pair.current.as_str(), pair.pending.as_str()];
    let names: &[&str] = &names;
    let mut differences = Vec::new();
    let mut add = |rows: Vec<Row>| -> Result<(), tokio_postgres::Error> {
        for row in rows {
            differences.push(Difference {
                role: row.try_get(0)?,
                kind: row.try_get(1)?,
                object: row.try_get(2)?,
                privilege: row.try_get(3)?,
                grant: row.try_get(4)?,
            });
        }
        Ok(())
    };
    let pair_names = (&names as _, Type::TEXT_ARRAY);
    add(transaction
        .query_typed(
            sql::DIFFERENT_MEMBERSHIPS,
            std::slice::from_ref(&pair_names),
        )
        .await?)?;
    add(transaction
        .query_typed(sql::DIFFERENT_GRANTS, std::slice::from_ref(&pair_names))
        .await?)?;
    add(transaction
        .query_typed(
            sql::DIFFERENT_DEFAULT_PRIVILEGES,
            &[pair_names.clone(), (&pair.one_owner, Type::BOOL)],
        )
        .await?)?;
    add(transaction
        .query_typed(sql::DIFFERENT_SETTINGS, std::slice::from_ref(&pair_names))
        .await?)?;
    add(transaction
        .query_typed(sql::DIFFERENT_ATTRIBUTES, &[pair_names])
        .await?)?;
    Ok(differences)
}

/// Runs a statement that the server has made of what differs; `false` if the user logged in may not grant that.
async fn granted(transaction: &Transaction<'_>, grant: &str) -> Result<bool, RoleError> {
    begin_attempt(transaction).await?;
    let outcome = match transaction.batch_execute(grant).await {
        Ok(()) => true,
        Err(error) if error.as_db_error().is_some() => false,
        Err(error) => return Err(RoleError::of(DOING, error)),
    };
    end_attempt(transaction, outcome).await?;
    Ok(outcome)
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            role,
            kind,
            object,
            privilege,
            ..
        } = self;
        write!(f, "only {role:?} has {privilege} on {kind} {object}")
    }
}
