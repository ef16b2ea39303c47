package session

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"speaker/policy"
	"speaker/trace"
)

const (
	// reloadQuiet is how long nothing unusual may be called, for a reload to be
	// over, and reloadMost how long one is taken to last.
	reloadQuiet = 2 * time.Second
	reloadMost  = 10 * time.Second
	// headQuiet and headMost are the same before a process that came and went:
	// what started it was at work before.
	headQuiet = 300 * time.Millisecond
	headMost  = time.Second
	// passingMost is how long a process lives, at most, that comes and goes.
	// Programs that start more often than every passingEvery are what the
	// target does all the time.
	passingMost  = time.Minute
	passingEvery = 10 * time.Second
	// maxCauses bounds how many are looked into; the newest count.
	maxCauses = 32
)

// Recognised is an interval of run that looks like administration, with the
// calls that run has nowhere else: what accepting it takes out of run.
type Recognised struct {
	Admin
	Calls []policy.Call
}

// Recognise finds, in run as sp cuts it, what looks like administration and is
// over: a signal that asks for a reload, until nothing is called any more that
// the program does not call all the time; and programs that are started now and
// then, and soon end. What is marked already or was dismissed is left out.
//
// It changes nothing: ChangeAdmin with AdminAdd accepts one, with AdminDismiss
// it is not told again.
func (s *Session) Recognise(sp Split) []Recognised {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := s.recogniser(sp)
	causes := r.causes()
	if len(causes) == 0 {
		return nil
	}
	r.usual = r.usually(causes)
	var found []Admin
	for _, c := range causes {
		a := r.whole(c)
		if n := len(found); n > 0 && a.From <= found[n-1].To {
			found[n-1].To = max(found[n-1].To, a.To)
			continue
		}
		found = append(found, a)
	}
	return r.worth(found)
}

// recogniser is the work of one Recognise. The session is locked.
type recogniser struct {
	s     *Session
	end   time.Duration // of the recording
	run   []stretch     // run, without what is marked as administration
	usual map[*column]bool
}

func (s *Session) recogniser(sp Split) *recogniser {
	r := recogniser{s: s, end: s.table.length()}
	r.run = without(stretch{sp.At, min(sp.runEnd(), r.end)}, s.adminSpans(sp))
	return &r
}

// cause is what administration is recognised by.
type cause struct {
	stretch
	how   string
	asked bool   // by a signal: nothing before it belongs to it
	exe   string // of a process that came and went
}

// causes finds signals, and processes that came and went, in the order of time.
func (r *recogniser) causes() []cause {
	var out []cause
	born := map[uint32]birth{}
	stops := map[time.Duration]bool{}
	for _, m := range r.s.sortedMarks() {
		switch m.Kind {
		case MarkStop:
			stops[m.At] = true
		case MarkReload:
			out = append(out, cause{stretch{m.At, m.At}, fmt.Sprintf("%s is sent %s", named(m), m.Text), true, ""})
		default:
			if c, ok := r.lived(born, m); ok {
				out = append(out, c)
			}
		}
	}
	all := slices.Clone(out)
	out = slices.DeleteFunc(out, func(c cause) bool {
		return c.asked && stops[c.from] || !r.fresh(c.stretch) || r.often(all, c)
	})
	slices.SortStableFunc(out, func(a, b cause) int { return cmp.Compare(a.from, b.from) })
	return out[max(0, len(out)-maxCauses):]
}

// birth is what is known of a process that has not ended.
type birth struct {
	at      time.Duration
	exe     Mark // its last exec
	outside bool // it entered: docker exec, a probe
}

// lived follows processes by their marks, and returns the one that ended now if
// it was a program that came and went.
func (r *recogniser) lived(born map[uint32]birth, m Mark) (cause, bool) {
	b, known := born[m.Pid]
	switch m.Kind {
	case MarkEnter:
		born[m.Pid] = birth{at: m.At, outside: true}
	case MarkFork:
		var child uint32
		if _, err := fmt.Sscanf(m.Text, "child %d", &child); err == nil {
			born[child] = birth{at: m.At, outside: b.outside}
		}
	case MarkStart: // the runtime's process, which entered, has become the program
		born[m.Pid] = birth{at: m.At, exe: m}
	case MarkExec:
		if !known {
			b.at = m.At
		}
		b.exe = m
		born[m.Pid] = b
	case MarkExit:
		delete(born, m.Pid)
		if b.outside || b.exe.Kind == "" || m.At-b.at > passingMost {
			return cause{}, false
		}
		how := fmt.Sprintf("%s (pid %d) came and went in %s", filepath.Base(b.exe.Text), m.Pid, seconds(m.At-b.at))
		return cause{stretch{b.at, m.At}, how, false, b.exe.Text}, true
	}
	return cause{}, false
}

// fresh reports whether x lies in run, and nobody has decided on it.
func (r *recogniser) fresh(x stretch) bool {
	known := slices.Clone(r.s.dismissed)
	for _, a := range r.s.admins {
		known = append(known, stretch{a.From, a.end()})
	}
	in := slices.ContainsFunc(r.run, func(y stretch) bool { return x.from > y.from && x.from <= y.to })
	return in && !slices.ContainsFunc(known, func(y stretch) bool { return x.from <= y.to && y.from <= x.to })
}

// often reports whether the program of c comes and goes all the time.
func (r *recogniser) often(all []cause, c cause) bool {
	n := 0
	for _, x := range all {
		if x.exe == c.exe && !x.asked {
			n++
		}
	}
	return !c.asked && n > 3 && time.Duration(n)*passingEvery > length(r.run)
}

func length(spans []stretch) (sum time.Duration) {
	for _, x := range spans {
		sum += x.to - x.from
	}
	return sum
}

// usually are the program's calls in all of run that lies apart from causes.
func (r *recogniser) usually(causes []cause) map[*column]bool {
	rest := r.run
	for _, c := range causes {
		rest = cutOut(rest, stretch{c.from - headMost, c.to + reloadMost})
	}
	return r.used(rest)
}

// cutOut returns what is left of some spans without one.
func cutOut(spans []stretch, x stretch) []stretch {
	var out []stretch
	for _, y := range spans {
		out = append(out, without(y, []stretch{x})...)
	}
	return out
}

// used are the columns of the program's calls that have a use in some spans, or a
// thread asleep in them.
func (r *recogniser) used(spans []stretch) map[*column]bool {
	out := map[*column]bool{}
	for _, c := range r.s.table.order {
		if c.group != trace.Main {
			continue
		}
		if _, ok := c.within(spans, r.s.table.starts); ok || r.s.sleptIn(c.call, spans) {
			out[c] = true
		}
	}
	return out
}

// whole is all the time in which something unusual was called about a cause.
func (r *recogniser) whole(c cause) Admin {
	from, to := c.from, c.to
	for stop := min(c.to+reloadMost, r.end); to < stop; {
		last := r.unusual(to, min(to+reloadQuiet, stop)).last
		if last <= to {
			break
		}
		to = last
	}
	for stop := c.from - headMost; !c.asked && from > stop; {
		first := r.unusual(max(from-headQuiet, stop), from).first
		if first == 0 || first-1 >= from {
			break
		}
		from = first - 1
	}
	if to == c.from { // of a signal that changed nothing
		to = c.from + time.Millisecond
	}
	return Admin{From: from, To: min(to, r.end), How: c.how, By: "recognised"}
}

// unusual is the first and the last use between two times of a call that the
// program does not make all the time.
func (r *recogniser) unusual(from, to time.Duration) use {
	var out joined
	for _, c := range r.s.table.order {
		if c.group == trace.Main && !r.usual[c] {
			out.join(c.window(from, to, r.s.table.starts))
		}
	}
	return out.use
}

// worth are the intervals that are over, and have calls that run has nowhere else.
func (r *recogniser) worth(found []Admin) []Recognised {
	rest := r.run
	for _, a := range found {
		rest = cutOut(rest, stretch{a.From, a.To})
	}
	elsewhere := r.used(rest)
	var out []Recognised
	for _, a := range found {
		if a.To+reloadQuiet > r.end && !r.over() {
			continue
		}
		x := Recognised{Admin: a}
		for c := range r.used([]stretch{{a.From, a.To}}) {
			if !elsewhere[c] {
				x.Calls = append(x.Calls, c.call)
			}
		}
		if len(x.Calls) > 0 {
			slices.SortFunc(x.Calls, compareCalls)
			out = append(out, x)
		}
	}
	return out
}

// over reports whether the target has ended.
func (r *recogniser) over() bool { return r.s.kinds[MarkEnded] > 0 }
