// SPDX-License-Identifier: MIT
// crowd: OPS TASKS. See bench/crowd.c. One thread; each waits on a channel of
// its own.
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::sync::oneshot::{channel, Sender};
use tokio::task::{spawn_local, yield_now, LocalSet};
use weft_bench_tokio::{one_thread, support::*};

#[derive(Default)]
struct Crowd {
    gates: RefCell<Vec<Sender<()>>>,
    left: Cell<u64>,
}

fn memory() -> f64 {
    status("VmRSS") + status("VmPTE")
}

async fn live(crowd: Rc<Crowd>) {
    let (open, gate) = channel();
    crowd.gates.borrow_mut().push(open);
    gate.await.expect("an open gate");
    crowd.left.set(crowd.left.get() + 1);
}

async fn come_and_go(crowd: &Rc<Crowd>, n: usize, weigh: bool) -> f64 {
    let mut weight = if weigh { memory() } else { 0.0 };
    let all: Vec<_> = (0..n).map(|_| spawn_local(live(crowd.clone()))).collect();
    while crowd.gates.borrow().len() < n {
        yield_now().await;
    }
    if weigh {
        weight = memory() - weight;
    }
    for gate in crowd.gates.take() {
        gate.send(()).expect("a task");
    }
    for task in all {
        task.await.expect("an end");
    }
    weight
}

async fn measure() {
    let (ops, n) = (argument(0), argument(1));
    let crowd = Rc::new(Crowd::default());
    let begin = cpu();
    let weight = come_and_go(&crowd, n as usize, true).await;
    for _ in 1..ops / n {
        come_and_go(&crowd, n as usize, false).await;
    }
    reply((cpu() - begin) / ops as f64, crowd.left.get(), &[weight / n as f64]);
}

fn main() {
    LocalSet::new().block_on(&one_thread(), measure());
}
