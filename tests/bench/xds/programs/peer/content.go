package main

import (
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"

	"mediastreamingmesh/bench"
)

const firstPort = 10_000

// content is every resource of one type; the port in a resource tells how often it has changed.
type content struct {
	typeURL   string
	revisions []uint32
	messages  []types.Resource
}

func newContent(typeURL string, resources int) *content {
	made := &content{typeURL, make([]uint32, resources), make([]types.Resource, resources)}
	for index := range resources {
		made.messages[index] = made.message(index)
	}
	return made
}

func (c *content) change(index int) types.Resource {
	c.revisions[index]++
	c.messages[index] = c.message(index)
	return c.messages[index]
}

func (c *content) byName() map[string]types.Resource {
	named := make(map[string]types.Resource, len(c.messages))
	for index, message := range c.messages {
		named[bench.ResourceName(index)] = message
	}
	return named
}

func (c *content) some(indexes []int) []types.Resource {
	chosen := make([]types.Resource, 0, len(indexes))
	for _, index := range indexes {
		chosen = append(chosen, c.messages[index])
	}
	return chosen
}

func (c *content) message(index int) types.Resource {
	assignment := assignment(index, firstPort+c.revisions[index]%firstPort)
	if c.typeURL == bench.EndpointType {
		return assignment
	}
	return &cluster.Cluster{
		Name:                 assignment.GetClusterName(),
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_STATIC},
		LoadAssignment:       assignment,
	}
}

func assignment(index int, port uint32) *endpoint.ClusterLoadAssignment {
	address := &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address:       "192.0.2.1",
		PortSpecifier: &core.SocketAddress_PortValue{PortValue: port},
	}}}
	one := &endpoint.LbEndpoint{HostIdentifier: &endpoint.LbEndpoint_Endpoint{
		Endpoint: &endpoint.Endpoint{Address: address},
	}}
	return &endpoint.ClusterLoadAssignment{
		ClusterName: bench.ResourceName(index),
		Endpoints:   []*endpoint.LocalityLbEndpoints{{LbEndpoints: []*endpoint.LbEndpoint{one}}},
	}
}
