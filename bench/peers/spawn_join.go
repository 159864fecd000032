// SPDX-License-Identifier: MIT
// spawn_join: OPS. See bench/spawn_join.c. One processor; the result comes
// back through a channel.
package main

import "runtime"

func loop(n int) uint64 {
	var sum uint64
	result := make(chan int, 1)
	for i := 0; i < n; i++ {
		go func(i int) { result <- i & 255 }(i)
		sum += uint64(<-result)
	}
	return sum
}

func main() {
	runtime.GOMAXPROCS(1)
	ops := argument(0)
	loop(ops/10 + 1)
	begin := cpu()
	sum := loop(ops)
	reply((cpu()-begin)/float64(ops), sum)
}
