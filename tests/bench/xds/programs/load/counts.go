package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// said is what the orchestrating process gets to read.
type said struct {
	Messages  int64 `json:"messages"`
	Resources int64 `json:"resources"`
	Removed   int64 `json:"removed"`
	Bytes     int64 `json:"bytes"`
	// Changed counts resources whose version was not what this process remembered of their name.
	Changed int64 `json:"changed"`
	// Refused counts streams that the server ended.
	Refused int64 `json:"refused"`
	// StartNS is when the last mark was; LastAckNS when the latest acknowledgement was written; both since the epoch.
	StartNS   int64 `json:"start_ns"`
	LastAckNS int64 `json:"last_ack_ns"`
}

// counts is what all clients of the process have received since the last mark.
type counts struct {
	messages, resources, removed, bytes, changed, refused, start, lastAck atomic.Int64

	mutex   sync.Mutex
	awaited int64
	done    chan struct{}
}

func (c *counts) mark() {
	all := []*atomic.Int64{&c.messages, &c.resources, &c.removed, &c.bytes, &c.changed, &c.refused, &c.lastAck}
	for _, each := range all {
		each.Store(0)
	}
	c.start.Store(time.Now().UnixNano())
}

func (c *counts) said() said {
	return said{
		Messages:  c.messages.Load(),
		Resources: c.resources.Load(),
		Removed:   c.removed.Load(),
		Bytes:     c.bytes.Load(),
		Changed:   c.changed.Load(),
		Refused:   c.refused.Load(),
		StartNS:   c.start.Load(),
		LastAckNS: c.lastAck.Load(),
	}
}

// reached gives a channel that closes once so many resources were received and acknowledged.
func (c *counts) reached(resources int64) <-chan struct{} {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	done := make(chan struct{})
	c.awaited, c.done = resources, done
	c.look()
	return done
}

// acknowledged counts a response whose acknowledgement was written.
func (c *counts) acknowledged(got *response, size int, changed int64) {
	c.lastAck.Store(time.Now().UnixNano())
	c.messages.Add(1)
	c.removed.Add(got.removed)
	c.bytes.Add(int64(size))
	c.changed.Add(changed)
	c.resources.Add(int64(len(got.resources)))
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.look()
}

// look closes the channel of whoever waits; the mutex is held.
func (c *counts) look() {
	if c.done != nil && c.resources.Load() >= c.awaited {
		close(c.done)
		c.done = nil
	}
}
