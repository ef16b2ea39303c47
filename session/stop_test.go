package session

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/trace"
)

// The stop of a target that others stop is a signal from outside to its first
// process.
func TestStopOfAWatchedTarget(t *testing.T) {
	const first, worker, outside = 7, 9, 1000
	signal := func(at time.Duration, to uint32, sig unix.Signal, from uint64) trace.Event {
		return trace.Event{Time: base + uint64(at), Kind: trace.EventSignal, Pid: to, Group: trace.Main, Args: [2]uint64{uint64(sig), from}}
	}
	end := func(at time.Duration, pid uint32) trace.Event {
		return trace.Event{Time: base + uint64(at), Kind: trace.EventExit, Pid: pid, Group: trace.Main}
	}
	for name, x := range map[string]struct {
		events []trace.Event
		stops  []string // times and texts
	}{
		"docker stop":              {[]trace.Event{signal(sec, first, unix.SIGTERM, outside), end(2*sec, first)}, []string{"1s SIGTERM from outside (pid 1000)"}},
		"asked, and not ended yet": {[]trace.Event{signal(sec, first, unix.SIGTERM, outside)}, []string{"1s SIGTERM from outside (pid 1000)"}},
		"asked again and again": {[]trace.Event{signal(sec, first, unix.SIGTERM, outside), signal(3*sec, first, unix.SIGTERM, outside), end(4*sec, first)},
			[]string{"1s SIGTERM from outside (pid 1000)"}},
		"a graceful stop of nginx": {[]trace.Event{signal(sec, first, unix.SIGQUIT, outside), end(9*sec, first)}, []string{"1s SIGQUIT from outside (pid 1000)"}},
		"a thread dump of java":    {[]trace.Event{signal(sec, first, unix.SIGQUIT, outside), end(100*sec, first)}, nil},
		"a dump, and a stop by another": {[]trace.Event{signal(sec, first, unix.SIGUSR1, outside), signal(20*sec, first, unix.SIGQUIT, outside), end(21*sec, first)},
			[]string{"20s SIGQUIT from outside (pid 1000)"}},
		"an impatient user": {[]trace.Event{signal(sec, first, unix.SIGINT, outside), signal(2*sec, first, unix.SIGINT, outside), end(3*sec, first)},
			[]string{"1s SIGINT from outside (pid 1000)"}},
		"a reload":                {[]trace.Event{signal(sec, first, unix.SIGHUP, outside), end(2*sec, first)}, nil},
		"killed":                  {[]trace.Event{signal(sec, first, unix.SIGKILL, outside), end(sec, first)}, nil},
		"a worker":                {[]trace.Event{signal(sec, worker, unix.SIGTERM, outside), end(2*sec, worker)}, nil},
		"by a process of its own": {[]trace.Event{signal(sec, first, unix.SIGTERM, worker), signal(sec, first, unix.SIGQUIT, first), end(2*sec, first)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			src := &fakeSource{now: base, pids: []int{first, worker}}
			s := New(Meta{})
			d := drive(t.Context(), s, nil, src, &fakeProbe{})
			d.step()
			src.set(func() { src.events = x.events })
			d.step()
			if err := d.Stop(); err != nil {
				t.Fatal(err)
			}
			var stops []string
			for _, m := range s.Marks() {
				if m.Kind == MarkStop {
					stops = append(stops, m.At.String()+" "+m.Text)
				}
			}
			if !slices.Equal(stops, x.stops) {
				t.Errorf("stops %q, want %q", stops, x.stops)
			}
		})
	}
}

// A stop that speaker makes is marked before its signal comes.
func TestAStopIsMarkedOnce(t *testing.T) {
	s := New(Meta{})
	s.AddMark(Mark{At: sec, Kind: MarkStop, Text: "speaker stops it"})
	s.addStop(Mark{At: 1100 * ms, Kind: MarkStop})
	s.addStop(Mark{At: 9 * sec, Kind: MarkStop})
	if m := s.Marks(); len(m) != 2 || !strings.Contains(m[0].Text, "speaker") || m[1].At != 9*sec {
		t.Errorf("marks %+v", m)
	}
}

// Who sends a signal and is gone, or not yet seen, when one looks is known by its
// events; the signal is told of the process that gets it, with its name.
func TestSendersThatAreGone(t *testing.T) {
	const first, worker, outside = 7, 9, 1000
	event := func(at time.Duration, kind trace.EventKind, g trace.Group, pid uint32, comm string, args ...uint64) trace.Event {
		e := trace.Event{Time: base + uint64(at), Kind: kind, Group: g, Pid: pid, Comm: comm, Path: "/bin/x"}
		copy(e.Args[:], args)
		return e
	}
	signal := func(from uint64, comm string) trace.Event {
		return event(sec, trace.EventSignal, trace.Main, first, comm, uint64(unix.SIGUSR1), from)
	}
	starts := event(0, trace.EventExec, trace.Main, first, "postgres")
	for name, x := range map[string]struct {
		events []trace.Event
		want   string
	}{
		"a worker that ends":       {[]trace.Event{starts, signal(20, "worker"), event(sec, trace.EventExit, trace.Main, 20, "worker")}, ""},
		"a worker that just began": {[]trace.Event{starts, event(sec, trace.EventFork, trace.Main, first, "postgres", 20), signal(20, "postgres")}, ""},
		"docker exec":              {[]trace.Event{starts, event(sec, trace.EventEnter, trace.Exec, 20, "sh"), signal(20, "sh"), event(sec, trace.EventExit, trace.Exec, 20, "sh")}, "postgres: SIGUSR1 from outside (sh, pid 20)"},
		"docker kill":              {[]trace.Event{starts, signal(outside, "runc")}, "postgres: SIGUSR1 from outside (runc, pid 1000)"},
	} {
		t.Run(name, func(t *testing.T) {
			src := &fakeSource{now: base, pids: []int{first, worker}}
			s := New(Meta{})
			d := drive(t.Context(), s, nil, src, &fakeProbe{})
			d.step()
			src.set(func() { src.events = x.events })
			d.step()
			if err := d.Stop(); err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, m := range s.Marks() {
				if m.Kind == MarkReload {
					got += m.Comm + ": " + m.Text
				}
			}
			if got != x.want {
				t.Errorf("got %q, want %q", got, x.want)
			}
		})
	}
}
