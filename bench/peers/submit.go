// SPDX-License-Identifier: MIT
// submit: OPS WORKERS. See bench/submit.c. The submitter keeps an OS thread to
// itself, so that its CPU time is its own; workers take functions from a
// buffered channel.
package main

import (
	"runtime"
	"sync/atomic"
)

const burst, warmBursts = 10000, 3

var results [burst]int
var done int64

func collect(n int) uint64 {
	var sum uint64
	for atomic.LoadInt64(&done) < int64(n) {
		runtime.Gosched()
	}
	for i := 0; i < n; i++ {
		sum += uint64(results[i])
	}
	return sum
}

func submit(jobs chan func(), n int) float64 {
	atomic.StoreInt64(&done, 0)
	begin := threadCPU()
	for i := 0; i < n; i++ {
		i := i
		jobs <- func() {
			results[i] = 3 * i
			atomic.AddInt64(&done, 1)
		}
	}
	return threadCPU() - begin
}

func main() {
	ops, workers := argument(0), argument(1)
	n := burst
	if ops < n {
		n = ops
	}
	runtime.GOMAXPROCS(workers + 1)
	runtime.LockOSThread()
	jobs := make(chan func(), burst)
	for i := 0; i < workers; i++ {
		go func() {
			for job := range jobs {
				job()
			}
		}()
	}
	for i := 0; i < warmBursts; i++ {
		submit(jobs, n)
		collect(n)
	}
	var answer uint64
	used := 0.0
	beginCPU, beginWall := cpu(), wall()
	for i := 0; i < ops/n; i++ {
		used += submit(jobs, n)
		answer += collect(n)
	}
	count := float64(ops / n * n)
	reply(used/count, answer, (cpu()-beginCPU)/count, (wall()-beginWall)/count)
}
