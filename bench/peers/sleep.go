// SPDX-License-Identifier: MIT
// sleep: OPS US. See bench/sleep.c.
package main

import (
	"sort"
	"time"
)

func main() {
	n, us := argument(0), argument(1)
	late, answer := make([]float64, n), uint64(0)
	nap := time.Duration(us) * time.Microsecond
	time.Sleep(nap)
	used := cpu()
	for i := range late {
		begin := wall()
		time.Sleep(nap)
		late[i] = (wall()-begin)/1000 - float64(us)
		if late[i] >= 0 {
			answer++
		}
	}
	used = (cpu() - used) / float64(n) / 1000
	sort.Float64s(late)
	reply(late[n/2], answer, late[0], late[n*99/100], used)
}
