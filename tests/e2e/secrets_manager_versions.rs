//! Tokens and versions of the local Secrets Manager, where emulators are known to differ from what AWS documents.

use std::sync::Arc;

use tokio::sync::Barrier;

use crate::secrets_manager::{ONE, THREE, TWO, code, create, get, move_label, put, stack, stages};

fn refused<T>(code: &str) -> Result<T, String> {
    Err(code.to_owned())
}

#[tokio::test]
async fn a_repeated_creation_must_be_of_the_same_value() {
    let (_stack, client) = stack().await;
    create(&client).await;
    let other = client
        .create_secret()
        .name("s")
        .client_request_token(ONE)
        .secret_string("other");
    assert_eq!(
        other.send().await.map(drop).map_err(code),
        refused("ResourceExistsException")
    );
    assert_eq!(get(&client, None, None).await.unwrap(), "one");
}

#[tokio::test]
async fn a_token_has_32_to_64_characters() {
    let (_stack, client) = stack().await;
    create(&client).await;
    for length in [31, 65] {
        let token = "t".repeat(length);
        assert_eq!(
            put(&client, &token, "two", None).await,
            refused("InvalidParameterException"),
            "{length}"
        );
    }
    for length in [32, 64] {
        let token = "t".repeat(length);
        put(&client, &token, "two", None).await.unwrap();
        assert_eq!(
            stages(&client, &token).await,
            Some(vec!["AWSCURRENT".to_owned()]),
            "the token is the version's id"
        );
    }
}

/// With and without AWSPENDING, and with other labels than the first time.
#[tokio::test]
async fn a_repeated_put_moves_no_label_and_another_value_is_refused() {
    let (_stack, client) = stack().await;
    create(&client).await;
    put(&client, TWO, "two", None).await.unwrap();
    for stage in [None, Some("AWSPENDING"), Some("AWSCURRENT")] {
        put(&client, TWO, "two", stage).await.unwrap();
        put(&client, ONE, "one", stage).await.unwrap();
        assert_eq!(
            put(&client, TWO, "other", stage).await,
            refused("ResourceExistsException")
        );
        assert_eq!(
            stages(&client, ONE).await,
            Some(vec!["AWSPREVIOUS".to_owned()])
        );
        assert_eq!(
            stages(&client, TWO).await,
            Some(vec!["AWSCURRENT".to_owned()])
        );
    }
    assert_eq!(get(&client, None, None).await.unwrap(), "two");
}

#[tokio::test]
async fn of_concurrent_puts_with_one_token_one_wins() {
    let (_stack, client) = stack().await;
    create(&client).await;
    for round in 0..10 {
        let token = format!("{round:0>32}");
        let begin = Arc::new(Barrier::new(8));
        let puts: Vec<_> = (0..8)
            .map(|number: u32| {
                let (client, token, begin) = (client.clone(), token.clone(), Arc::clone(&begin));
                tokio::spawn(async move {
                    begin.wait().await;
                    let text = number.to_string();
                    put(&client, &token, &text, Some("AWSPENDING"))
                        .await
                        .map(|_| text)
                })
            })
            .collect();
        let mut won = Vec::new();
        for put in puts {
            match put.await.unwrap() {
                Ok(text) => won.push(text),
                Err(refused) => assert_eq!(refused, "ResourceExistsException"),
            }
        }
        assert_eq!(won.len(), 1, "{won:?}");
        assert_eq!(
            get(&client, None, Some("AWSPENDING")).await.unwrap(),
            won[0]
        );
    }
}

#[tokio::test]
async fn a_move_names_versions_that_exist_and_where_the_label_is() {
    let (_stack, client) = stack().await;
    create(&client).await;
    put(&client, TWO, "two", Some("AWSPENDING")).await.unwrap();
    for (stage, to, from, expected) in [
        (
            "AWSCURRENT",
            Some(THREE),
            Some(ONE),
            "ResourceNotFoundException",
        ),
        ("AWSPENDING", Some(ONE), None, "InvalidParameterException"),
        ("AWSPENDING", None, Some(ONE), "InvalidParameterException"),
        ("AWSPENDING", None, None, "InvalidParameterException"),
    ] {
        assert_eq!(
            move_label(&client, stage, to, from).await,
            refused(expected),
            "{stage} {to:?} {from:?}"
        );
    }
    assert_eq!(
        stages(&client, ONE).await,
        Some(vec!["AWSCURRENT".to_owned()])
    );
    assert_eq!(
        stages(&client, TWO).await,
        Some(vec!["AWSPENDING".to_owned()])
    );
    move_label(&client, "a-label-of-ones-own", Some(ONE), None)
        .await
        .unwrap();
    assert_eq!(
        get(&client, None, Some("a-label-of-ones-own"))
            .await
            .unwrap(),
        "one"
    );
}

#[tokio::test]
async fn a_version_that_is_not_there_is_not_found() {
    let (_stack, client) = stack().await;
    create(&client).await;
    for (version, stage) in [
        (Some(THREE), None),
        (Some(THREE), Some("AWSCURRENT")),
        (None, Some("AWSPENDING")),
    ] {
        assert_eq!(
            get(&client, version, stage).await,
            refused("ResourceNotFoundException"),
            "{version:?} {stage:?}"
        );
    }
}
