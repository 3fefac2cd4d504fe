//! The benchmark's runner; see the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::command::run()
}
