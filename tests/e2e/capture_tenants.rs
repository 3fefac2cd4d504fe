//! Tenants share a bucket and a database and nothing in them.

use std::collections::BTreeSet;

use local::canary::said;
use serde_json::{Value, json};

use crate::capture::turn;
use crate::system::{CAPTURE, System};

/// The same turn for a tenant, in other words.
fn of_tenant(tenant: &str) -> Value {
    let mut event = turn("c", 1);
    event["tenant_id"] = json!(tenant);
    event["user_id"] = json!(said(format!("user of {}", tenant.len())));
    event["messages"][0]["message_id"] = json!("m");
    event["messages"][0]["parts"][0]["content"] = json!(said(tenant));
    event
}

#[tokio::test]
async fn tenants_with_the_same_ids_have_nothing_in_common() {
    let system = System::start("tenants").await;
    let long = "t".repeat(512);
    // Among them those that a careless key would make one of, or let out of its prefix.
    let tenants = [
        "a", "A", "a/b", "a_b", "a/../b", "..", ".", "t=a", "a b", "ä", "a\u{301}", "😀", "a%2Fb",
        &long,
    ];
    let mut keys = BTreeSet::new();
    for tenant in tenants {
        let reply = system.capture(&of_tenant(tenant)).await;
        assert_eq!(reply["status"], "stored", "{tenant}: {reply}");
        let key = reply["s3_key"].as_str().unwrap().to_owned();
        assert!(
            key.split('/').all(|segment| !segment.starts_with('.')),
            "{key}"
        );
        assert!(key.len() <= 1_024, "{key}");
        let tenant_prefix: Vec<&str> = key.split('/').take(3).collect();
        keys.insert(tenant_prefix.join("/"));
        assert_eq!(
            system.capture(&of_tenant(tenant)).await["status"],
            "duplicate"
        );
    }
    assert_eq!(keys.len(), tenants.len(), "a prefix for each: {keys:?}");
    let count = i64::try_from(tenants.len()).unwrap();
    for table in ["conversations", "capture_events"] {
        let rows = format!("SELECT count(*) FROM {table}");
        assert_eq!(system.number(&rows, &[]).await, count, "{table}");
    }
    let own =
        "SELECT count(*) FROM messages m JOIN conversations c USING (tenant_id, conversation_id)
        WHERE m.message_id = 'm' AND right(m.content, char_length(m.tenant_id)) = m.tenant_id";
    assert_eq!(system.number(own, &[]).await, count);
    system.assert_counters_are_exact().await;
}

/// Whoever owns a conversation of one tenant is nobody to another tenant's.
#[tokio::test]
async fn an_owner_counts_in_his_tenant_only() {
    let system = System::start("tenantowners").await;
    system.announce(r#""outcome":"foreign""#);
    let event = |tenant: &str, user: &str, number: usize| {
        let mut event = turn("c", number);
        event["tenant_id"] = json!(tenant);
        event["user_id"] = json!(said(user));
        event
    };
    assert_eq!(
        system.capture(&event("a", "ana", 1)).await["status"],
        "stored"
    );
    assert_eq!(
        system.capture(&event("b", "eve", 1)).await["status"],
        "stored"
    );
    let (code, _) = system.refused(CAPTURE, &event("a", "eve", 2)).await;
    assert_eq!(code, "Capture.Foreign");
    assert_eq!(
        system.capture(&event("b", "eve", 2)).await["status"],
        "stored"
    );
}
