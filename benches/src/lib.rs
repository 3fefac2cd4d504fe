//! What Turnkeep costs, measured beside the least that could do its work.
//!
//! The runner (`turnkeep-bench`) starts release binaries as Lambda does and measures them from outside: time on the wire,
//! CPU by the kernel's accounting, statements by `pg_stat_statements`, flushes by a proxy. Two programs of this crate are
//! the yardsticks. `hello` is `lambda_runtime` and nothing else. `floor` sends S3 and PostgreSQL the very bytes that
//! `conversation-capture` sent them, recorded beforehand, and does nothing else: what capture costs above it is what our
//! own code costs.
//!
//! The machine decides every absolute figure, so that figures are compared only within one run, in which the programs take
//! turns. Start at `run::all`.
//!
//! `turnkeep-rotation-load` is a program of its own: what becomes of connects while rotations run. Start at
//! [`rotation_load`]. Another is `turnkeep-replay-rate`: how fast a database is rebuilt from the archive; start at [`replay`].

pub mod command;
mod compare;
mod events;
mod figures;
mod original;
mod process;
pub mod replay;
mod rotation;
pub mod rotation_load;
mod run;
mod runtime_api;
pub mod script;
mod setting;
mod start;
mod statement;
mod warm;
