package apply

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/apply/keeper"
)

// status is what the keeper says, which must answer.
func status(t *testing.T, h *Hold) Status {
	t.Helper()
	st, err := h.Status()
	if err != nil {
		t.Fatal(err)
	}
	return st
}

var short = 200 * time.Millisecond * patience()

// What nobody keeps is undone by the keeper, and what is decided meanwhile stands.
func TestDeadMan(t *testing.T) {
	s, h := held(t, "trial")
	stop := s.load()
	if err := h.Keep(); !errors.Is(err, ErrNothingToKeep) {
		t.Errorf("keep in boot: %v", err)
	}
	if err := h.DenyFor(short); err != nil {
		t.Fatal(err)
	}
	if st := status(t, h); st.Mode != keeper.Deny || st.Until.Sub(st.Since) < short || st.Why != "" {
		t.Errorf("%+v", st)
	}
	s.wants("mkdir", "EPERM")
	eventually(t, "the undo", func() bool { return status(t, h).Mode == keeper.Allow })
	if st := status(t, h); st.Why != "nobody kept it within "+short.String() || !st.Until.IsZero() {
		t.Errorf("%+v", st)
	}
	s.wants("mkdir", "ok")
	for what, decide := range map[string]func() error{
		"kept":        h.Keep,
		"denied":      h.Deny,
		"undone":      func() error { return errors.Join(h.Allow(), h.Deny()) },
		"given more":  func() error { return h.DenyFor(time.Hour) },
		"kept, again": func() error { return errors.Join(h.Keep(), h.DenyFor(time.Hour)) },
	} {
		if err := errors.Join(h.DenyFor(short), decide()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(2 * short) // the time of the first one, which must not come
		if st := status(t, h); st.Mode != keeper.Deny || st.Why != "" {
			t.Errorf("%s: %+v", what, st)
		}
		s.wants("mkdir", "EPERM")
	}
	for _, bad := range []time.Duration{-1, MaxWithin + 1} {
		if err := h.DenyFor(bad); err == nil {
			t.Errorf("denied for %s", bad)
		}
	}
	t.Logf("%d requests answered", stop())
	_ = unix.Kill(s.l.Pid, unix.SIGKILL)
	<-s.ended
	if err := h.End(); err != nil {
		t.Fatal(err)
	}
	list, err := HoldJournal("trial")
	if err != nil || !slices.ContainsFunc(list, func(e JournalEntry) bool {
		return e.Mode == keeper.Allow && strings.HasPrefix(e.Why, "nobody kept it")
	}) || !strings.HasPrefix(list[len(list)-1].Why, "the target has ended") {
		t.Errorf("journal: %+v %v", list, err)
	}
}

// A keeper that is killed while the time runs leaves removed calls failing, and
// nothing becomes wider when the time is over.
func TestDeadManKilled(t *testing.T) {
	s, h := held(t, "trial")
	s.wants("mkdir", "ok")
	if err := h.DenyFor(short); err != nil {
		t.Fatal(err)
	}
	_ = unix.Kill(status(t, h).Keeper, unix.SIGKILL)
	eventually(t, "the keeper's end", func() bool { return errors.Is(h.Keep(), ErrBereft) })
	s.wants("mkdir", "ENOSYS")
	time.Sleep(2 * short) // its time, which must not come
	s.wants("mkdir", "ENOSYS")
	s.wants("ping", "pong")
}
