//! The end-to-end tests: the release binaries on the local stack.
//!
//! They are one binary, because each test binary links the AWS SDK again. They run below `turnkeep-local with --`, which
//! starts one PostgreSQL and one moto for all of them (`make e2e` does it); each test has its own database, bucket,
//! Secrets Manager and Lambda, so the order and number of tests at a time do not matter.
//!
//! What a test has besides its subject stands in `evidence`: canaries, and no warning that was not announced.

#![expect(unreachable_pub, reason = "a test binary has no public interface")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails; clippy knows tests only by their attribute, not what they call"
)]

mod alternating;
mod asleep;
mod canary;
mod capture;
mod capture_chaos;
mod capture_faults;
mod capture_matrix;
mod capture_media;
mod capture_poison;
mod capture_samples;
mod capture_sources;
mod capture_tenants;
mod capture_workers;
mod cli;
mod cli_refusals;
mod clients;
mod deployed;
mod drop_in;
mod evidence;
mod failure_model;
mod impostor;
mod local_lambda;
mod local_postgres;
mod local_s3;
mod local_up;
mod old_world;
mod operator;
mod pgbouncer;
mod redaction;
mod replay;
mod roles;
mod rotation;
mod rotation_chaos;
mod rotation_faults;
mod rotation_load;
mod rotation_logins;
mod rotation_statements;
mod rotation_tls;
mod secrets_manager;
mod secrets_manager_rotation;
mod secrets_manager_versions;
mod session;
mod shapes;
mod statements;
mod store;
mod sweep;
mod system;
