// SPDX-License-Identifier: MIT
// park: OPS. See bench/park.c. One processor; a turn is a value through an
// unbuffered channel, which parks the one and readies the other.
package main

import "runtime"

func main() {
	runtime.GOMAXPROCS(1)
	ops := argument(0) &^ 1
	there, back := make(chan int), make(chan int)
	turns := 0
	go func() {
		for range there {
			turns++
			back <- 1
		}
	}()
	play := func(n int) {
		for i := 0; i < n; i++ {
			turns++
			there <- 1
			<-back
		}
	}
	play(ops / 20)
	turns = 0
	begin := cpu()
	play(ops / 2)
	reply((cpu()-begin)/float64(ops), uint64(turns))
}
