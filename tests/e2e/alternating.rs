//! Alternating users: two logins of one application, on every version of PostgreSQL that the tests are run with.

mod bootstrap;
mod differences;
mod ownership;
mod repair;
mod rotation;

use std::convert::Infallible;
use std::time::Duration;

use aurora::role::{self, Pair, PairChange, RoleError, RoleName, SetPasswordError};
use aurora::verifier;
use local::{Credentials, Database, Stack, StackOptions};
use tokio::time::Instant;
use tokio_postgres::Client;

/// A database with the first user of a pair, made by the master; what a test needs to swap the two.
struct Household {
    stack: Stack,
    database: Database,
    master: Client,
    /// The first user.
    user: RoleName,
    clone: RoleName,
}

impl Household {
    /// A first user called `name`, behind which the database's name makes it unique.
    async fn of(name: &str) -> Self {
        let household = Self::without_roles(name).await;
        let user = &household.user;
        run(
            &household.master,
            &format!("CREATE ROLE {} LOGIN", user.quoted()),
        )
        .await;
        household.grant_everything().await;
        household
    }

    async fn without_roles(name: &str) -> Self {
        let stack = Stack::start(StackOptions::from_environment().unwrap())
            .await
            .unwrap();
        let database = stack.database("pair").await.unwrap();
        let name = format!("{name}{}", database.name);
        Self {
            master: database.master().await.unwrap(),
            clone: role_name(&format!("{name}_clone")),
            user: role_name(&name),
            stack,
            database,
        }
    }

    /// What the first user needs in order to make things.
    async fn grant_everything(&self) {
        let superuser = self.database.superuser().await.unwrap();
        let (user, database) = (self.user.quoted(), &self.database.name);
        run(
            &superuser,
            &format!(
                "GRANT CREATE, CONNECT ON DATABASE {database} TO {user}; GRANT ALL ON SCHEMA public TO {user}"
            ),
        )
        .await;
    }

    fn pair(&self, clone_is_current: bool) -> Pair {
        let (current, pending) = if clone_is_current {
            (&self.clone, &self.user)
        } else {
            (&self.user, &self.clone)
        };
        Pair {
            current: current.clone(),
            pending: pending.clone(),
            one_owner: true,
        }
    }

    /// Gives the pending login a password and logs in with it.
    async fn swap(&mut self, pair: &Pair) -> Result<(Client, Vec<PairChange>), RoleError> {
        let credentials = Credentials::generate(pair.pending.as_str());
        let verifier = verifier::scram_sha_256(&credentials.password);
        let check = async || Ok::<(), Infallible>(());
        let outcome =
            role::set_alternate_password(&mut self.master, pair, &verifier, soon(), check).await;
        let changes = outcome.map_err(|error| match error {
            SetPasswordError::Role(error) => error,
            SetPasswordError::Vetoed(never) => match never {},
        })?;
        Ok((self.database.connect(&credentials).await.unwrap(), changes))
    }
}

fn role_name(name: &str) -> RoleName {
    RoleName::new(name).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[track_caller]
fn run<'a>(client: &'a Client, statements: &'a str) -> impl Future<Output = ()> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        if let Err(error) = client.batch_execute(statements).await {
            let reason = error.as_db_error().map(ToString::to_string);
            panic!(
                "{caller}: {statements}: {}",
                reason.unwrap_or_else(|| error.to_string())
            );
        }
    }
}

#[tokio::test]
async fn s19_the_missing_admin_option_is_named_with_the_statement_that_repairs_it() {
    let mut household = Household::without_roles("foreign").await;
    let superuser = household.database.superuser().await.unwrap();
    run(
        &superuser,
        &format!("CREATE ROLE {} LOGIN", household.user.quoted()),
    )
    .await;
    let pair = household.pair(false);
    if household.stack.server().version >= 16 {
        let refused = household.swap(&pair).await.map(drop).unwrap_err();
        assert_eq!(refused.code(), "ADMIN_OPTION_MISSING");
        let master = household.stack.server().master().username.clone();
        let repair = format!(
            "GRANT {} TO \"{master}\" WITH ADMIN OPTION",
            household.user.quoted()
        );
        assert!(refused.to_string().contains(&repair), "{refused}");
        let count = "SELECT count(*) FROM pg_roles WHERE rolname = $1";
        let clones = superuser
            .query_one(count, &[&household.clone.as_str()])
            .await
            .unwrap();
        assert_eq!(clones.get::<_, i64>(0), 0, "all of it was rolled back");
        run(&superuser, &repair).await;
    }
    household.swap(&pair).await.unwrap();
}

#[tokio::test]
async fn x8_names_are_taken_as_they_are() {
    for name in ["It's a \"Quoted\" $name ", "ÄÖ_Ünïcödé_", "SELECT"] {
        let mut household = Household::of(name).await;
        for clone_is_current in [false, true, false] {
            let pair = household.pair(clone_is_current);
            let (client, _) = household.swap(&pair).await.unwrap();
            let who = client
                .query_one("SELECT session_user::text, current_user::text", &[])
                .await
                .unwrap();
            assert_eq!(who.get::<_, &str>(0), pair.pending.as_str());
            assert_eq!(who.get::<_, &str>(1), household.user.as_str());
        }
    }
}

#[tokio::test]
async fn a_check_that_says_no_changes_nothing() {
    let mut household = Household::of("late").await;
    let pair = household.pair(false);
    let verifier = verifier::scram_sha_256(&Credentials::generate("x").password);
    let check = async || Err(std::io::Error::other("overtaken"));
    let vetoed =
        role::set_alternate_password(&mut household.master, &pair, &verifier, soon(), check).await;
    assert!(matches!(vetoed, Err(SetPasswordError::Vetoed(_))));
    let found = household
        .master
        .query(
            "SELECT FROM pg_roles WHERE rolname = $1",
            &[&household.clone.as_str()],
        )
        .await
        .unwrap();
    assert!(found.is_empty());
}

#[tokio::test]
async fn s4_swaps_at_once_neither_fail_nor_undo_each_other() {
    let mut household = Household::of("at_once").await;
    let pair = household.pair(false);
    let verifier = verifier::scram_sha_256(&Credentials::generate("x").password);
    let mut swaps = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut master = household.database.master().await.unwrap();
        let (pair, verifier) = (pair.clone(), verifier.clone());
        swaps.spawn(async move {
            let check = async || Ok::<(), Infallible>(());
            role::set_alternate_password(&mut master, &pair, &verifier, soon(), check).await
        });
    }
    while let Some(swapped) = swaps.join_next().await {
        swapped.unwrap().unwrap();
    }
    household.swap(&pair).await.unwrap();
}
