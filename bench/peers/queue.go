// SPDX-License-Identifier: MIT
// queue: OPS PRODUCERS CONSUMERS MAXSIZE BATCH. See bench/queue.c.
package main

import "sync"

func main() {
	ops, producers, consumers := argument(0), argument(1), argument(2)
	queue := make(chan uint64, argument(3))
	each := ops / producers
	sums := make([]uint64, consumers)
	var produce, consume sync.WaitGroup
	begin, beginCPU := wall(), cpu()
	for p := 0; p < producers; p++ {
		produce.Add(1)
		go func() {
			defer produce.Done()
			for i := 0; i < each; i++ {
				queue <- uint64(i)
			}
		}()
	}
	for c := 0; c < consumers; c++ {
		consume.Add(1)
		go func(c int) {
			defer consume.Done()
			var sum uint64
			for item := range queue {
				sum += item
			}
			sums[c] = sum
		}(c)
	}
	produce.Wait()
	close(queue)
	consume.Wait()
	messages := float64(each * producers)
	end, endCPU := wall(), cpu()
	var sum uint64
	for _, s := range sums {
		sum += s
	}
	reply((end-begin)/messages, sum, (endCPU-beginCPU)/messages)
}
