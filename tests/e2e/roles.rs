//! Roles belong to the cluster: databases that are set up at the same time meet in them.

use aurora::role::{self, LoginRole, RoleName, Roles, SessionLimits};
use local::{Stack, StackOptions};
use tokio::task::JoinSet;

#[tokio::test]
async fn databases_of_a_cluster_are_set_up_with_the_same_roles_at_once() {
    let stack = Stack::start(StackOptions::from_environment().unwrap())
        .await
        .unwrap();
    let first = stack.database("roles").await.unwrap();
    let name = |part: &str| RoleName::new(format!("{part}_{}", first.name)).unwrap();
    let roles = Roles {
        owner: name("owner"),
        group: name("group"),
        logins: vec![LoginRole {
            name: name("login"),
            verifier: None,
            limits: SessionLimits::default(),
        }],
        schema: "public".to_owned(),
    };
    let mut clients = vec![first.master().await.unwrap()];
    for _ in 1..8 {
        let database = stack.database("roles").await.unwrap();
        clients.push(database.master().await.unwrap());
    }
    let mut set_ups = JoinSet::new();
    for mut client in clients {
        let roles = roles.clone();
        set_ups.spawn(async move {
            role::apply(&mut client, &roles).await?;
            role::plan(&client, &roles).await
        });
    }
    while let Some(left) = set_ups.join_next().await {
        let left = left.unwrap().unwrap();
        assert!(left.is_empty(), "still to be done: {left:?}");
    }
}
