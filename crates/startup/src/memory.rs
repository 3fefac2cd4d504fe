//! What the C library's allocator is told.

use std::hint::black_box;

/// The largest block that is kept mapped once it was used: more than an event of the largest payload is ever copied into.
const LARGEST: usize = 16 * 1024 * 1024;

/// Has memory that one invocation gives back stay mapped for the next, up to twice 16 MiB.
///
/// glibc maps each large block anew and unmaps it when it is freed, and gives back the end of the heap, until it has seen how
/// large the blocks are that a program frees: then it keeps as much (mallopt(3), "dynamic mmap threshold"). A block that is
/// never touched costs two system calls and no memory. Otherwise the kernel clears some 600 pages for each event of 1 MB, as it
/// does for the floor of the benchmarks; with it, none. The memory of a function is paid for, used or not. `mallopt` would say it
/// outright, but is `unsafe`.
pub fn keep_mapped() {
    drop(black_box(Vec::<u8>::with_capacity(LARGEST)));
}
