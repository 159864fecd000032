// SPDX-License-Identifier: MIT
// spawn_join: OPS. See bench/spawn_join.c. One thread.
use weft_bench_tokio::{one_thread, support::*};

async fn spawn_and_join(n: u64) -> u64 {
    let mut sum = 0;
    for i in 0..n {
        sum += tokio::spawn(async move { i & 255 }).await.expect("a result");
    }
    sum
}

async fn measure() {
    let ops = argument(0);
    spawn_and_join(ops / 10 + 1).await;
    let begin = cpu();
    let sum = spawn_and_join(ops).await;
    reply((cpu() - begin) / ops as f64, sum, &[]);
}

fn main() {
    one_thread().block_on(async { tokio::spawn(measure()).await.expect("an end") });
}
