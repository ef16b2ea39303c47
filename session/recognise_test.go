package session

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/trace"
)

// life is a recording of two minutes: calls 0 to 9 in the first two seconds, 0 and
// 1 all the time, and what extra says.
func life(t *testing.T, extra map[time.Duration][]uint32, marks ...Mark) *Session {
	t.Helper()
	s := New(Meta{StartSeen: true})
	for start := time.Duration(0); start < 120*sec; start += 100 * ms {
		e := Epoch{Start: start, End: start + 100*ms}
		add := func(nr uint32) {
			e.Rows = append(e.Rows, Row{trace.Main, policy.Call{Nr: nr}, 2, start + 10*ms, start + 60*ms})
		}
		for nr := range uint32(10) {
			if start < 2*sec || nr < 2 || slices.Contains(extra[start], nr) {
				add(nr)
			}
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range marks {
		s.AddMark(m)
	}
	return s
}

func TestRecognise(t *testing.T) {
	hup := func(at time.Duration) Mark { return Mark{at, MarkReload, 7, "nginx", "SIGHUP from outside (pid 99)"} }
	ran := func(at, end time.Duration, pid uint32, exe string) []Mark {
		return []Mark{{at, MarkFork, 7, "crond", "child " + string('0'+rune(pid))},
			{at + 5*ms, MarkExec, pid, "job", exe}, {end, MarkExit, pid, "job", "exit code 0"}}
	}
	many := func(n int, every time.Duration) (out []Mark) {
		for i := range n {
			at := 10*sec + time.Duration(i)*every
			out = append(out, ran(at, at+100*ms, 8, "/bin/cgi")...)
		}
		return out
	}
	reload := map[time.Duration][]uint32{20 * sec: {5, 6}, 20200 * ms: {5}, 21500 * ms: {7}, 60 * sec: {9}}
	for name, x := range map[string]struct {
		extra map[time.Duration][]uint32
		marks []Mark
		want  string
	}{
		"nothing":                       {reload, nil, ""},
		"a reload":                      {reload, []Mark{hup(20005 * ms)}, "20.005-21.56 nginx (pid 7) is sent SIGHUP from outside (pid 99): 5 6 7"},
		"two signals of one reload":     {reload, []Mark{hup(20005 * ms), hup(20500 * ms)}, "20.005-21.56 nginx (pid 7) is sent SIGHUP from outside (pid 99): 5 6 7"},
		"a signal that changed nothing": {reload, []Mark{hup(40 * sec)}, ""},
		"a signal in boot":              {reload, []Mark{hup(sec)}, ""},
		"a signal that was a stop":      {reload, []Mark{hup(20005 * ms), {20005 * ms, MarkStop, 7, "", ""}}, ""},
		"not over yet":                  {map[time.Duration][]uint32{119 * sec: {5}}, []Mark{hup(119 * sec)}, ""},
		"over, for the target is": {map[time.Duration][]uint32{119 * sec: {5}}, []Mark{hup(119 * sec), {120 * sec, MarkEnded, 0, "", ""}},
			"1m59-1m59.06 nginx (pid 7) is sent SIGHUP from outside (pid 99): 5"},
		"a child of cron": {map[time.Duration][]uint32{19900 * ms: {4}, 20 * sec: {5}, 20100 * ms: {6}}, ran(20*sec, 20100*ms, 8, "/usr/sbin/logrotate"),
			"19.909999999-20.16 logrotate (pid 8) came and went in 0.10 s: 4 5 6"},
		"a child that calls nothing else": {nil, ran(20*sec, 20100*ms, 8, "/bin/true"), ""},
		"a long life":                     {reload, ran(20*sec, 100*sec, 8, "/bin/worker"), ""},
		"one that entered":                {reload, append([]Mark{{20 * sec, MarkEnter, 8, "sh", ""}}, ran(20*sec, 21*sec, 8, "/bin/sh")[1:]...), ""},
		"a child of one that entered":     {reload, append([]Mark{{19 * sec, MarkEnter, 7, "sh", ""}}, ran(20*sec, 21*sec, 8, "/bin/ls")...), ""},
		"a child of what the runtime started": {reload, append([]Mark{{0, MarkEnter, 6, "runc", ""}, {ms, MarkFork, 6, "runc", "child 7"}, {2 * ms, MarkStart, 7, "sh", "/bin/sh"}},
			ran(20*sec, 20100*ms, 8, "/bin/tar")...), "20-21.56 tar (pid 8) came and went in 0.10 s: 5 6 7"},
		"what it does all the time": {reload, many(50, 2*sec), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := life(t, x.extra, x.marks...)
			var got []string
			for _, r := range s.Recognise(Split{At: 2 * sec}) {
				got = append(got, r.text())
			}
			if text := strings.Join(got, "\n"); text != x.want {
				t.Errorf("got %q, want %q", text, x.want)
			}
		})
	}
}

func (r Recognised) text() string {
	out := strings.TrimSuffix(strings.Join([]string{
		strings.TrimSuffix(r.From.String(), "s") + "-" + strings.TrimSuffix(r.To.String(), "s"), r.How}, " "), " ") + ":"
	for _, c := range r.Calls {
		out += " " + string('0'+rune(c.Nr))
	}
	return out
}

// What was decided on is not told again; accepted, its calls leave run.
func TestRecognisedIsAcceptedOrDismissed(t *testing.T) {
	s := life(t, map[time.Duration][]uint32{20 * sec: {5, 6}, 60 * sec: {5, 7}},
		Mark{20 * sec, MarkReload, 7, "nginx", "SIGHUP from outside (pid 99)"},
		Mark{60 * sec, MarkReload, 7, "nginx", "SIGHUP from outside (pid 100)"})
	sp := Split{At: 2 * sec}
	found := s.Recognise(sp)
	if len(found) != 2 {
		t.Fatalf("recognised %+v", found)
	}
	before := len(s.Observed(sp)[policy.Run])
	if err := s.ChangeAdmin(AdminChange{AdminAdd, found[0].Admin}); err != nil {
		t.Fatal(err)
	}
	if err := s.ChangeAdmin(AdminChange{AdminDismiss, found[1].Admin}); err != nil {
		t.Fatal(err)
	}
	if again := s.Recognise(sp); len(again) > 0 {
		t.Errorf("told again: %+v", again)
	}
	obs := s.Observed(sp)
	if len(obs[policy.Admin]) != 4 || len(obs[policy.Run]) != before-1 { // 6 is nowhere else
		t.Errorf("admin %+v, run %d of %d", obs[policy.Admin], len(obs[policy.Run]), before)
	}
	s.UndoEdit()
	if again := s.Recognise(sp); len(again) != 1 || again[0].How != found[1].How {
		t.Errorf("after the dismissal was undone: %+v", again)
	}
}

// Who sends what to the target's first process decides whether it is asked to
// reload.
func TestReloadMarks(t *testing.T) {
	const first, worker, outside = 7, 9, 1000
	for name, x := range map[string]struct {
		to   uint32
		sig  unix.Signal
		from uint64
		want string
	}{
		"docker kill -s HUP":     {first, unix.SIGHUP, outside, "SIGHUP from outside (pid 1000)"},
		"pg_reload_conf":         {first, unix.SIGHUP, worker, "SIGHUP from inside (pid 9)"},
		"apache graceful":        {first, unix.SIGUSR1, outside, "SIGUSR1 from outside (pid 1000)"},
		"postgres' own business": {first, unix.SIGUSR1, worker, ""},
		"a stop":                 {first, unix.SIGTERM, outside, ""},
		"a child":                {first, unix.SIGCHLD, worker, ""},
		"to a worker":            {worker, unix.SIGHUP, first, ""},
		"to itself":              {first, unix.SIGHUP, first, ""},
	} {
		t.Run(name, func(t *testing.T) {
			src := &fakeSource{now: base, pids: []int{first, worker}}
			s := New(Meta{})
			d := drive(t.Context(), s, nil, src, &fakeProbe{})
			d.step()
			src.set(func() {
				src.events = []trace.Event{{Time: base + uint64(sec), Kind: trace.EventSignal, Pid: x.to, Group: trace.Main, Args: [2]uint64{uint64(x.sig), x.from}}}
			})
			d.step()
			if err := d.Stop(); err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, m := range s.Marks() {
				if m.Kind == MarkReload {
					got += m.Text
				}
			}
			if got != x.want {
				t.Errorf("got %q, want %q", got, x.want)
			}
		})
	}
}

// A call that a thread is asleep in all the time is not the reload's alone.
func TestAsleepInRunIsNotTheReloadsAlone(t *testing.T) {
	s := New(Meta{StartSeen: true})
	for i := range time.Duration(600) {
		e := Epoch{Start: i * 100 * ms, End: (i + 1) * 100 * ms, InFlight: []policy.Call{{Nr: 3}}}
		e.Rows = append(e.Rows, Row{trace.Main, policy.Call{Nr: 0}, 1, e.End, e.End})
		if i == 0 || i == 300 {
			e.Rows = append(e.Rows, Row{trace.Main, policy.Call{Nr: 3}, 1, e.Start + 2*ms, e.Start + 2*ms}, Row{trace.Main, policy.Call{Nr: 4}, 1, e.Start + 2*ms, e.Start + 2*ms})
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	s.AddMark(Mark{30*sec + ms, MarkReload, 7, "web", "SIGHUP from outside (pid 99)"})
	if got := s.Recognise(Split{At: 2 * sec}); len(got) != 1 || !slices.Equal(got[0].Calls, []policy.Call{{Nr: 4}}) {
		t.Errorf("recognised %+v", got)
	}
}
