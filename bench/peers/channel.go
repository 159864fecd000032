// SPDX-License-Identifier: MIT
// channel: OPS. See bench/queue.c. One processor.
package main

import "runtime"

func main() {
	runtime.GOMAXPROCS(1)
	ops := argument(0)
	there, back := make(chan uint64), make(chan uint64)
	go func() {
		for value := range there {
			back <- value + 1
		}
	}()
	play := func(n int) (sum uint64) {
		for i := 0; i < n; i++ {
			there <- uint64(i)
			sum += <-back
		}
		return
	}
	play(ops/20 + 1)
	begin := cpu()
	sum := play(ops)
	reply((cpu()-begin)/float64(ops), sum)
}
