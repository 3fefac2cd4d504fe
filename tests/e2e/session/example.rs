use std::error::Error;

use aurora_session::{SdkConfig, SecretsManager, Session, Trust};
use tokio::time::Instant;

pub async fn count_orders(
    aws: &SdkConfig,
    trust: Trust,
    deadline: Instant,
) -> Result<i64, Box<dyn Error>> {
    let session = Session::builder(SecretsManager::new(aws, None), "shop/database")
        .application_name("shop")
        .trust(trust) // Without this line: the roots of Amazon RDS.
        .build()?;
    let count = session.run(true, deadline, async |client| {
        let row = client
            .query_typed_one("SELECT count(*) FROM orders", &[])
            .await?;
        row.try_get(0)
    });
    Ok(count.await?)
}
