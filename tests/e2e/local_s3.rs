//! The S3 of the local stack, where moto alone would be unlike the real one.

use aws_sdk_s3::primitives::ByteStream;
use local::{Stack, StackOptions};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn of_many_conditional_puts_of_one_key_one_succeeds() {
    let stack = Stack::start(StackOptions::from_environment().unwrap())
        .await
        .unwrap();
    let bucket = stack.bucket("conditional").await.unwrap();
    let client = aws_sdk_s3::Client::new(&stack.sdk_config());
    for key in 0..20 {
        let mut puts = JoinSet::new();
        for _ in 0..16 {
            let put = client
                .put_object()
                .bucket(&bucket)
                .key(format!("key-{key}"))
                .if_none_match("*")
                .body(ByteStream::from_static(b"{}"));
            puts.spawn(put.send());
        }
        let outcomes = puts.join_all().await;
        let codes: Vec<_> = outcomes
            .iter()
            .filter_map(|put| put.as_ref().err())
            .map(|error| error.raw_response().map(|raw| raw.status().as_u16()))
            .collect();
        assert_eq!(codes, [Some(412); 15], "key-{key}");
    }
}
