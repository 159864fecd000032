// SPDX-License-Identifier: MIT
// parked: OPS STACK. See bench/parked.c. Stacks grow from 2 KiB; STACK is not
// used. One processor.
package main

import (
	"runtime"
	"runtime/debug"
	"sync"
)

func main() {
	runtime.GOMAXPROCS(1)
	n := argument(0)
	var all sync.WaitGroup
	left, arrived := 0, 0
	gate := make(chan int)
	debug.FreeOSMemory()
	rss, tables := status("VmRSS"), status("VmPTE")
	begin := cpu()
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
	used := cpu() - begin
	rss, tables = status("VmRSS")-rss, status("VmPTE")-tables
	close(gate)
	all.Wait()
	d := float64(n)
	reply((rss+tables)/d, uint64(left), rss/d, tables/d, used/d)
}
