// SPDX-License-Identifier: MIT
// submit: OPS WORKERS. See bench/submit.c. From a thread outside the runtime;
// each job's result comes through its handle.
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use weft_bench_tokio::{support::*, threads};

const BURST: u64 = 10000;
const WARM_BURSTS: u64 = 3;

fn burst(runtime: &Runtime, handles: &mut Vec<JoinHandle<u64>>, n: u64) -> f64 {
    let begin = thread_cpu();
    for i in 0..n {
        handles.push(runtime.spawn(async move { 3 * i }));
    }
    thread_cpu() - begin
}

fn collect(runtime: &Runtime, handles: &mut Vec<JoinHandle<u64>>) -> u64 {
    runtime.block_on(async {
        let mut sum = 0;
        for handle in handles.drain(..) {
            sum += handle.await.expect("a result");
        }
        sum
    })
}

fn main() {
    let (ops, workers) = (argument(0), argument(1));
    let n = ops.min(BURST);
    let runtime = threads(workers as usize);
    let mut handles = Vec::with_capacity(n as usize);
    for _ in 0..WARM_BURSTS {
        burst(&runtime, &mut handles, n);
        collect(&runtime, &mut handles);
    }
    let (used, begin, mut submit, mut answer) = (cpu(), wall(), 0.0, 0);
    for _ in 0..ops / n {
        submit += burst(&runtime, &mut handles, n);
        answer += collect(&runtime, &mut handles);
    }
    let jobs = (ops / n * n) as f64;
    reply(submit / jobs, answer, &[(cpu() - used) / jobs, (wall() - begin) / jobs]);
}
