// SPDX-License-Identifier: MIT
// fork_join: OPS KERNEL WORKERS N. See bench/fork_join.c and bench/kernels.h,
// whose numbers of kernels these are. Two children are a join, more are a
// parallel iterator; no cut-off.
use rayon::prelude::*;
use weft_bench_rayon::{support::*, threads};

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = rayon::join(|| fib(n - 1), || fib(n - 2));
    a + b
}

fn fib_spawns(n: u64) -> u64 {
    let (mut a, mut b) = (0, 1);
    for _ in 0..n + 1 {
        (a, b) = (b, a + b);
    }
    a - 1
}

fn skynet(first: u64, count: u64) -> u64 {
    if count == 1 {
        return first;
    }
    let part = count / 10;
    (0..10u64).into_par_iter().map(|i| skynet(first + i * part, part)).sum()
}

const EPSILON: f64 = 1e-9;

fn f(x: f64) -> f64 {
    (x * x + 1.0) * x
}

fn integrate(x0: f64, y0: f64, x1: f64, y1: f64, area: f64) -> f64 {
    let half = (x1 - x0) / 2.0;
    let x = x0 + half;
    let y = f(x);
    let left = (y0 + y) / 2.0 * half;
    let right = (y + y1) / 2.0 * half;
    let sum = left + right;
    if sum - area < EPSILON && area - sum < EPSILON {
        return sum;
    }
    let (a, b) = rayon::join(|| integrate(x0, y0, x, y, left), || integrate(x, y, x1, y1, right));
    a + b
}

type Board = [i8; 16];

fn queen_fits(b: &Board, row: usize, column: usize) -> bool {
    (0..row).all(|i| {
        let d = b[i] as i32 - column as i32;
        let rows = (row - i) as i32;
        d != 0 && d != rows && d != -rows
    })
}

fn nqueens(b: &Board, row: usize, n: usize) -> u64 {
    if row == n {
        return 1;
    }
    (0..n)
        .into_par_iter()
        .filter(|&c| queen_fits(b, row, c))
        .map(|c| {
            let mut next = *b;
            next[row] = c as i8;
            nqueens(&next, row + 1, n)
        })
        .sum()
}

// UTS -------------------------------------------------------------------------

struct Node {
    digest: [u8; 20],
    depth: u32,
}

fn sha1_short(text: &[u8]) -> [u8; 20] {
    let mut h: [u32; 5] = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
    let mut block = [0u8; 64];
    block[..text.len()].copy_from_slice(text);
    block[text.len()] = 0x80;
    block[56..].copy_from_slice(&(text.len() as u64 * 8).to_be_bytes());
    let mut w = [0u32; 80];
    for i in 0..16 {
        w[i] = u32::from_be_bytes([block[4 * i], block[4 * i + 1], block[4 * i + 2], block[4 * i + 3]]);
    }
    for i in 16..80 {
        w[i] = (w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = h;
    for i in 0..80 {
        let (g, k) = match i / 20 {
            0 => ((b & c) | (!b & d), 0x5a827999),
            1 => (b ^ c ^ d, 0x6ed9eba1),
            2 => ((b & c) | (b & d) | (c & d), 0x8f1bbcdc),
            _ => (b ^ c ^ d, 0xca62c1d6u32),
        };
        let t = a.rotate_left(5).wrapping_add(g).wrapping_add(e).wrapping_add(k).wrapping_add(w[i]);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, t);
    }
    for (sum, x) in h.iter_mut().zip([a, b, c, d, e]) {
        *sum = sum.wrapping_add(x);
    }
    let mut out = [0u8; 20];
    for i in 0..5 {
        out[4 * i..4 * i + 4].copy_from_slice(&h[i].to_be_bytes());
    }
    out
}

enum Tree {
    Geometric { b: f64, depth: u32 },
    Binomial { root_children: u32, q: f64, m: u32 },
}

fn children(tree: &Tree, node: &Node) -> u32 {
    let d = &node.digest[16..];
    let bits = u32::from_be_bytes([d[0], d[1], d[2], d[3]]) & 0x7fffffff;
    let u = bits as f64 / 2147483648.0;
    match *tree {
        Tree::Binomial { root_children, .. } if node.depth == 0 => root_children,
        Tree::Binomial { q, m, .. } => if u < q { m } else { 0 },
        Tree::Geometric { depth, .. } if node.depth >= depth => 0,
        Tree::Geometric { b, .. } => {
            let n = ((1.0 - u).ln() / (1.0 - 1.0 / (1.0 + b)).ln()).floor() as u32;
            n.min(100)
        }
    }
}

fn root(seed: u32) -> Node {
    let mut text = [0u8; 20];
    text[16..].copy_from_slice(&seed.to_be_bytes());
    Node { digest: sha1_short(&text), depth: 0 }
}

fn child(parent: &Node, i: u32) -> Node {
    let mut text = [0u8; 24];
    text[..20].copy_from_slice(&parent.digest);
    text[20..].copy_from_slice(&i.to_be_bytes());
    Node { digest: sha1_short(&text), depth: parent.depth + 1 }
}

fn uts(tree: &Tree, node: &Node) -> u64 {
    let n = children(tree, node);
    1 + (0..n).into_par_iter().map(|i| uts(tree, &child(node, i))).sum::<u64>()
}

// -----------------------------------------------------------------------------

fn run(kernel: u64, n: u64) -> u64 {
    match kernel {
        0 => fib(n),
        1 => skynet(0, n),
        2 => integrate(0.0, f(0.0), n as f64, f(n as f64), 0.0) as u64,
        3 => nqueens(&[0; 16], 0, n as usize),
        4 => uts(&Tree::Geometric { b: 4.0, depth: n as u32 }, &root(19)),
        5 => uts(&Tree::Binomial { root_children: n as u32, q: 0.124875, m: 8 }, &root(42)),
        _ => uts(&Tree::Binomial { root_children: n as u32, q: 0.200014, m: 5 }, &root(7)),
    }
}

fn main() {
    let (kernel, workers, n) = (argument(1), argument(2), argument(3));
    let scale = if kernel == 0 { fib_spawns(n) as f64 } else { 1e6 };
    threads(workers).install(|| {
        fib(15);
        let (used, begin) = (cpu(), wall());
        let answer = run(kernel, n);
        let time = wall() - begin;
        reply(time / scale, answer, &[(cpu() - used) / scale, status("VmRSS") / 1e6]);
    });
}
