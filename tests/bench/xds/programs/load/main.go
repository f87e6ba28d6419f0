// Command load is many xDS clients in one process: incremental ADS, everything acknowledged, versions remembered.
//
// Commands are JSON objects, a line each:
//
//	connect  open streams, subscribe, and wait until every client has what it awaits
//	mark     count from zero
//	wait     wait until so many resources were received since the last mark
//	close    end all streams and connections; what is remembered stays
//
// Every answer has the counts since the last mark and when the last acknowledgement was written.
package main

import (
	"flag"
	"fmt"
	"log"
	"time"

	"mediastreamingmesh/bench"
)

// Longer than the slowest piece of work takes on a machine that is busy with other things.
const patience = 90 * time.Second

type command struct {
	Do string
	// Clients connect, the first as node number First, over so many Connections; 0: one each.
	Clients, First, Connections int
	// Type is what they subscribe to: Each of so many Resources by name, or all of them when Each is 0.
	Type            string
	Each, Resources int
	// Remember makes the first request state the versions of all that is subscribed to.
	Remember bool
	// Await is the number of resources that are waited for: of each client, or in all.
	Await int64
}

func main() {
	target := flag.String("target", "", "address of the server")
	flag.Parse()
	fleet := newFleet(*target)
	if err := bench.Commands(func(told command) (any, error) { return obey(fleet, told) }); err != nil {
		log.Fatal(err)
	}
}

func obey(fleet *fleet, told command) (any, error) {
	switch told.Do {
	case "connect":
		fleet.counts.mark()
		if err := fleet.connect(told); err != nil {
			return nil, err
		}
		if err := wait(fleet, told.Await*int64(told.Clients)); err != nil {
			return nil, err
		}
	case "mark":
		fleet.counts.mark()
	case "wait":
		if err := wait(fleet, told.Await); err != nil {
			return nil, err
		}
	case "counts":
	case "close":
		fleet.close()
	default:
		return nil, fmt.Errorf("unknown command %q", told.Do)
	}
	return fleet.counts.said(), nil
}

func wait(fleet *fleet, resources int64) error {
	select {
	case <-fleet.counts.reached(resources):
		return nil
	case err := <-fleet.failed:
		return err
	case <-time.After(patience):
		return fmt.Errorf("waited in vain for %d resources: %+v", resources, fleet.counts.said())
	}
}
