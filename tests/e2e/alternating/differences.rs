//! What one login of a pair may do and the other may not: found, and copied where that is wanted.

use aurora::role;

use super::{Household, run, soon};

/// Grants to the clone alone, one of each kind.
fn grants(household: &Household) -> String {
    let (user, clone) = (household.user.quoted(), household.clone.quoted());
    let database = &household.database.name;
    format!(
        "CREATE SCHEMA corner; \
         CREATE TABLE corner.things (id int, name text); \
         CREATE SEQUENCE corner.numbers; \
         CREATE TYPE corner.kind AS ENUM ('a'); \
         CREATE FUNCTION corner.answer(int, text) RETURNS int LANGUAGE sql RETURN 42; \
         CREATE ROLE {group}; \
         REVOKE EXECUTE ON FUNCTION corner.answer FROM PUBLIC; \
         REVOKE USAGE ON TYPE corner.kind FROM PUBLIC; \
         REVOKE ALL ON SCHEMA public FROM {user}; \
         GRANT {group} TO {clone}; \
         GRANT USAGE ON SCHEMA corner TO {clone}; \
         GRANT SELECT, INSERT ON corner.things TO {clone}; \
         GRANT UPDATE (name) ON corner.things TO {clone}; \
         GRANT USAGE ON SEQUENCE corner.numbers TO {clone}; \
         GRANT USAGE ON TYPE corner.kind TO {clone}; \
         GRANT EXECUTE ON FUNCTION corner.answer TO {clone}; \
         GRANT TEMPORARY ON DATABASE {database} TO {clone}; \
         REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC; \
         ALTER DEFAULT PRIVILEGES IN SCHEMA corner GRANT SELECT ON TABLES TO {clone}; \
         ALTER ROLE {clone} SET work_mem = '5MB'; \
         ALTER ROLE {clone} CONNECTION LIMIT 7; \
         GRANT SELECT ON corner.things TO PUBLIC; \
         REVOKE SELECT ON corner.things FROM PUBLIC",
        group = format_args!("\"{}_readers\"", household.database.name),
    )
}

fn sentences(found: &[role::Difference]) -> Vec<String> {
    let kinds = found.iter().map(|difference| {
        format!(
            "{} {} {}",
            difference.kind, difference.privilege, difference.object
        )
    });
    kinds.collect()
}

#[tokio::test]
async fn twelve_kinds_of_differences_are_found_and_what_can_be_granted_is_copied() {
    let mut household = Household::of("differs").await;
    let pair = household.pair(false);
    household.swap(&pair).await.unwrap();
    let compared = role::compare(&mut household.master, &pair, true, soon())
        .await
        .unwrap();
    assert_eq!(
        compared,
        role::Differences::default(),
        "a new clone has what it needs"
    );

    let mut superuser = household.database.superuser().await.unwrap();
    run(&superuser, &grants(&household)).await;
    let (database, group) = (
        &household.database.name,
        format!("{}_readers", household.database.name),
    );
    let master = &household.stack.server().master().username;
    let made_by = superuser
        .query_one("SELECT current_user::text", &[])
        .await
        .unwrap();
    let made_by: &str = made_by.get(0);
    let expected = [
        format!("membership MEMBER {group}"),
        format!("database TEMPORARY {database}"),
        "routine EXECUTE corner.answer(integer, text)".to_owned(),
        "schema USAGE corner".to_owned(),
        "sequence USAGE corner.numbers".to_owned(),
        "table INSERT corner.things".to_owned(),
        "table SELECT corner.things".to_owned(),
        "table UPDATE (name) corner.things".to_owned(),
        "type USAGE corner.kind".to_owned(),
        format!("default privilege SELECT TABLES of {made_by} in schema corner"),
        "setting SET work_mem".to_owned(),
        "attribute -1 connection limit".to_owned(),
    ];
    let found = role::compare(&mut superuser, &pair, false, soon())
        .await
        .unwrap();
    assert_eq!(found.copied, []);
    assert_eq!(sentences(&found.left), expected);

    // The master may grant a little of it, and is not stopped by the rest.
    let found = role::compare(&mut household.master, &pair, true, soon())
        .await
        .unwrap();
    assert_eq!(
        found.left.len() + found.copied.len(),
        expected.len(),
        "{master}: {found:?}"
    );
    role::compare(&mut superuser, &pair, true, soon())
        .await
        .unwrap();
    let found = role::compare(&mut superuser, &pair, true, soon())
        .await
        .unwrap();
    assert_eq!(found.copied, [], "it is done");
    assert_eq!(sentences(&found.left), expected[10..]);
}
