// SPDX-License-Identifier: MIT
// stream_go receive|send SIZE: a server on descriptor 3 of one connection. See
// bench/streams.c.
package main

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"time"
)

func receive(c net.Conn, buffer []byte) {
	total := uint64(0)
	for {
		n, err := c.Read(buffer)
		total += uint64(n)
		if err != nil {
			break
		}
	}
	var answer [8]byte
	binary.LittleEndian.PutUint64(answer[:], total)
	c.Write(answer[:])
}

func send(c net.Conn, buffer []byte) {
	var order [8]byte
	if _, err := io.ReadFull(c, order[:]); err != nil {
		return
	}
	for n := binary.LittleEndian.Uint64(order[:]); n > 0; n-- {
		if _, err := c.Write(buffer); err != nil {
			return
		}
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	size, _ := strconv.Atoi(os.Args[2])
	server, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		os.Exit(1)
	}
	c, err := server.Accept()
	if err != nil {
		os.Exit(1)
	}
	if os.Args[1] == "receive" {
		receive(c, make([]byte, size))
	} else {
		send(c, make([]byte, size))
	}
	time.Sleep(time.Hour) // until it is killed
}
