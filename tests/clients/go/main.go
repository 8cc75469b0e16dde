// Prints the events of a stream, read by one of several libraries, as JSON lines.
//
// Usage: clients LIBRARY URL. It reconnects after its last event ID until it is ended.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/launchdarkly/eventsource"
	r3labs "github.com/r3labs/sse/v2"
	tmaxmax "github.com/tmaxmax/go-sse"
	backoff "gopkg.in/cenkalti/backoff.v1"
)

const pause = 50 * time.Millisecond

func emit(kind, id, data string) {
	if kind == "" {
		kind = "message"
	}
	line, _ := json.Marshal(map[string]string{"type": kind, "id": id, "data": data})
	fmt.Println(string(line))
}

func readR3labs(url string) {
	client := r3labs.NewClient(url)
	client.ReconnectStrategy = backoff.NewConstantBackOff(pause)
	// A clean end returns: it needs a loop of its own.
	for {
		err := client.SubscribeRaw(func(event *r3labs.Event) {
			// It also delivers a part of a block that was cut.
			if !json.Valid(event.Data) {
				return
			}
			emit(string(event.Event), string(event.ID), string(event.Data))
		})
		fmt.Fprintln(os.Stderr, err)
		time.Sleep(pause)
	}
}

func readGoSSE(url string) {
	client := tmaxmax.Client{Backoff: tmaxmax.Backoff{InitialInterval: pause, MaxInterval: pause, MaxRetries: -1}}
	request, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, url, http.NoBody)
	connection := client.NewConnection(request)
	connection.SubscribeToAll(func(event tmaxmax.Event) {
		emit(event.Type, event.LastEventID, event.Data)
	})
	for {
		err := connection.Connect()
		fmt.Fprintln(os.Stderr, err)
		time.Sleep(pause)
	}
}

func readLaunchDarkly(url string) {
	request, _ := http.NewRequest(http.MethodGet, url, http.NoBody)
	stream, err := eventsource.SubscribeWithRequestAndOptions(request,
		eventsource.StreamOptionInitialRetry(pause),
		eventsource.StreamOptionCanRetryFirstConnection(-1),
		eventsource.StreamOptionErrorHandler(func(error) eventsource.StreamErrorHandlerResult {
			return eventsource.StreamErrorHandlerResult{}
		}))
	if err != nil {
		panic(err)
	}
	for event := range stream.Events {
		emit(event.Event(), event.Id(), event.Data())
	}
}

func main() {
	read := map[string]func(string){
		"r3labs/sse":               readR3labs,
		"tmaxmax/go-sse":           readGoSSE,
		"launchdarkly/eventsource": readLaunchDarkly,
	}
	read[os.Args[1]](os.Args[2])
}
