// SPDX-License-Identifier: MIT
// yield: OPS TASKS. See bench/yield.c. One processor.
package main

import (
	"runtime"
	"sync"
)

const warm = 3

func main() {
	runtime.GOMAXPROCS(1)
	ops, tasks := argument(0), argument(1)
	rounds := ops / tasks
	var count, before, after uint64
	started := 0
	var begin, end float64
	var all sync.WaitGroup
	all.Add(tasks)
	for i := 0; i < tasks; i++ {
		first := i == 0
		go func() {
			started++
			for started < tasks {
				runtime.Gosched()
			}
			for k := 0; k < warm; k++ {
				runtime.Gosched()
			}
			if first {
				before = count
				begin = cpu()
			}
			for k := 0; k < rounds; k++ {
				count++
				runtime.Gosched()
			}
			if first {
				end = cpu()
				after = count
			}
			for k := 0; k < warm; k++ {
				runtime.Gosched()
			}
			all.Done()
		}()
	}
	all.Wait()
	n := float64(after - before)
	reply((end-begin)/n, count, n/float64(count))
}
