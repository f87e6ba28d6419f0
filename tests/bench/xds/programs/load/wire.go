package main

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Responses are read and acknowledgements written as bytes: message objects would make this client, which stands for a
// thousand, the slowest part. Field numbers are those of DeltaDiscoveryResponse, Resource and DeltaDiscoveryRequest.
const (
	responseResources, responseNonce, responseRemoved = 2, 5, 6
	resourceVersion, resourceName                     = 1, 3
	requestType, requestNonce                         = 2, 6
)

type version struct{ name, version []byte }

// response is what a client needs of one; its slices point into the message.
type response struct {
	nonce     []byte
	resources []version
	removed   int64
}

func (r *response) read(message []byte) error {
	*r = response{resources: r.resources[:0]}
	return fields(message, func(number protowire.Number, value []byte) error {
		switch number {
		case responseNonce:
			r.nonce = value
		case responseRemoved:
			r.removed++
		case responseResources:
			one := version{}
			r.resources = append(r.resources, one)
			return r.resources[len(r.resources)-1].read(value)
		}
		return nil
	})
}

func (v *version) read(message []byte) error {
	return fields(message, func(number protowire.Number, value []byte) error {
		switch number {
		case resourceVersion:
			v.version = value
		case resourceName:
			v.name = value
		}
		return nil
	})
}

// fields visits every field that has a length.
func fields(message []byte, visit func(protowire.Number, []byte) error) error {
	for len(message) > 0 {
		number, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return fmt.Errorf("a response that is no message: %w", protowire.ParseError(size))
		}
		message = message[size:]
		if kind != protowire.BytesType {
			size = protowire.ConsumeFieldValue(number, kind, message)
		} else {
			var value []byte
			if value, size = protowire.ConsumeBytes(message); size >= 0 {
				if err := visit(number, value); err != nil {
					return err
				}
			}
		}
		if size < 0 {
			return fmt.Errorf("a response that is no message: %w", protowire.ParseError(size))
		}
		message = message[size:]
	}
	return nil
}

func acknowledgement(typeURL string, nonce []byte) []byte {
	message := protowire.AppendTag(nil, requestType, protowire.BytesType)
	message = protowire.AppendString(message, typeURL)
	message = protowire.AppendTag(message, requestNonce, protowire.BytesType)
	return protowire.AppendBytes(message, nonce)
}

// codec passes bytes through.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(message any) ([]byte, error) {
	if bytes, ok := message.(*[]byte); ok {
		return *bytes, nil
	}
	return nil, errors.New("only bytes are sent")
}

func (codec) Unmarshal(received []byte, message any) error {
	bytes, ok := message.(*[]byte)
	if !ok {
		return errors.New("only bytes are received")
	}
	*bytes = received
	return nil
}
