// SPDX-License-Identifier: MIT
// idle: OPS MS. See bench/idle.c.
package main

import "time"

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
	begin := cpu()
	time.Sleep(time.Duration(ms) * time.Millisecond)
	reply((cpu()-begin)/float64(ms), uint64(count))
}
