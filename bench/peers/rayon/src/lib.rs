// SPDX-License-Identifier: MIT
// What the programs share: the support of all Rust peers, and the pool.
#[path = "../../support.rs"]
pub mod support;

use rayon::{ThreadPool, ThreadPoolBuilder};

pub fn threads(n: u64) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(n as usize).build().expect("a pool")
}
