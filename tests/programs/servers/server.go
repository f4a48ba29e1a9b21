// SPDX-License-Identifier: Apache-2.0

// A goroutine a connection; every request takes and frees memory of Go's own heap.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand"
	"net"
	"strings"
	"sync"
)

var (
	lock sync.Mutex
	kept [2000][]byte
)

func serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for count := 1; ; count++ {
		var n int
		for first := true; ; first = false {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if first {
				fmt.Sscanf(line, "GET /%d ", &n)
			}
			if strings.TrimSpace(line) == "" {
				break
			}
		}
		lock.Lock()
		for i := 0; i < 30; i++ {
			kept[rand.Intn(len(kept))] = make([]byte, rand.Intn(20000))
		}
		lock.Unlock()
		body := bytes.Repeat([]byte(fmt.Sprintf("%d %d plateau\n", n, count)), n%200+1)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
}

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("ready", l.Addr().(*net.TCPAddr).Port)
	for {
		c, err := l.Accept()
		if err != nil {
			panic(err)
		}
		go serve(c)
	}
}
