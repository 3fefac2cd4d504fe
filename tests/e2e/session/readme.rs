//! What the page of `aurora-session` shows is what is run here.

use super::example::count_orders;
use super::{Key, soon};

const PAGE: &str = include_str!("../../../crates/aurora-session/README.md");
const EXAMPLE: &str = include_str!("example.rs");

#[test]
fn the_page_shows_the_example_that_is_run() {
    assert!(PAGE.contains(&format!("```rust\n{EXAMPLE}```\n")));
}

#[tokio::test]
async fn the_example_of_the_page_works_in_the_gap_of_a_rotation() {
    let key = Key::new("example").await;
    let fill = format!(
        "CREATE TABLE orders (number int); GRANT SELECT ON orders TO {}; INSERT INTO orders VALUES (1), (2), (3)",
        key.first.username
    );
    key.superuser.batch_execute(&fill).await.unwrap();
    let aws = key.stack.sdk_config();
    let count = count_orders(&aws, key.trust(), soon()).await.unwrap();
    assert_eq!(count, 3);
    key.rotate_into_the_gap().await;
    let count = count_orders(&aws, key.trust(), soon()).await.unwrap();
    assert_eq!(count, 3);
}
