package sample

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"speaker/sample/server"
)

// controlFD is the init's end of the control socket.
const controlFD = 3

// initEnv lets Go's runtime leave the main thread alone while that waits in a
// call the runtime does not know of.
var initEnv = []string{"GODEBUG=asyncpreemptoff=1"}

// InitMain is the container's first process, `_demo-init ORDER`: it sets up
// the container around itself, waits for its release, and becomes the server.
// It ends when whoever started it is gone before that.
func InitMain(args []string) int {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "demo: speaker starts this part by itself")
		return 2
	}
	err := becomeServer(args)
	if err == nil {
		return 0
	}
	unix.Write(controlFD, []byte(err.Error()))
	return 1
}

// becomeServer returns nil when it was not released, and does not return from
// a successful exec.
func becomeServer(args []string) error {
	// Of what the starter had open, the server gets its output and no more.
	if err := unix.CloseRange(controlFD, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		unix.CloseOnExec(controlFD) // before Linux 5.11
	}
	var o order
	if len(args) != 1 {
		return errors.New("decode order: there is none")
	}
	if err := json.Unmarshal([]byte(args[0]), &o); err != nil {
		return fmt.Errorf("decode order: %w", err)
	}
	if err := makeRoot(configOf(o)); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte("demo")); err != nil {
		return fmt.Errorf("set hostname: %w", err)
	}
	if o.OwnNet {
		if err := raiseLoopback(); err != nil {
			return err
		}
	}
	next, err := newProgram(serverPath, []string{"demo-server", server.ServeWord, configPath}, server.Env())
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(controlFD, false); err != nil {
		return fmt.Errorf("prepare to wait: %w", err)
	}
	debug.SetGCPercent(-1) // a collection could not stop the thread that waits
	if _, err := unix.Write(controlFD, []byte("ready")); err != nil {
		return fmt.Errorf("say ready: %w", err)
	}
	return next.execAfter(controlFD)
}

// configOf is the configuration that the server finds in its container.
func configOf(o order) server.Config {
	return server.Config{Listen: o.Listen, Self: serverPath, Helper: helperPath,
		WWW: "/srv/www", State: "/var/lib/demo", Run: "/run/demo", UID: 1000, GID: 1000,
		Workers: 2, Threads: 2, Pages: 64, Pace: o.Pace}
}
