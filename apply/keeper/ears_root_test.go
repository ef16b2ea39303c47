package keeper

import (
	"errors"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// The first thread never ends by itself, so no asker may be on it.
func init() { runtime.LockOSThread() }

// asker is a thread under a filter of its own that asks about getppid, and makes that
// call whenever it is told to.
type asker struct {
	listener *os.File
	call     chan struct{}
	got      chan unix.Errno // 0: it was let through
}

// newAsker starts one. Its thread ends with it, so that nobody else gets the filter.
func newAsker(t *testing.T) *asker {
	t.Helper()
	f, err := policy.Compile(policy.Spec{Allow: everything().Minus(getppid), Notify: getppid})
	if err != nil {
		t.Fatal(err)
	}
	a := &asker{call: make(chan struct{}), got: make(chan unix.Errno)}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		prog := unix.SockFprog{Len: uint16(len(f.Insns)), Filter: &f.Insns[0]}
		fd, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&prog)))
		if e != 0 {
			made <- e
			return
		}
		a.listener = os.NewFile(fd, "listener")
		made <- nil
		for range a.call {
			_, _, e := unix.Syscall(unix.SYS_GETPPID, 0, 0, 0)
			a.got <- e
		}
		close(a.got)
	}()
	if err := <-made; err != nil {
		t.Skipf("a filter with a listener cannot be loaded here: %v", err)
	}
	return a
}

var getppid = func() policy.Set {
	c, err := policy.ParseCall("getppid")
	if err != nil {
		panic(err)
	}
	return policy.NewSet(c)
}()

func everything() policy.Set {
	var all []policy.Call
	for nr := range uint32(500) {
		all = append(all, policy.Call{ABI: policy.Native(), Nr: nr})
	}
	return policy.NewSet(all...)
}

func (a *asker) asks(t *testing.T, want unix.Errno, what string) {
	t.Helper()
	a.call <- struct{}{}
	select {
	case got := <-a.got:
		if got != want {
			t.Errorf("%s: getppid: %v, want %v", what, got, want)
		}
	case <-time.After(5 * time.Second):
		t.Fatalf("%s: nobody answered", what)
	}
}

// One mode goes for all listeners, one that ends leaves the others in place, and the
// hold ends with the last.
func TestSeveralListeners(t *testing.T) {
	h, err := newHold(Config{Dir: t.TempDir(), Name: "several", Pid: os.Getpid()}, newJournal())
	if err != nil {
		t.Fatal(err)
	}
	h.log.begin(journalPath(h.config.Dir, h.config.Name))
	defer h.log.close()
	awaited := h.ears.await()
	ended := make(chan error, 1)
	go func() { ended <- h.serve() }()

	var all []*asker
	for range 3 {
		a := newAsker(t)
		if err := h.ears.add(a.listener, os.Getpid(), FromInject); err != nil {
			t.Fatal(err)
		}
		a.listener.Close()
		a.asks(t, 0, "in boot")
		all = append(all, a)
	}
	awaited()
	if err := h.cross(Deny, 0); err != nil {
		t.Fatal(err)
	}
	h.guard(false)
	for _, a := range all {
		a.asks(t, unix.EPERM, "crossed")
	}
	close(all[0].call)
	waitFor(t, "an ended process's listener is dropped", func() bool { return h.ears.count() == 2 })
	all[1].asks(t, unix.EPERM, "when another has ended")
	h.set(Allow)
	all[2].asks(t, 0, "undone")

	// Numbers of notified calls count in each listener by itself.
	if err := h.asking(Asking{}); err != nil {
		t.Fatal(err)
	}
	if err := h.cross(Ask, 0); err != nil {
		t.Fatal(err)
	}
	for _, a := range all[1:] {
		a.call <- struct{}{}
	}
	waitFor(t, "both wait", func() bool { q := h.status().Asked; return len(q) == 1 && q[0].Waiting == 2 })
	if err := h.answerQuestion(h.status().Asked[0].ID, DenyOnce, int32(unix.EXDEV)); err != nil {
		t.Fatal(err)
	}
	for _, a := range all[1:] {
		if got := <-a.got; got != unix.EXDEV {
			t.Errorf("after the answer: %v, want EXDEV", got)
		}
		close(a.call)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, errEnded) {
			t.Errorf("the hold ended with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the hold goes on, and nobody has the filter any more")
	}
	h.close()
}

// A released hold closes every copy of every listener.
func TestReleasedListeners(t *testing.T) {
	h, err := newHold(Config{Dir: t.TempDir(), Name: "released", Pid: os.Getpid()}, newJournal())
	if err != nil {
		t.Fatal(err)
	}
	h.log.begin(journalPath(h.config.Dir, h.config.Name))
	defer h.log.close()
	a, b := newAsker(t), newAsker(t)
	for _, x := range []*asker{a, b} {
		if err := h.ears.add(x.listener, os.Getpid(), FromInject); err != nil {
			t.Fatal(err)
		}
		x.listener.Close()
	}
	ended := make(chan error, 1)
	go func() { ended <- h.serve() }()
	a.asks(t, 0, "before")
	h.ears.interrupt()
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("released: %v", err)
	}
	h.close()
	for _, x := range []*asker{a, b} {
		x.asks(t, unix.ENOSYS, "after")
		close(x.call)
	}
	if err := h.ears.add(os.Stdin, 1, FromInject); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a listener came after the end: %v", err)
	}
}

func waitFor(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !yes(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came true: %s", what)
		}
	}
}
