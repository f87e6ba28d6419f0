package main

import (
	"context"
	"fmt"
	"strconv"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"

	"mediastreamingmesh/bench"
)

// newStore gives the cache that is served and what changes it.
func newStore(kind string, held *content, clients, each int) (cache.Cache, store, error) {
	switch kind {
	case "linear":
		linear := cache.NewLinearCache(held.typeURL, cache.WithInitialResources(held.byName()))
		return linear, &linearStore{held, linear}, nil
	case "shared":
		snapshots := cache.NewSnapshotCache(false, sameForAll{}, nil)
		made := &sharedStore{held, snapshots, 0}
		return snapshots, made, made.set()
	case "node":
		snapshots := cache.NewSnapshotCache(false, cache.IDHash{}, nil)
		made := newNodeStore(held, snapshots, clients, each)
		return snapshots, made, made.setAll()
	}
	return nil, nil, fmt.Errorf("unknown kind of cache %q", kind)
}

type linearStore struct {
	held   *content
	linear *cache.LinearCache
}

func (s *linearStore) change(index int) error {
	return s.linear.UpdateResource(bench.ResourceName(index), s.held.change(index))
}

type sameForAll struct{}

const everyNode = "all"

func (sameForAll) ID(*core.Node) string { return everyNode }

type sharedStore struct {
	held      *content
	snapshots cache.SnapshotCache
	version   int
}

func (s *sharedStore) change(index int) error {
	s.held.change(index)
	return s.set()
}

func (s *sharedStore) set() error {
	s.version++
	snapshot, err := newSnapshot(s.held.typeURL, s.version, s.held.messages)
	if err != nil {
		return err
	}
	return s.snapshots.SetSnapshot(context.Background(), everyNode, snapshot)
}

// nodeStore knows what each node asks for, and by resource which nodes ask for it.
type nodeStore struct {
	held      *content
	snapshots cache.SnapshotCache
	asks      [][]int
	askers    map[int][]int
	version   int
}

func newNodeStore(held *content, snapshots cache.SnapshotCache, clients, each int) *nodeStore {
	made := &nodeStore{held, snapshots, make([][]int, clients), map[int][]int{}, 0}
	for client := range clients {
		made.asks[client] = bench.Own(client, each, len(held.messages))
		for _, index := range made.asks[client] {
			made.askers[index] = append(made.askers[index], client)
		}
	}
	return made
}

func (s *nodeStore) change(index int) error {
	s.held.change(index)
	s.version++
	for _, node := range s.askers[index] {
		if err := s.set(node); err != nil {
			return err
		}
	}
	return nil
}

func (s *nodeStore) setAll() error {
	for node := range s.asks {
		if err := s.set(node); err != nil {
			return err
		}
	}
	return nil
}

func (s *nodeStore) set(node int) error {
	snapshot, err := newSnapshot(s.held.typeURL, s.version, s.held.some(s.asks[node]))
	if err != nil {
		return err
	}
	return s.snapshots.SetSnapshot(context.Background(), bench.NodeID(node), snapshot)
}

func newSnapshot(typeURL string, version int, resources []types.Resource) (*cache.Snapshot, error) {
	return cache.NewSnapshot(strconv.Itoa(version), map[string][]types.Resource{typeURL: resources})
}
