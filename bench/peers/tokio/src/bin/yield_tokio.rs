// SPDX-License-Identifier: MIT
// yield: OPS TASKS. See bench/yield.c. One thread; tasks go in the order in
// which they became ready.
use std::cell::Cell;
use tokio::task::yield_now;
use weft_bench_tokio::{one_thread, support::*};

const WARM: u64 = 3;

// There is one thread, so that its own variables are all tasks'.
thread_local! {
    static STARTED: Cell<u64> = Cell::new(0);
    static COUNT: Cell<u64> = Cell::new(0);
}

fn get(variable: &'static std::thread::LocalKey<Cell<u64>>) -> u64 {
    variable.with(|v| v.get())
}

fn add_one(variable: &'static std::thread::LocalKey<Cell<u64>>) {
    variable.with(|v| v.set(v.get() + 1));
}

async fn pass(n: u64) {
    for _ in 0..n {
        yield_now().await;
    }
}

/// How many yields of all tasks there were, and how long they took, while this
/// one did its share.
async fn member(tasks: u64, rounds: u64) -> (u64, f64) {
    add_one(&STARTED);
    while get(&STARTED) < tasks {
        yield_now().await;
    }
    pass(WARM).await;
    let (before, begin) = (get(&COUNT), cpu());
    for _ in 0..rounds {
        add_one(&COUNT);
        yield_now().await;
    }
    let span = (get(&COUNT) - before, cpu() - begin);
    pass(WARM).await;
    span
}

async fn measure() {
    let (ops, tasks) = (argument(0), argument(1));
    let all: Vec<_> = (0..tasks).map(|_| tokio::spawn(member(tasks, ops / tasks))).collect();
    let mut first = None;
    for task in all {
        let span = task.await.expect("an end");
        first = first.or(Some(span));
    }
    let (n, used) = first.expect("a task");
    let count = get(&COUNT);
    reply(used / n as f64, count, &[n as f64 / count as f64]);
}

fn main() {
    one_thread().block_on(async { tokio::spawn(measure()).await.expect("an end") });
}
