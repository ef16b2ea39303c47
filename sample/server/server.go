// Package server is the payload of the embedded demo: a little prefork HTTP
// server, in the way of many real ones. A master boots in visible stages, then
// starts workers and reaps them; workers accept and answer; a reload builds the
// cache anew, with calls that serving never makes; SIGTERM ends it cleanly.
//
// It is written so that it can live under the filter of what it was seen to
// call: see steady.go for what that takes in Go.
package server

import (
	"fmt"
	"os"
	"time"
)

// The words by which the enclosing program is started as a part of the demo.
const (
	ServeWord = "_demo-serve"
	HelpWord  = "_demo-help"
)

// Main is the server: `_demo-serve CONFIG` is the master, `_demo-serve worker
// N CONFIG CACHE` one of its workers. It returns the exit status: 0 after a
// clean stop.
func Main(args []string) int {
	var err error
	switch {
	case len(args) == 1:
		err = runMaster(args[0])
	case len(args) == 4 && args[0] == "worker":
		err = runWorker(args[1], args[2], args[3])
	default:
		err = fmt.Errorf("use: %s CONFIG", ServeWord)
	}
	if err != nil {
		logf("%v", err)
		return 1
	}
	return 0
}

// logf writes one line to the output. Who reads it may be gone: then it is lost.
func logf(format string, a ...any) {
	fmt.Fprintf(os.Stdout, "demo: "+format+"\n", a...)
}

// A stage is one step of the boot; do says in a few words what was done.
type stage struct {
	name string
	do   func() (string, error)
}

// boot runs the stages in order. Each takes at least pace, so that an eye can
// follow it on a timeline.
func boot(stages []stage, pace time.Duration) error {
	for i, st := range stages {
		begin := time.Now()
		said, err := st.do()
		if err != nil {
			return fmt.Errorf("%s: %w", st.name, err)
		}
		time.Sleep(pace - time.Since(begin))
		logf("[%d/%d] %s: %s", i+1, len(stages), st.name, said)
	}
	return nil
}
