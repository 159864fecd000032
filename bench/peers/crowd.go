// SPDX-License-Identifier: MIT
// crowd: OPS TASKS. See bench/crowd.c. One processor.
package main

import (
	"runtime"
	"runtime/debug"
	"sync"
)

func memory() float64 { return status("VmRSS") + status("VmPTE") }

func main() {
	runtime.GOMAXPROCS(1)
	ops, n := argument(0), argument(1)
	left, weight := 0, 0.0
	debug.FreeOSMemory()
	begin := cpu()
	for round := 0; round < ops/n; round++ {
		var all sync.WaitGroup
		arrived, gate := 0, make(chan int)
		before := 0.0
		if round == 0 {
			before = memory()
		}
		all.Add(n)
		for i := 0; i < n; i++ {
			go func() {
				arrived++
				<-gate
				left++
				all.Done()
			}()
		}
		for arrived < n {
			runtime.Gosched()
		}
		if round == 0 {
			weight = memory() - before
		}
		close(gate)
		all.Wait()
	}
	reply((cpu()-begin)/float64(ops), uint64(left), weight/float64(n))
}
