// Package bench is what the load client and the peer agree on: names of resources, and how they are told what to do.
package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

const (
	// ClusterType is what clients ask for by wildcard.
	ClusterType = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	// EndpointType is what clients ask for by name.
	EndpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
)

// ResourceName of resource number index.
func ResourceName(index int) string {
	return fmt.Sprintf("service-%06d", index)
}

// NodeID of client number index.
func NodeID(index int) string {
	return fmt.Sprintf("proxy-%05d", index)
}

// Own gives the indexes that a client asks for by name: the first, which all share, and each-1 that follow each other
// and start behind those of the client before it.
func Own(client, each, resources int) []int {
	indexes := make([]int, 1, each)
	for offset := range each - 1 {
		indexes = append(indexes, 1+(client*(each-1)+offset)%(resources-1))
	}
	return indexes
}

// Commands reads one JSON object a line from standard input and writes the answers, until the input ends.
func Commands[T any](answer func(T) (any, error)) error {
	input := bufio.NewScanner(os.Stdin)
	output := json.NewEncoder(os.Stdout)
	for input.Scan() {
		var command T
		if err := json.Unmarshal(input.Bytes(), &command); err != nil {
			return fmt.Errorf("a command that is not JSON: %w", err)
		}
		said, err := answer(command)
		if err != nil {
			return err
		}
		if err := output.Encode(said); err != nil {
			return fmt.Errorf("answering: %w", err)
		}
	}
	return input.Err()
}
