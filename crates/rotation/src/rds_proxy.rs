//! Hosts that are an RDS Proxy, and not the database itself.

use crate::finding::Finding;

/// What makes a rotation fail that logs in to `host`.
pub(crate) fn of_host(host: &str) -> Option<Finding> {
    is_rds_proxy(host).then(|| {
        Finding::error(
            "RDS_PROXY",
            format!("the host is an RDS Proxy, which knows no password before it is AWSCURRENT: {host}"),
            "have the function log in to the cluster itself: set DB_HOST of the function to its writer endpoint; the secret keeps the proxy's name for the clients",
        )
    })
}

/// Whether a name is an endpoint of an RDS Proxy: `NAME.proxy-ID.REGION.rds.amazonaws.com`, with `NAME.endpoint` for one that
/// was made besides the proxy's own. In some partitions (China) region and service stand the other way round.
fn is_rds_proxy(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let domains = [".amazonaws.com", ".amazonaws.com.cn"];
    let name = domains.iter().find_map(|domain| host.strip_suffix(domain));
    let labels: Vec<&str> = name.unwrap_or_default().split('.').collect();
    matches!(
        labels.as_slice(),
        [_, .., proxy, _, "rds"] | [_, .., proxy, "rds", _] if proxy.starts_with("proxy-")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, expected: bool) {
        assert_eq!(is_rds_proxy(host), expected, "{host}");
        assert_eq!(of_host(host).is_some(), expected, "{host}");
    }

    #[test]
    fn s18_an_rds_proxy_is_known_by_its_name() {
        check("app.proxy-abcdefghijkl.eu-west-2.rds.amazonaws.com", true);
        check("APP.Proxy-abcdefghijkl.eu-west-2.RDS.amazonaws.com.", true);
        check(
            "reader.endpoint.proxy-abcdefghijkl.us-east-1.rds.amazonaws.com",
            true,
        );
        check("app.proxy-abc.rds.cn-north-1.amazonaws.com.cn", true);
        check("app.proxy-abc.cn-northwest-1.rds.amazonaws.com.cn", true);
        check("app.proxy-abc.rds.us-gov-west-1.amazonaws.com", true);
    }

    #[test]
    fn s18_other_hosts_are_none() {
        check(
            "app.cluster-abcdefghijkl.eu-west-2.rds.amazonaws.com",
            false,
        );
        check(
            "app.cluster-ro-abcdefghijkl.eu-west-2.rds.amazonaws.com",
            false,
        );
        // An instance may be called like that.
        check("proxy-one.abcdefghijkl.eu-west-2.rds.amazonaws.com", false);
        check("proxy-abc.eu-west-2.rds.amazonaws.com", false);
        check("app.noproxy-abc.eu-west-2.rds.amazonaws.com", false);
        check("app.proxy-abc.eu-west-2.rds.example.com", false);
        check("db.internal", false);
        check("127.0.0.1", false);
        check("", false);
    }
}
