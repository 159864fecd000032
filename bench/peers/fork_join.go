// SPDX-License-Identifier: MIT
// fork_join: OPS KERNEL WORKERS N. See bench/fork_join.c, whose numbers of
// kernels these are. A goroutine for each child, a channel for their sums.
package main

import "runtime"

const (
	skynetKernel  = 1
	nqueensKernel = 3
)

func skynet(sums chan<- int, first, count int) {
	if count == 1 {
		sums <- first
		return
	}
	parts, part := make(chan int, 10), count/10
	for i := 0; i < 10; i++ {
		go skynet(parts, first+i*part, part)
	}
	sum := 0
	for i := 0; i < 10; i++ {
		sum += <-parts
	}
	sums <- sum
}

type board [16]int8

func fits(b *board, row, column int) bool {
	for i := 0; i < row; i++ {
		d := int(b[i]) - column
		if d == 0 || d == row-i || d == i-row {
			return false
		}
	}
	return true
}

func nqueens(sums chan<- int, b board, row, n int) {
	if row == n {
		sums <- 1
		return
	}
	parts, forked, sum := make(chan int, n), 0, 0
	for c := 0; c < n; c++ {
		if fits(&b, row, c) {
			next := b
			next[row] = int8(c)
			go nqueens(parts, next, row+1, n)
			forked++
		}
	}
	for ; forked > 0; forked-- {
		sum += <-parts
	}
	sums <- sum
}

func run(kernel, n int) uint64 {
	sums := make(chan int, 1)
	if kernel == skynetKernel {
		skynet(sums, 0, n)
	} else {
		nqueens(sums, board{}, 0, n)
	}
	return uint64(<-sums)
}

func main() {
	kernel, workers, n := argument(1), argument(2), argument(3)
	runtime.GOMAXPROCS(workers)
	run(nqueensKernel, 6)
	used, begin := cpu(), wall()
	answer := run(kernel, n)
	time := wall() - begin
	reply(time/1e6, answer, (cpu()-used)/1e6, status("VmRSS")/1e6)
}
