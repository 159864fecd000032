// SPDX-License-Identifier: MIT
// idle: OPS MS. See bench/idle.c.
package main

import (
	"syscall"
	"time"
)

// How often a thread gave up its CPU to wait.
func waits() float64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return float64(usage.Nvcsw)
}

func main() {
	ms := argument(1)
	gate := make(chan int)
	arrived := make(chan int)
	for i := 0; i < 1000; i++ {
		go func() {
			arrived <- 1
			<-gate
		}()
	}
	count := 0
	for i := 0; i < 1000; i++ {
		count += <-arrived
	}
	time.Sleep(time.Duration(ms) * time.Millisecond / 2)
	before, begin := waits(), cpu()
	time.Sleep(time.Duration(ms) * time.Millisecond)
	used := cpu() - begin
	reply(used/float64(ms), uint64(count), (waits()-before-1)*1000/float64(ms))
}
