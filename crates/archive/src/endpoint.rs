//! Where a bucket's requests go.

use std::sync::OnceLock;

use aws_sdk_s3::config::endpoint::{
    DefaultResolver, Endpoint, EndpointFuture, Params, ResolveEndpoint,
};

/// Asks the SDK's rules once where the requests of a bucket go.
///
/// The SDK asks them twice for each request, for the endpoint and for how to sign. It remembers the last answer, but with the
/// object's key, at which no rule looks.
///
/// Within one client only bucket and key differ between our operations.
#[derive(Debug)]
pub(crate) struct EndpointOfBucket {
    bucket: String,
    rules: DefaultResolver,
    known: OnceLock<Endpoint>,
}

impl EndpointOfBucket {
    pub(crate) fn new(bucket: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            rules: DefaultResolver::new(),
            known: OnceLock::new(),
        }
    }
}

impl ResolveEndpoint for EndpointOfBucket {
    fn resolve_endpoint<'a>(&'a self, params: &'a Params) -> EndpointFuture<'a> {
        // Objects with events may lie in other buckets.
        if params.bucket() != Some(&self.bucket) {
            return ResolveEndpoint::resolve_endpoint(&self.rules, params);
        }
        if let Some(endpoint) = self.known.get() {
            return EndpointFuture::ready(Ok(endpoint.clone()));
        }
        EndpointFuture::new(async move {
            let endpoint = ResolveEndpoint::resolve_endpoint(&self.rules, params).await?;
            Ok(self.known.get_or_init(|| endpoint).clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(bucket: &str, key: &str) -> Params {
        let params = Params::builder().region("eu-west-1".to_owned());
        let params = params.bucket(bucket.to_owned()).key(key.to_owned());
        params.build().expect("complete")
    }

    #[tokio::test]
    async fn it_is_the_one_that_the_rules_name() {
        let ours = EndpointOfBucket::new("conversations-1");
        for (bucket, key) in [
            ("conversations-1", "a"),
            ("conversations-1", "b/c"),
            ("uploads.example", "a"),
            ("conversations-1", "a"),
        ] {
            let params = params(bucket, key);
            let rules = DefaultResolver::new();
            let expected = ResolveEndpoint::resolve_endpoint(&rules, &params).await;
            let found = ours.resolve_endpoint(&params).await.expect("an endpoint");
            assert_eq!(found, expected.expect("an endpoint"));
        }
    }

    #[tokio::test]
    async fn what_the_rules_refuse_is_refused_each_time() {
        let ours = EndpointOfBucket::new("arn:aws:s3:eu-west-1:1");
        for _ in 0..2 {
            let params = params("arn:aws:s3:eu-west-1:1", "a");
            assert!(ours.resolve_endpoint(&params).await.is_err());
        }
    }
}
