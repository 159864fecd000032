// SPDX-License-Identifier: MIT
// timers: OPS PENDING CHURN. See bench/timers.c. One processor.
package main

import (
	"runtime"
	"time"
)

func someTime() time.Duration {
	x := draw()
	limit := uint64(3600 * time.Second)
	if x&3 != 0 {
		limit = uint64(60 * time.Second)
	}
	return time.Hour + time.Duration((x>>2)%limit)
}

func main() {
	runtime.GOMAXPROCS(1)
	ops, n, churn := argument(0), argument(1), argument(2) != 0
	timers := make([]*time.Timer, n)
	for i := range timers {
		timers[i] = time.AfterFunc(someTime(), func() {})
	}
	mine := time.AfterFunc(time.Hour, func() {})
	mine.Stop()
	begin := cpu()
	for i := 0; i < ops; i++ {
		t := mine
		if churn {
			t = timers[draw()%uint64(n)]
			t.Stop()
			t.Reset(someTime())
		} else {
			t.Reset(someTime())
			t.Stop()
		}
	}
	used := cpu() - begin
	pending := uint64(0)
	for _, t := range timers {
		if t.Stop() {
			pending++
		}
	}
	reply(used/float64(ops), pending)
}
