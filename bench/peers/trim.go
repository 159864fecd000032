// SPDX-License-Identifier: MIT
// trim: OPS IDLE_MS. See bench/trim.c. Left alone, as a program leaves it.
package main

import (
	"runtime"
	"sync"
	"time"
)

func main() {
	n, idle := argument(0), argument(1)
	runtime.GOMAXPROCS(1)
	var all sync.WaitGroup
	arrived := 0
	gate := make(chan int)
	all.Add(n)
	start, tables := status("VmRSS"), status("VmPTE")
	for i := 0; i < n; i++ {
		go func() {
			arrived++
			<-gate
			all.Done()
		}()
	}
	for arrived < n {
		runtime.Gosched()
	}
	top := status("VmRSS")
	close(gate)
	all.Wait()
	time.Sleep(time.Duration(idle) * time.Millisecond)
	end := status("VmRSS")
	reply(end/start, uint64(arrived), start, top, end, -1, tables, status("VmPTE"))
}
