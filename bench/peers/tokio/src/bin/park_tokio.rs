// SPDX-License-Identifier: MIT
// park: OPS. See bench/park.c. One thread; a turn is a permit of a Notify.
use std::sync::Arc;
use tokio::sync::Notify;
use weft_bench_tokio::{one_thread, support::*};

async fn play(n: u64, mine: &Notify, other: &Notify) -> u64 {
    for _ in 0..n {
        other.notify_one();
        mine.notified().await;
    }
    n
}

async fn measure() {
    let half = argument(0) / 2;
    let warm = half / 10;
    let (mine, other) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (m, o) = (mine.clone(), other.clone());
    let second = tokio::spawn(async move {
        for _ in 0..warm + half {
            o.notified().await;
            m.notify_one();
        }
        half
    });
    play(warm, &mine, &other).await;
    let begin = cpu();
    let turns = play(half, &mine, &other).await;
    let used = cpu() - begin;
    let turns = turns + second.await.expect("an end");
    reply(used / turns as f64, turns, &[]);
}

fn main() {
    one_thread().block_on(async { tokio::spawn(measure()).await.expect("an end") });
}
