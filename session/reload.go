package session

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"speaker/trace"
)

// mayReload are the signals besides SIGHUP by which administrators ask: nginx and
// php-fpm SIGUSR2, nginx (for its logs) and Apache SIGUSR1. Programs send them to
// themselves for other ends, as postgres does all the time.
var mayReload = []unix.Signal{unix.SIGUSR1, unix.SIGUSR2}

// reload returns the mark of an event that asks for a reload, or for some other
// administration that is no stop: a signal from outside to the target's first
// process. A SIGHUP counts also when another process of its own sends it: that is
// how pg_reload_conf and scripts in the container ask.
func (x *stopper) reload(e trace.Event, m Mark, inside []int) (Mark, bool) {
	from := int(e.Args[1])
	if x.first == 0 || e.Kind != trace.EventSignal || e.Pid != x.first || from == int(x.first) {
		return Mark{}, false
	}
	sig, where := unix.Signal(e.Args[0]), "outside"
	if slices.Contains(inside, from) {
		where = "inside"
	}
	if sig != unix.SIGHUP && (where == "inside" || !slices.Contains(mayReload, sig)) {
		return Mark{}, false
	}
	return Mark{At: m.At, Kind: MarkReload, Pid: e.Pid, Comm: m.Comm,
		Text: fmt.Sprintf("%s from %s (%s)", signalName(e.Args[0]), where, sender(e))}, true
}
