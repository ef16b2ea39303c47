package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"speaker/tui/bench"
)

// plays are workbenches without a screen, to be killed at a moment that they
// announce. Each says what it is about to do, or has done, one line each.
var plays = map[string]func([]string) int{
	"_test-inject": playInject,
	"_test-hold":   playHold,
}

// playInject narrows a running container: _test-inject REF FILE.
func playInject(args []string) int {
	b := bench.New(bench.Options{SessionFile: args[1]})
	w, err := b.Watch(context.Background(), args[0], false)
	if err != nil {
		return stumble(err)
	}
	if err := acceptWhenReady(w, 2*time.Second); err != nil {
		return stumble(err)
	}
	fmt.Println("injecting")
	if _, _, err := w.Inject(context.Background()); err != nil {
		return stumble(err)
	}
	fmt.Println("injected")
	select {}
}

// playHold boots the demo under the two-phase filter, and crosses the split:
// _test-hold FOLDER.
func playHold(args []string) int {
	b := bench.New(bench.Options{SessionDir: args[0]})
	w, err := b.Watch(context.Background(), "demo", true)
	if err != nil {
		return stumble(err)
	}
	if err := acceptWhenReady(w, 0); err != nil {
		return stumble(err)
	}
	fmt.Println("starting")
	if w, err = w.Hold(context.Background(), false); err != nil {
		return stumble(err)
	}
	for w.State().Hold == nil {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("held", w.State().Hold.Name)
	if err := acceptWhenReady(w, 0); err != nil {
		return stumble(err)
	}
	if err := w.CrossSplit(0); err != nil {
		return stumble(err)
	}
	fmt.Println("denied", w.State().Hold.Name)
	select {}
}

// acceptWhenReady accepts the proposal, once there is one and the recording is
// as long as wanted.
func acceptWhenReady(w bench.Work, length time.Duration) error {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var err error
		if w.Session().Length() >= length {
			if err = w.Accept(); err == nil {
				return nil
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("no split to accept in %v: %w", patience, err)
		}
	}
}

func stumble(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}
