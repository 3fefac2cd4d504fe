//! The thread that every server and proxy of the stack runs on.
//!
//! A test may run `turnkeep` by `std::process::Command` and block: the gateway that the command talks to must go on. And
//! children ask the kernel for a signal when the *thread* that started them ends (`PR_SET_PDEATHSIG`), so that thread has
//! to live as long as the process.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle};

/// The background thread's runtime.
pub(crate) fn handle() -> &'static Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(start)
}

/// Runs `work` on the background thread and waits for it, from any runtime.
pub(crate) async fn run<F>(work: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match handle().spawn(work).await {
        Ok(output) => output,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}

#[expect(
    clippy::expect_used,
    reason = "a process that cannot start one thread cannot do anything that follows"
)]
fn start() -> Handle {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("no runtime for the background thread");
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("turnkeep-local".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))
        .expect("no background thread");
    handle
}
