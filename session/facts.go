package session

import (
	"fmt"
	"slices"
	"time"
)

const (
	// quietWait is how long a program that waits on a listening socket must
	// call nothing new. On nine servers 2 to 5 s was right 29 to 30 times of 30.
	quietWait = 3 * time.Second
	// quietFlat is the same for a program that never listens.
	quietFlat = 10 * time.Second
	// atOnce: a thread that waits this soon after a recording began that did
	// not see the start was serving before.
	atOnce = 500 * time.Millisecond
	// passing is how long the servers that entrypoints start for their own
	// set-up may live, to be taken for such.
	passing = 60 * time.Second
)

// facts are what the detectors look at: what was recorded up to the end. The
// session is locked.
type facts struct {
	s       *Session
	end     time.Duration
	marks   []Mark
	news    []Discovery
	servers []server
	main    int // the server that is no entrypoint's own, of servers; those before it are
}

// server is a span of time in which some process waited on a listening socket
// and had not ended.
type server struct {
	first Mark
	ended time.Duration // never: it had not ended
}

// facts collects, from what was recorded up to now, the new calls and the
// servers.
func (s *Session) facts(now time.Duration) *facts {
	f := &facts{s: s, end: min(now, s.table.length())}
	f.news = slices.DeleteFunc(s.discoveries(), func(d Discovery) bool { return d.At > f.end })
	f.marks = ownMarks(s.sortedMarks(), f.end)
	waiting := map[uint32]bool{}
	for _, m := range f.marks {
		switch {
		case m.Kind == MarkListenWait:
			if len(waiting) == 0 {
				f.servers = append(f.servers, server{m, never})
			}
			waiting[m.Pid] = true
		case m.Kind == MarkExit && waiting[m.Pid]:
			if delete(waiting, m.Pid); len(waiting) == 0 {
				f.servers[len(f.servers)-1].ended = m.At
			}
		}
	}
	for f.main < len(f.servers)-1 {
		w := f.servers[f.main]
		if _, _, ok := f.quiet(w.first.At, min(w.ended, f.end), quietWait); ok && w.ended-w.first.At > passing {
			break
		}
		f.main++
	}
	return f
}

// ownMarks are the marks up to end without those of the container's runtime and of
// processes that entered later, as docker exec's and health checks' do.
func ownMarks(marks []Mark, end time.Duration) []Mark {
	outside := map[uint32]bool{}
	return slices.DeleteFunc(marks, func(m Mark) bool {
		child := uint32(0)
		switch m.Kind {
		case MarkEnter:
			outside[m.Pid] = true
		case MarkStart: // the runtime's process has become the program
			delete(outside, m.Pid)
		case MarkFork:
			if _, err := fmt.Sscanf(m.Text, "child %d", &child); err == nil && outside[m.Pid] {
				outside[child] = true
			}
		case MarkExit:
			defer delete(outside, m.Pid)
		}
		return m.At > end || outside[m.Pid]
	})
}

// began is when the recording did.
func (f *facts) began() time.Duration { return f.s.table.starts[0] }

// setup are the servers of entrypoints: each ended soon, and another one followed.
func (f *facts) setup() []server { return f.servers[:f.main] }

// quiet finds the first time in from..to after which nothing new is called for
// d: just after the last new call, and not before from. last is the number of
// new calls up to there.
func (f *facts) quiet(from, to, d time.Duration) (at time.Duration, last int, ok bool) {
	at = from
	for i, n := range f.news {
		if n.At > to || n.At-at >= d {
			break
		}
		at, last = max(at, n.At), i+1
	}
	return at, last, to-at >= d
}

// joined moves a split behind the workers that come up just after the first one:
// their boot has no new names, for the first one's had them all.
func (f *facts) joined(at time.Duration) time.Duration {
	end := at + quietWait
	for _, m := range f.marks {
		if m.Kind == MarkListenWait && m.At > at && m.At < end {
			at = m.At
		}
	}
	return at
}

// flatFact says what the flat stretch after at comes after.
func (f *facts) flatFact(at time.Duration, last int, d time.Duration) Evidence {
	text := fmt.Sprintf("nothing new for %v", d)
	if last > 0 {
		n := f.news[last-1]
		text += fmt.Sprintf(" after %v at %s, the %s different call", n.Call, seconds(n.At), ordinal(last))
		if n.At < at {
			text = fmt.Sprintf("nothing new for %v then; the last new call was %v at %s, the %s different one",
				d, n.Call, seconds(n.At), ordinal(last))
		}
	}
	return Evidence{at, true, text}
}

// newest names the last new call, for a program that does not settle.
func (f *facts) newest() string {
	if len(f.news) == 0 {
		return ""
	}
	d := f.news[len(f.news)-1]
	return fmt.Sprintf(": the last, %v, came at %s of %s", d.Call, seconds(d.At), seconds(f.end))
}

func (w server) passed() Evidence {
	return Evidence{w.first.At, false, fmt.Sprintf("%s waited in %s until %s: taken for a server of the set-up",
		named(w.first), w.first.Text, seconds(w.ended))}
}

func named(m Mark) string {
	if m.Comm == "" {
		return fmt.Sprintf("pid %d", m.Pid)
	}
	return fmt.Sprintf("%s (pid %d)", m.Comm, m.Pid)
}

// seconds writes an offset the way screens do: "2.48 s".
func seconds(d time.Duration) string {
	return fmt.Sprintf("%.2f s", d.Seconds())
}

func ordinal(n int) string {
	suffix := "th"
	if n/10%10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprint(n, suffix)
}
