//! How fast a database is rebuilt; see `benches::replay`.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::replay::run()
}
