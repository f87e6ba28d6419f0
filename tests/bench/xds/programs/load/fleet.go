package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"mediastreamingmesh/bench"
)

const (
	method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
	// Thousands of connections of small messages: grpc's own buffers of 32 KB would be most of this process.
	bufferBytes = 4 << 10
	// A server that is busy with thousands of new connections answers the first handshake late.
	connectTimeout  = 60 * time.Second
	maxMessageBytes = 64 << 20
	// A stream that was refused is opened again after this; a server that refuses more than this is not worth measuring.
	retryPause     = 200 * time.Millisecond
	refusalsAtMost = 20_000
)

// fleet is all clients. What a resource's version was last is remembered once, as all are told the same.
type fleet struct {
	target string
	counts counts
	failed chan error

	mutex    sync.RWMutex
	versions map[string]string

	connections []*grpc.ClientConn
	cancel      context.CancelFunc
	context     context.Context
	running     sync.WaitGroup
}

func newFleet(target string) *fleet {
	made := &fleet{target: target, failed: make(chan error, 1), versions: map[string]string{}}
	made.context, made.cancel = context.WithCancel(context.Background())
	return made
}

// connect adds clients.
func (f *fleet) connect(told command) error {
	number := told.Connections
	if number == 0 {
		number = told.Clients
	}
	dialed := make([]*grpc.ClientConn, number)
	for index := range dialed {
		connection, err := f.dial()
		if err != nil {
			return err
		}
		dialed[index] = connection
	}
	f.connections = append(f.connections, dialed...)
	all, err := f.subscription(told, nil)
	if err != nil {
		return err
	}
	subscribed := sync.WaitGroup{}
	for index := range told.Clients {
		subscribed.Add(1)
		f.running.Add(1)
		go func() {
			defer f.running.Done()
			if err := f.serve(dialed[index%number], told, told.First+index, all, subscribed.Done); err != nil {
				f.fail(err)
			}
		}()
	}
	subscribed.Wait()
	return nil
}

func (f *fleet) close() {
	f.cancel()
	for _, connection := range f.connections {
		_ = connection.Close()
	}
	f.running.Wait()
	f.connections = nil
	f.context, f.cancel = context.WithCancel(context.Background())
}

func (f *fleet) dial() (*grpc.ClientConn, error) {
	connection, err := grpc.NewClient(
		"passthrough:///"+f.target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithReadBufferSize(bufferBytes),
		grpc.WithWriteBufferSize(bufferBytes),
		grpc.WithSharedWriteBuffer(true),
		grpc.WithDisableServiceConfig(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(codec{}), grpc.MaxCallRecvMsgSize(maxMessageBytes)),
	)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return connection, nil
}

// serve is one client: it subscribes, calls subscribed, and acknowledges until it is closed. A stream that the server
// ends is counted and opened again, as every proxy does. What subscribes to all is made once, as it may be large.
func (f *fleet) serve(connection *grpc.ClientConn, told command, node int, all []byte, subscribed func()) error {
	once := sync.OnceFunc(subscribed)
	defer once()
	first, err := f.first(told, node, all)
	if err != nil {
		return err
	}
	for {
		err = f.stream(connection, told.Type, first, once)
		if f.context.Err() != nil {
			return nil
		}
		if f.counts.refused.Add(1) > refusalsAtMost {
			return fmt.Errorf("the stream of node %d, after many others: %w", node, err)
		}
		time.Sleep(retryPause)
	}
}

// stream is one stream of a client, until it ends.
func (f *fleet) stream(connection *grpc.ClientConn, typeURL string, first []byte, subscribed func()) error {
	description := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	stream, err := connection.NewStream(f.context, description, method, grpc.WaitForReady(true))
	if err == nil {
		err = stream.SendMsg(&first)
	}
	subscribed()
	for got := (response{}); err == nil; {
		err = f.step(stream, typeURL, &got)
	}
	return err
}

func (f *fleet) step(stream grpc.ClientStream, typeURL string, got *response) error {
	var message []byte
	if err := stream.RecvMsg(&message); err != nil {
		return err
	}
	if err := got.read(message); err != nil {
		return err
	}
	answer := acknowledgement(typeURL, got.nonce)
	if err := stream.SendMsg(&answer); err != nil {
		return err
	}
	f.counts.acknowledged(got, len(message), f.remember(got.resources))
	return nil
}

// remember gives how many resources have another version than before.
func (f *fleet) remember(resources []version) int64 {
	changed := resources[:0:0]
	f.mutex.RLock()
	for _, each := range resources {
		if f.versions[string(each.name)] != string(each.version) {
			changed = append(changed, each)
		}
	}
	f.mutex.RUnlock()
	if len(changed) > 0 {
		f.mutex.Lock()
		defer f.mutex.Unlock()
		for _, each := range changed {
			f.versions[string(each.name)] = string(each.version)
		}
	}
	return int64(len(changed))
}

// first is the node, followed by the rest of the request: messages that are joined are merged.
func (f *fleet) first(told command, node int, all []byte) ([]byte, error) {
	message, err := proto.Marshal(&discovery.DeltaDiscoveryRequest{
		Node: &core.Node{Id: bench.NodeID(node), Cluster: "bench"},
	})
	if err != nil {
		return nil, fmt.Errorf("writing the first request: %w", err)
	}
	if told.Each > 0 {
		all, err = f.subscription(told, bench.Own(node, told.Each, told.Resources))
	}
	return append(message, all...), err
}

// subscription is to these resources by name; to all of them when there are none.
func (f *fleet) subscription(told command, indexes []int) ([]byte, error) {
	f.mutex.RLock()
	defer f.mutex.RUnlock()
	request := &discovery.DeltaDiscoveryRequest{TypeUrl: told.Type, InitialResourceVersions: map[string]string{}}
	for _, index := range indexes {
		name := bench.ResourceName(index)
		request.ResourceNamesSubscribe = append(request.ResourceNamesSubscribe, name)
		if told.Remember {
			request.InitialResourceVersions[name] = f.versions[name]
		}
	}
	if len(indexes) == 0 {
		request.ResourceNamesSubscribe = []string{"*"}
		if told.Remember {
			request.InitialResourceVersions = f.versions
		}
	}
	message, err := proto.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("writing the first request: %w", err)
	}
	return message, nil
}

func (f *fleet) fail(err error) {
	select {
	case f.failed <- err:
	default:
	}
}
