//! Whose the things are that either login makes.

use aurora::role::{self, Pair};
use tokio_postgres::Client;

use super::{Household, run};

/// Makes one thing of each kind in a schema of its own.
async fn make(client: &Client, swap: usize) {
    let statements = format!(
        "CREATE SCHEMA made_{swap}; \
         CREATE TYPE made_{swap}.kind AS ENUM ('a', 'b'); \
         CREATE TABLE made_{swap}.thing (id int PRIMARY KEY, kind made_{swap}.kind); \
         CREATE SEQUENCE made_{swap}.number; \
         CREATE FUNCTION made_{swap}.answer() RETURNS int LANGUAGE sql RETURN 42; \
         CREATE TABLE public.made_{swap} (id int)"
    );
    run(client, &statements).await;
}

/// Uses and alters what was made in `swap`, in such a way that it can be done again.
async fn use_and_alter(client: &Client, swap: usize, by: usize) {
    let statements = format!(
        "INSERT INTO made_{swap}.thing VALUES ({by}, 'a'); \
         SELECT nextval('made_{swap}.number'), made_{swap}.answer(); \
         ALTER TABLE made_{swap}.thing ADD COLUMN added_{by} int; \
         ALTER SEQUENCE made_{swap}.number INCREMENT BY {by}; \
         ALTER TYPE made_{swap}.kind ADD VALUE 'by {by}'; \
         CREATE OR REPLACE FUNCTION made_{swap}.answer() RETURNS int LANGUAGE sql RETURN {by}; \
         CREATE TABLE made_{swap}.added_{by} (id int); \
         ALTER TABLE public.made_{swap} ADD COLUMN added_{by} int; \
         DELETE FROM made_{swap}.thing"
    );
    for statement in statements.split(';') {
        run(client, statement).await;
    }
}

#[tokio::test]
async fn what_either_login_makes_is_usable_and_alterable_by_the_other_after_ten_swaps() {
    let mut household = Household::of("swaps").await;
    for swap in 1..=10 {
        let pair = household.pair(swap % 2 == 0);
        let (client, changes) = household.swap(&pair).await.unwrap();
        assert!(swap == 1 || changes.is_empty(), "swap {swap}: {changes:?}");
        make(&client, swap).await;
        for earlier in 1..=swap {
            use_and_alter(&client, earlier, swap).await;
        }
    }
    let owners = household
        .master
        .query(
            "SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class \
              WHERE relname ~ '^(made|thing|number|added)'",
            &[],
        )
        .await
        .unwrap();
    let owners: Vec<String> = owners.iter().map(|row| row.get(0)).collect();
    assert_eq!(owners, [household.user.as_str()]);
}

#[tokio::test]
async fn without_one_owner_it_is_as_with_the_reference() {
    let mut household = Household::of("opted_out").await;
    let pair = Pair {
        one_owner: false,
        ..household.pair(false)
    };
    let (client, _) = household.swap(&pair).await.unwrap();
    run(&client, "CREATE TABLE own (id int)").await;
    let owner = client
        .query_one(
            "SELECT tableowner::text FROM pg_tables WHERE tablename = 'own'",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(owner.get::<_, &str>(0), household.clone.as_str());
}

/// As AWS's function leaves a pair: the clone is a member of the first user, and owns what it made.
async fn made_by_the_reference(household: &Household) {
    let (user, clone) = (household.user.quoted(), household.clone.quoted());
    run(
        &household.master,
        &format!("CREATE ROLE {clone} LOGIN; GRANT {user} TO {clone}"),
    )
    .await;
    let superuser = household.database.superuser().await.unwrap();
    let as_clone = format!("SET ROLE {clone}; CREATE TABLE of_the_clone (id int); RESET ROLE");
    run(
        &superuser,
        &format!("GRANT ALL ON SCHEMA public TO {clone}; {as_clone}"),
    )
    .await;
}

#[tokio::test]
async fn a_clone_that_the_reference_made_is_repaired_whichever_is_current() {
    for clone_is_current in [false, true] {
        let mut household = Household::of("repaired").await;
        made_by_the_reference(&household).await;
        let pair = household.pair(clone_is_current);
        let (client, changes) = household.swap(&pair).await.unwrap();
        assert_eq!(changes.len(), 2, "{changes:?}");
        run(
            &client,
            "INSERT INTO of_the_clone VALUES (1); ALTER TABLE of_the_clone ADD COLUMN more int",
        )
        .await;
        let swapped_back = household.pair(!clone_is_current);
        let (client, changes) = household.swap(&swapped_back).await.unwrap();
        assert!(changes.is_empty(), "{changes:?}");
        run(&client, "ALTER TABLE of_the_clone DROP COLUMN more").await;
        // For a moment the master was a member; it is none any more.
        let still = household
            .master
            .query_one(
                "SELECT pg_has_role(current_user, $1::text::name, 'USAGE')",
                &[&household.clone.as_str()],
            )
            .await
            .unwrap();
        assert!(!still.get::<_, bool>(0));
    }
}

#[tokio::test]
async fn settings_of_one_login_are_set_on_the_other() {
    let mut household = Household::of("settings").await;
    let user = household.user.quoted();
    let settings = format!(
        "ALTER ROLE {user} SET statement_timeout = '31s'; \
         ALTER ROLE {user} SET lock_timeout = 4000; \
         ALTER ROLE {user} SET search_path = \"$user\", public, \"It's\""
    );
    run(&household.master, &settings).await;
    // The master may not set it, and the password is what counts.
    let superuser = household.database.superuser().await.unwrap();
    run(
        &superuser,
        &format!("ALTER ROLE {user} SET log_statement = 'ddl'"),
    )
    .await;
    let pair = household.pair(false);
    let (client, changes) = household.swap(&pair).await.unwrap();
    assert_eq!(changes.len(), 6, "{changes:?}");
    for (setting, value) in [
        ("statement_timeout", "31s"),
        ("lock_timeout", "4s"),
        ("search_path", "\"$user\", public, \"It's\""),
    ] {
        let shown = client
            .query_one("SELECT current_setting($1)", &[&setting])
            .await
            .unwrap();
        assert_eq!(shown.get::<_, &str>(0), value, "{setting}");
    }
    let differences = role::compare(&mut household.master, &pair, false, super::soon())
        .await
        .unwrap();
    let left: Vec<String> = differences.left.iter().map(ToString::to_string).collect();
    let expected = format!(
        "only {:?} has SET on setting log_statement",
        household.user.as_str()
    );
    assert_eq!(left, [expected]);
}
