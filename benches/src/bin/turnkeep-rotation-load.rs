//! Connects without pause through rotations; see `benches::rotation_load`.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::rotation_load::command::run()
}
