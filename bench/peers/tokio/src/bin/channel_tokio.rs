// SPDX-License-Identifier: MIT
// channel: OPS. See bench/queue.c. One thread; tokio's channels have room for
// one value at least.
use tokio::sync::mpsc::{channel, Receiver, Sender};
use weft_bench_tokio::{one_thread, support::*};

async fn answer(mut there: Receiver<u64>, back: Sender<u64>) {
    while let Some(value) = there.recv().await {
        back.send(value + 1).await.expect("a receiver");
    }
}

async fn play(n: u64, there: &Sender<u64>, back: &mut Receiver<u64>) -> u64 {
    let mut sum = 0;
    for i in 0..n {
        there.send(i).await.expect("a receiver");
        sum += back.recv().await.expect("an answer");
    }
    sum
}

async fn measure() {
    let ops = argument(0);
    let (there, from_there) = channel(1);
    let (to_back, mut back) = channel(1);
    tokio::spawn(answer(from_there, to_back));
    play(ops / 20 + 1, &there, &mut back).await;
    let begin = cpu();
    let sum = play(ops, &there, &mut back).await;
    reply((cpu() - begin) / ops as f64, sum, &[]);
}

fn main() {
    one_thread().block_on(async { tokio::spawn(measure()).await.expect("an end") });
}
