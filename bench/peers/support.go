// SPDX-License-Identifier: MIT
// What the Go peers need: clocks, arguments, the line that they print.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

func clock(id uintptr) float64 {
	var t syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&t)), 0)
	return float64(t.Sec)*1e9 + float64(t.Nsec)
}

func wall() float64      { return clock(1) }
func cpu() float64       { return clock(2) }
func threadCPU() float64 { return clock(3) }

// The i-th argument: 0 is the number of operations, then the parameters.
func argument(i int) int {
	n, _ := strconv.Atoi(os.Args[i+1])
	return n
}

func reply(value float64, answer uint64, more ...float64) {
	fmt.Print(value, " ", answer)
	for _, x := range more {
		fmt.Print(" ", x)
	}
	fmt.Println()
}

// Bytes: VmRSS, VmPTE.
func status(name string) float64 {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, name+":") {
			kib, _ := strconv.ParseFloat(strings.Fields(line)[1], 64)
			return kib * 1024
		}
	}
	return 0
}

var seed uint64 = 1

func draw() uint64 {
	seed += 0x9e3779b97f4a7c15
	x := seed
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}
