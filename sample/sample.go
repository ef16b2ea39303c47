// Package sample is the embedded demo: a real little server (sample/server) in
// a container made without any engine, and a load of real requests. It exists
// so that a new user's first screen is alive, and so that the whole story of
// two phases can be tried where no container may be harmed.
//
// It imports nothing else of speaker, as any container would.
package sample

import (
	"errors"
	"os"
	"runtime"
	"time"

	"speaker/sample/server"
)

// InitWord is the first argument by which this binary is the container's init.
const InitWord = "_demo-init"

// DefaultPace is the shortest time of each of the seven boot stages.
const DefaultPace = 350 * time.Millisecond

// ErrNotServing is the error of a request that found nobody listening.
var ErrNotServing = errors.New("the demo does not serve")

// Options are how the demo is started.
type Options struct {
	// Cgroup is the directory of an existing cgroup (of any hierarchy) that
	// the container enters last of all, just before it waits. "" means none.
	Cgroup string
	// Output receives the server's log. It is not closed here. nil means
	// /dev/null.
	Output *os.File
	// HostNet keeps the host's network. The port is then one that was free.
	HostNet bool
	// Pace is the shortest time of a boot stage; 0 means DefaultPace, which
	// makes a boot of about three seconds.
	Pace time.Duration
}

// The main thread has to wait and exec, because a tracer seizes the thread
// group's leader to catch its exec.
func init() {
	if len(os.Args) > 1 && os.Args[1] == InitWord {
		runtime.LockOSThread()
	}
}

// ServeMain is the payload, `_demo-serve`: it returns its exit status.
func ServeMain(args []string) int { return server.Main(args) }

// HelpMain is the payload's helper program, `_demo-help`.
func HelpMain(args []string) int { return server.HelpMain(args) }
