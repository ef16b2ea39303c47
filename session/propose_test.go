package session

import (
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// script makes up a recording of one program: when it calls something new, and
// its marks. It calls what it knows all the time.
type script struct {
	unseen bool // the start was not seen
	news   []time.Duration
	marks  []Mark
	length time.Duration
}

const (
	ms  = time.Millisecond
	sec = time.Second
)

func (x script) session(t testing.TB) *Session {
	t.Helper()
	s := New(Meta{StartSeen: !x.unseen})
	for start := time.Duration(0); start < x.length; start += 100 * ms {
		e := Epoch{Start: start, End: min(start+100*ms, x.length)}
		for i, at := range x.news {
			switch c := (policy.Call{Nr: uint32(i)}); {
			case at > e.End:
			case at > start || at == 0 && start == 0:
				e.Rows = append(e.Rows, Row{trace.Main, c, 2, at, e.End})
			default:
				e.Rows = append(e.Rows, Row{trace.Main, c, 2, start + 1, e.End})
			}
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range x.marks {
		s.AddMark(m)
	}
	return s
}

// until returns new calls every step from 0 on, the last before end.
func until(end, step time.Duration) (out []time.Duration) {
	for at := time.Duration(0); at < end; at += step {
		out = append(out, at)
	}
	return out
}

func waits(at time.Duration, pid uint32, comm string) Mark {
	return Mark{at, MarkListenWait, pid, comm, "epoll_wait on tcp 0.0.0.0:80"}
}

func exits(at time.Duration, pid uint32) Mark { return Mark{at, MarkExit, pid, "", "exit code 0"} }

func TestPropose(t *testing.T) {
	boot := until(2*sec, 50*ms) // the last at 1.95 s
	for name, c := range map[string]struct {
		script
		at         time.Duration // -1: none
		confidence string
		says       []string // in How or the evidence
	}{
		"nothing yet":   {script{}, -1, "", []string{"nothing was recorded"}},
		"nobody called": {script{length: 20 * sec}, -1, "", []string{"not seen to call anything"}},
		"server": {
			script{news: boot, length: 10 * sec, marks: []Mark{
				{1900 * ms, MarkListen, 9, "web", ""}, waits(2100*ms, 9, "web"), {2500 * ms, MarkAccept, 9, "web", ""},
			}},
			2100 * ms, High, []string{"web (pid 9) waits in epoll_wait on tcp 0.0.0.0:80", "+web (pid 9) listens", "+web (pid 9) accepts"},
		},
		"first requests need new calls": {
			script{news: append(slices.Clone(boot), 2500*ms, 4*sec), length: 10 * sec, marks: []Mark{waits(2100*ms, 9, "web")}},
			4 * sec, High, []string{"3s without a new call", "the 42nd different call"},
		},
		"late new calls do not move it": {
			script{news: append(slices.Clone(boot), 20*sec, 40*sec), length: 60 * sec, marks: []Mark{waits(2100*ms, 9, "web")}},
			2100 * ms, High, []string{"is new in run, at 20.00 s", "is new in run, at 40.00 s"},
		},
		"listens long before it serves": {
			script{news: until(9*sec, 500*ms), length: 20 * sec, marks: []Mark{
				{sec, MarkListen, 9, "java", ""}, waits(9*sec, 9, "java"),
			}},
			9 * sec, High, nil,
		},
		"not yet quiet": {
			script{news: boot, length: 4 * sec, marks: []Mark{waits(2100*ms, 9, "web")}},
			-1, "", []string{"has not gone 3s without a new call"},
		},
		"never settles": {
			script{news: until(60*sec, 900*ms), length: 60 * sec, marks: []Mark{waits(2100*ms, 9, "web")}},
			-1, "", []string{"has not gone 3s", "came at 59.40 s of 60.00 s"},
		},
		"a second worker comes up with nothing new": {
			script{news: boot, length: 12 * sec, marks: []Mark{
				waits(2100*ms, 9, "web"), waits(2900*ms, 10, "web"), waits(8*sec, 11, "web"),
			}},
			2900 * ms, High, nil,
		},
		"the entrypoint's own server": {
			script{news: append(slices.Clone(boot), 8*sec, 8100*ms, 8200*ms), length: 30 * sec, marks: []Mark{
				waits(2100*ms, 9, "postgres"), exits(7*sec, 9), waits(9*sec, 20, "postgres"),
			}},
			9 * sec, High, []string{"-postgres (pid 9) waited", "until 7.00 s: taken for a server of the set-up"},
		},
		"the entrypoint's own server is still up": {
			script{news: boot, length: 6 * sec, marks: []Mark{waits(2100*ms, 9, "postgres")}},
			2100 * ms, High, nil,
		},
		"workers come and go": {
			script{news: boot, length: 30 * sec, marks: []Mark{
				waits(2100*ms, 9, "nginx"), waits(2100*ms, 10, "nginx"), exits(9*sec, 9), waits(9100*ms, 11, "nginx"), exits(9200*ms, 10),
			}},
			2100 * ms, High, nil,
		},
		"a long life, then another": {
			script{news: boot, length: 120 * sec, marks: []Mark{
				waits(2100*ms, 9, "web"), exits(100*sec, 9), waits(101*sec, 10, "web"),
			}},
			2100 * ms, High, nil,
		},
		"serving already": {
			script{unseen: true, news: boot, length: 5 * sec, marks: []Mark{waits(50*ms, 9, "web")}},
			0, Medium, []string{"already waiting", "-boot was not seen"},
		},
		"watched from somewhere in boot": {
			script{unseen: true, news: boot, length: 10 * sec, marks: []Mark{waits(2100*ms, 9, "web")}},
			2100 * ms, Medium, []string{"-the start was not seen"},
		},
		"never listens": {
			script{news: boot, length: 30 * sec},
			1950 * ms, Low, []string{"10s without a new call", "-no thread was seen waiting"},
		},
		"listens unseen": {
			script{news: boot, length: 30 * sec, marks: []Mark{{sec, MarkListen, 9, "web", ""}}},
			1950 * ms, Low, []string{"-web (pid 9) listens, but no thread"},
		},
		"never listens, too short": {
			script{news: boot, length: 11 * sec}, -1, "", []string{"has not gone 10s", "came at 1.95 s of 11.00 s"},
		},
		"never listens, never settles": {
			script{news: until(60*sec, 3*sec), length: 60 * sec}, -1, "", []string{"has not gone 10s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.session(t)
			sp, ok := s.Propose(never)
			text := sp.How
			for _, e := range sp.Evidence {
				text += "\n" + map[bool]string{true: "+", false: "-"}[e.For] + e.Text
			}
			if ok != (c.at >= 0) || ok && (sp.At != c.at || sp.Confidence != c.confidence) {
				t.Fatalf("proposed %v %v (%s), want %v (%s):\n%s", ok, sp.At, sp.Confidence, c.at, c.confidence, text)
			}
			for _, says := range c.says {
				if !strings.Contains(text, says) {
					t.Errorf("does not say %q:\n%s", says, text)
				}
			}
		})
	}
}

// The proposal at any time rests only on what was recorded until then.
func TestProposeLooksNotAhead(t *testing.T) {
	x := script{news: until(2*sec, 50*ms), length: 20 * sec, marks: []Mark{waits(2100*ms, 9, "web")}}
	s := x.session(t)
	for now := time.Duration(0); now < 20*sec; now += 100 * ms {
		sp, ok := s.Propose(now)
		if want := now >= 2100*ms+quietWait; ok != want || ok && sp.At != 2100*ms {
			t.Fatalf("at %v: %v, %v", now, sp, ok)
		}
	}
}

func TestProposeTakesTheStopMark(t *testing.T) {
	x := script{news: until(2*sec, 50*ms), length: 20 * sec, marks: []Mark{waits(2100*ms, 9, "web"), {15 * sec, MarkStop, 0, "", ""}}}
	if sp, ok := x.session(t).Propose(never); !ok || sp.Stop != 15*sec {
		t.Error(sp, ok)
	}
}
