//! Connects without pause through hundreds of rotations: how many fail, how long they take, and a picture of one rotation.
//!
//! The crate `load` connects, rotates and counts. Here is what to run ([`command`]), what must hold and the tables
//! (`report`), and the picture (`timeline`, `mark`).

pub mod command;
mod mark;
mod report;
mod timeline;
