package bench

import (
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/session"
	"speaker/trace/target"
)

// next waits for a container that start makes and starts, and returns the work on
// it when it has ended.
func next(t *testing.T, pattern string, start func()) *live {
	t.Helper()
	return nextIn(t, target.BootController(), pattern, start)
}

// nextIn is next for an engine that makes its cgroups elsewhere than is usual here.
func nextIn(t *testing.T, controller, pattern string, start func()) *live {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b := New(Options{NoFile: true, Tool: "speaker test"})
	b.controller = func() string { return controller }
	waits, done := make(chan struct{}), make(chan struct{})
	var w Work
	var err error
	go func() {
		defer close(done)
		w, err = b.Next(ctx, pattern, func(text string) {
			if strings.HasPrefix(text, "waiting for") {
				close(waits)
			} else {
				t.Log(text)
			}
		})
	}()
	select {
	case <-waits:
		start()
	case <-done:
	}
	<-done
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	until(t, "it ends", func() bool { return w.State().Ended })
	return w.(*live)
}

// wholeStart fails if the container's very first calls are not in the recording:
// the runtime's execve of the program, the program's brk as the first of its own,
// and every getppid of it; and none of the program's in another group.
func wholeStart(t *testing.T, w *live, name string) {
	t.Helper()
	if got := w.State().Item; got.Name != name {
		t.Errorf("%q was taken, not %q", got.Name, name)
	}
	if w.sess.Lost().Table > 0 || !w.sess.Meta().StartSeen {
		t.Errorf("lost %+v, start seen %v", w.sess.Lost(), w.sess.Meta().StartSeen)
	}
	obs := w.sess.Observed(session.Split{At: w.sess.Length()})
	count := func(p policy.Phase, nr uint32) uint64 { return countOf(obs, p, nr) }
	if count(policy.Init, unix.SYS_EXECVE) == 0 || len(obs[policy.Exec]) > 0 {
		t.Errorf("Init has %d calls and %d execve, Exec has %d calls", len(obs[policy.Init]), count(policy.Init, unix.SYS_EXECVE), len(obs[policy.Exec]))
	}
	if ppid, execs := count(policy.Boot, unix.SYS_GETPPID), count(policy.Boot, unix.SYS_EXECVE); ppid != 7 || execs != 0 {
		t.Errorf("the program has %d getppid, not 7, and %d execve, which are the runtime's", ppid, execs)
	}
	var first policy.Use
	for _, u := range obs[policy.Boot] {
		if first.Count == 0 || u.First < first.First {
			first = u
		}
	}
	if first.Call.Nr != unix.SYS_BRK || first.First > 5*time.Second {
		t.Errorf("the program's first call is %s at %v, not its brk soon after the start", first.Call, first.First)
	}
}
