// SPDX-License-Identifier: MIT
// echo: a server on descriptor 3. See bench/echo.c. One processor, a goroutine
// for each connection.
package main

import (
	"net"
	"os"
	"runtime"
)

func serve(c net.Conn) {
	defer c.Close()
	buffer := make([]byte, 4096)
	for {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		if _, err = c.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	server, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		os.Exit(1)
	}
	for {
		c, err := server.Accept()
		if err != nil {
			os.Exit(1)
		}
		go serve(c)
	}
}
