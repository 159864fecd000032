// SPDX-License-Identifier: MIT
// loops: OPS KERNEL WORKERS N. See bench/loops.c and bench/kernels.h, whose
// numbers of kernels and inputs these are. rayon has no prefix sums: this is
// how they are written with it, a sum of each block, then each block again.
use rayon::prelude::*;
use weft_bench_rayon::{support::*, threads};

const EMPTY_LOOPS: u64 = 2000;
const BLOCK: usize = 16384;

fn ints(n: u64) -> Vec<i32> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as i32
    };
    (0..n).map(|_| next()).collect()
}

fn floats(n: u64) -> Vec<f32> {
    (0..n).map(|i| (i % 2) as f32).collect()
}

fn check(values: impl Iterator<Item = u64>) -> u64 {
    values.fold(0, |sum: u64, x| sum.wrapping_mul(31).wrapping_add(x))
}

fn sum(x: &[f32]) -> f32 {
    let mut s = [0f32; 4];
    let fours = x.chunks_exact(4);
    let rest: f32 = fours.remainder().iter().sum();
    for four in fours {
        for k in 0..4 {
            s[k] += four[k];
        }
    }
    s[0] + s[1] + (s[2] + s[3]) + rest
}

fn scan(v: &mut [i64]) {
    let sums: Vec<i64> = v.par_chunks(BLOCK).map(|block| block.iter().sum()).collect();
    let mut before = 0;
    let starts: Vec<i64> = sums.iter().map(|s| { before += s; before - s }).collect();
    v.par_chunks_mut(BLOCK).zip(starts).for_each(|(block, start)| {
        let mut sum = start;
        for x in block {
            sum += *x;
            *x = sum;
        }
    });
}

fn empty_loops(workers: u64) {
    for _ in 0..EMPTY_LOOPS {
        (0..workers).into_par_iter().for_each(|i| {
            std::hint::black_box(i);
        });
    }
}

/// Calls work; its times on the clock and of all CPUs.
fn timed(work: impl FnOnce()) -> (f64, f64) {
    let (used, begin) = (cpu(), wall());
    work();
    (wall() - begin, cpu() - used)
}

fn run(kernel: u64, workers: u64, n: u64) -> (u64, (f64, f64)) {
    match kernel {
        0 | 1 => {
            let mut v = ints(n);
            let time = timed(|| if kernel == 0 { v.par_sort() } else { v.par_sort_unstable() });
            (check(v.iter().map(|&x| x as u32 as u64)), time)
        }
        2 => {
            let (x, mut total) = (floats(n), 0f32);
            let time = timed(|| total = x.par_chunks(BLOCK).map(sum).sum());
            (total as u64, time)
        }
        3 => {
            let mut v: Vec<i64> = (0..n as i64).map(|i| i % 1000).collect();
            let time = timed(|| scan(&mut v));
            (check(v.iter().map(|&x| x as u64)), time)
        }
        4 => {
            let (x, mut y) = (floats(n), floats(n));
            let time = timed(|| {
                y.par_iter_mut().zip(&x).for_each(|(y, x)| *y = 2.0 * x + *y)
            });
            let sum: f64 = y.iter().enumerate().map(|(i, &y)| y as f64 * (i % 7) as f64).sum();
            (sum as u64, time)
        }
        _ => (0, timed(|| empty_loops(workers))),
    }
}

fn main() {
    let (kernel, workers, n) = (argument(1), argument(2), argument(3));
    let scale = if kernel == 5 { 1e3 * EMPTY_LOOPS as f64 } else { 1e6 };
    threads(workers).install(|| {
        empty_loops(workers);
        let (answer, (wall, cpu)) = run(kernel, workers, n);
        reply(wall / scale, answer, &[cpu / scale]);
    });
}
