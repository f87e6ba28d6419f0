// Command peer serves the benchmark's resources with go-control-plane, the way that -cache says:
//
//	linear  one LinearCache for all
//	shared  one SnapshotCache with one snapshot that all nodes share
//	node    one SnapshotCache with a snapshot for each node, of just what it asks for
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"runtime/debug"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"

	"mediastreamingmesh/bench"
)

// As the server under test has it.
const maxRequestBytes = 4 << 20

type command struct {
	// Do is "change" or "rest".
	Do string
	// First and Count say which resources change, one after the other, PaceMS milliseconds apart.
	First, Count int
	PaceMS       float64 `json:"pace_ms"`
}

// A store holds all resources; change gives one of them another content.
type store interface {
	change(index int) error
}

func main() {
	kind := flag.String("cache", "linear", "linear, shared or node")
	typeURL := flag.String("type", bench.EndpointType, "type of the resources")
	resources := flag.Int("resources", 10_000, "number of resources")
	clients := flag.Int("clients", 1_000, "number of nodes that will connect")
	each := flag.Int("each", 10, "resources that a node asks for by name")
	flag.Parse()
	if err := run(*kind, *typeURL, *resources, *clients, *each); err != nil {
		log.Fatal(err)
	}
}

func run(kind, typeURL string, resources, clients, each int) error {
	served, held, err := newStore(kind, newContent(typeURL, resources), clients, each)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	grpcServer := grpc.NewServer(grpc.MaxRecvMsgSize(maxRequestBytes))
	xds := server.NewServer(context.Background(), served, nil)
	discovery.RegisterAggregatedDiscoveryServiceServer(grpcServer, xds)
	go func() { log.Fatal(grpcServer.Serve(listener)) }()
	ready := map[string]int{"port": listener.Addr().(*net.TCPAddr).Port}
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return bench.Commands(func(told command) (any, error) { return obey(held, told) })
}

func obey(held store, told command) (any, error) {
	start := time.Now()
	switch told.Do {
	case "change":
		for offset := range told.Count {
			if offset > 0 {
				time.Sleep(time.Duration(told.PaceMS * float64(time.Millisecond)))
			}
			if err := held.change(told.First + offset); err != nil {
				return nil, fmt.Errorf("changing a resource: %w", err)
			}
		}
	case "rest":
		debug.FreeOSMemory()
	default:
		return nil, fmt.Errorf("unknown command %q", told.Do)
	}
	return map[string]int64{"at_ns": start.UnixNano()}, nil
}
