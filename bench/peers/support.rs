// SPDX-License-Identifier: MIT
// What the Rust peers need: clocks, arguments, the line that they print.
#![allow(dead_code)]

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

extern "C" {
    fn clock_gettime(clock: i32, t: *mut Timespec) -> i32;
}

fn clock(id: i32) -> f64 {
    let mut t = Timespec { seconds: 0, nanoseconds: 0 };
    unsafe { clock_gettime(id, &mut t) };
    t.seconds as f64 * 1e9 + t.nanoseconds as f64
}

pub fn wall() -> f64 {
    clock(1)
}

pub fn cpu() -> f64 {
    clock(2)
}

pub fn thread_cpu() -> f64 {
    clock(3)
}

/// The i-th argument: 0 is the number of operations, then the parameters.
pub fn argument(i: usize) -> u64 {
    std::env::args().nth(i + 1).and_then(|text| text.parse().ok()).unwrap_or(0)
}

pub fn reply(value: f64, answer: u64, more: &[f64]) {
    print!("{} {}", value, answer);
    for x in more {
        print!(" {}", x);
    }
    println!();
}

/// Bytes: VmRSS, VmPTE.
pub fn status(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix(name).and_then(|r| r.strip_prefix(':')) {
            let kib = rest.split_whitespace().next().and_then(|n| n.parse().ok());
            return kib.unwrap_or(0.0) * 1024.0;
        }
    }
    0.0
}
