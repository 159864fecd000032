// SPDX-License-Identifier: MIT
// What the programs share: the support of all Rust peers, and the two runtimes.
#[path = "../../support.rs"]
pub mod support;

use tokio::runtime::{Builder, Runtime};

/// One thread, the calling one.
pub fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

pub fn threads(n: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(n).build().expect("a runtime")
}
