// SPDX-License-Identifier: MIT
// submit: OPS WORKERS. See bench/submit.c. A spawned job has no future: it
// stores its result, and one counter says when all are done.
use rayon::ThreadPool;
use std::sync::atomic::{AtomicU64, Ordering};
use weft_bench_rayon::{support::*, threads};

const BURST: u64 = 10000;
const WARM_BURSTS: u64 = 3;

#[allow(clippy::declare_interior_mutable_const)]
const ZERO: AtomicU64 = AtomicU64::new(0);
static RESULTS: [AtomicU64; BURST as usize] = [ZERO; BURST as usize];
static DONE: AtomicU64 = AtomicU64::new(0);

fn burst(pool: &ThreadPool, n: u64) -> f64 {
    let begin = thread_cpu();
    for i in 0..n {
        pool.spawn(move || {
            RESULTS[i as usize].store(3 * i, Ordering::Relaxed);
            DONE.fetch_add(1, Ordering::Release);
        });
    }
    thread_cpu() - begin
}

fn collect(n: u64) -> u64 {
    while DONE.load(Ordering::Acquire) < n {
        std::thread::yield_now();
    }
    DONE.store(0, Ordering::Relaxed);
    RESULTS[..n as usize].iter().map(|x| x.load(Ordering::Relaxed)).sum()
}

fn main() {
    let (ops, workers) = (argument(0), argument(1));
    let n = ops.min(BURST);
    let pool = threads(workers);
    for _ in 0..WARM_BURSTS {
        burst(&pool, n);
        collect(n);
    }
    let (used, begin, mut submit, mut answer) = (cpu(), wall(), 0.0, 0);
    for _ in 0..ops / n {
        submit += burst(&pool, n);
        answer += collect(n);
    }
    let jobs = (ops / n * n) as f64;
    reply(submit / jobs, answer, &[(cpu() - used) / jobs, (wall() - begin) / jobs]);
}
