package bench

import (
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/session"
	"speaker/trace"
)

const sec = time.Second

// served is a desk on a recording of a server that waits from 2 s on, and is
// asked to stop at stop (0: never).
func served(t *testing.T, stop time.Duration) *desk {
	t.Helper()
	s := session.New(session.Meta{StartSeen: true})
	row := []session.Row{{Group: trace.Main, Call: policy.Call{Nr: 1}, Count: 1, First: sec, Last: sec}}
	for i := range time.Duration(20) {
		if err := s.AddEpoch(session.Epoch{Start: i * sec, End: (i + 1) * sec, Rows: row}); err != nil {
			t.Fatal(err)
		}
		row = nil
	}
	s.AddMark(session.Mark{At: 2 * sec, Kind: session.MarkListenWait, Pid: 9, Text: "epoll_wait on tcp 0.0.0.0:80"})
	if stop != 0 {
		s.AddMark(session.Mark{At: stop, Kind: session.MarkStop})
	}
	return newDesk(s)
}

// Accepting a proposal keeps the stop that the user set, and no other.
func TestAcceptKeepsTheUsersStop(t *testing.T) {
	for name, x := range map[string]struct {
		old  *session.Split
		mark time.Duration
		want time.Duration
	}{
		"no split before":               {nil, 15 * sec, 15 * sec},
		"the user's":                    {&session.Split{At: sec, Stop: 10 * sec, By: "user"}, 15 * sec, 10 * sec},
		"the user's, then accepted":     {&session.Split{At: sec, Stop: 10 * sec, By: "user, as proposed"}, 15 * sec, 10 * sec},
		"the user's, before boot ended": {&session.Split{At: 0, Stop: sec, By: "user"}, 15 * sec, 15 * sec},
		"an older stop mark":            {&session.Split{At: 0, Stop: sec, By: "user, as proposed"}, 15 * sec, 15 * sec},
		"none, and a mark since":        {&session.Split{At: sec, By: "user"}, 15 * sec, 15 * sec},
		"none at all":                   {&session.Split{At: sec, By: "user"}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := served(t, x.mark)
			if x.old != nil {
				d.sess.AddSplit(*x.old)
			}
			if err := d.Accept(); err != nil {
				t.Fatal(err)
			}
			if sp, _ := d.sess.Split(); sp.At != 2*sec || sp.Stop != x.want {
				t.Errorf("split at %v, stop %v, want %v", sp.At, sp.Stop, x.want)
			}
		})
	}
}

// A stop that comes after the split was accepted ends run.
func TestTakeStop(t *testing.T) {
	d := served(t, 15*sec)
	if d.takeStop() {
		t.Error("a stop without a split")
	}
	d.sess.AddSplit(session.Split{At: 16 * sec})
	if d.takeStop() {
		t.Error("a stop before the split")
	}
	d.sess.AddSplit(session.Split{At: 2 * sec})
	if sp, _ := d.sess.Split(); !d.takeStop() || sp.Stop != 0 {
		t.Error(sp)
	}
	if sp, _ := d.sess.Split(); sp.Stop != 15*sec || sp.At != 2*sec {
		t.Error(sp)
	}
}

// The splits of a merged session are those of its recordings.
func TestMergedSessionHasNoSplitToMove(t *testing.T) {
	d := served(t, 0)
	if err := d.Accept(); err != nil {
		t.Fatal(err)
	}
	m, _, err := session.Merge("test", session.Input{Name: "a", Session: d.sess})
	if err != nil {
		t.Fatal(err)
	}
	d = newDesk(m)
	if err := d.SetSplit(0, 0); err == nil || !strings.Contains(err.Error(), "move the split in the recordings, and merge them again") {
		t.Errorf("the split was moved: %v", err)
	}
	for _, err := range []error{d.Pin("2s"), d.UndoSplit()} {
		if err != errMerged {
			t.Errorf("the split was moved: %v", err)
		}
	}
	if err := d.Accept(); err == nil || !strings.Contains(err.Error(), "this session is merged, and each run has its own split") {
		t.Errorf("a split was accepted: %v", err)
	}
}

// A split that a rule pins, the moves of it, and what they are without one.
func TestPinAndMoves(t *testing.T) {
	d := served(t, 15*sec)
	for text, says := range map[string]string{
		d.UndoSplit().Error():    "no move of the split to undo",
		d.RedoSplit().Error():    "no move of the split to redo",
		d.Pin("soon").Error():    `no rule for a split: "soon" is neither`,
		noPolicy(t, d):           "no split yet: accept the proposal",
		pinned(t, d, "ready 80"): "no split yet: pinned: it waits for ready 80",
	} {
		if !strings.HasPrefix(text, says) {
			t.Errorf("%q, want %q", text, says)
		}
	}
	if err := d.Pin("1s after listen-wait 80"); err != nil {
		t.Fatal(err)
	}
	if sp, ok := d.sess.Split(); !ok || sp.At != 3*sec || sp.Stop != 15*sec || sp.By != byUser {
		t.Errorf("%v, %+v", ok, sp)
	}
	// The stop mark alone moves, and the rule stays.
	if err := d.SetSplit(3*sec, 12*sec); err != nil {
		t.Fatal(err)
	}
	if sp, _ := d.sess.Split(); sp.Rule != "1s after listen-wait 80" || sp.Stop != 12*sec {
		t.Errorf("%+v", sp)
	}
	if err := d.SetSplit(4*sec, 12*sec); err != nil {
		t.Fatal(err)
	}
	if sp, _ := d.sess.Split(); sp.Rule != "" || sp.At != 4*sec || len(sp.Evidence) == 0 {
		t.Errorf("%+v", sp)
	}
	for range 2 {
		if err := d.UndoSplit(); err != nil {
			t.Fatal(err)
		}
	}
	if sp, _ := d.sess.Split(); sp.Rule == "" || sp.Stop != 15*sec {
		t.Errorf("undone twice: %+v", sp)
	}
	if err := d.RedoSplit(); err != nil {
		t.Fatal(err)
	}
	// The next life is split by the rule, not at the instant.
	next := newDesk(session.New(session.Meta{StartSeen: true}))
	if err := next.keepPin(d.sess); err != nil {
		t.Fatal(err)
	}
	if sp, ok := next.sess.Split(); ok || sp.Rule != "1s after listen-wait 80" || !sp.Waits || sp.By != byUser {
		t.Errorf("carried over: %v, %+v", ok, sp)
	}
	d.sess.AddSplit(session.Split{At: sec})
	next = newDesk(session.New(session.Meta{}))
	if err := next.keepPin(d.sess); err != nil || len(next.sess.Splits()) > 0 {
		t.Error("an instant was carried over")
	}
	d.closed.Store(true)
	for _, err := range []error{d.Pin("2s"), d.UndoSplit(), d.RedoSplit()} {
		if err != ErrClosed {
			t.Error(err)
		}
	}
}

// noPolicy is why d has no policy.
func noPolicy(t *testing.T, d *desk) string {
	t.Helper()
	_, err := d.decided()
	if err == nil {
		t.Fatal("there is one")
	}
	return err.Error()
}

func pinned(t *testing.T, d *desk, rule string) string {
	t.Helper()
	if err := d.Pin(rule); err != nil {
		t.Fatal(err)
	}
	return noPolicy(t, d)
}
