//! Prints `docs/environment.md`.

#[expect(clippy::print_stdout, reason = "its output is the page")]
fn main() {
    print!("{}", startup::environment::reference());
}
