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

// Propose finds a split in what was recorded up to now: the end of boot.
//
// It is just after the last new call before the program, with a thread waiting
// on a listening socket, calls nothing new for 3 s. A server that ends soon and
// is followed by another one was part of boot. A program that is never seen to
// wait on a socket is taken to be up when it calls nothing new for 10 s.
//
// When nothing speaks for a split, Propose returns false, and How says why.
func (s *Session) Propose(now time.Duration) (Split, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := proposal{s: s, end: min(now, s.table.length())}
	p.gather()
	sp, ok := p.find()
	sp.By = "proposal"
	if ok {
		for _, m := range p.marks {
			if m.Kind == MarkStop && m.At > sp.At {
				sp.Stop = m.At
				break
			}
		}
		sp.Evidence = append(sp.Evidence, p.against(sp)...)
	}
	return sp.clipped(), ok
}

// proposal is the work of one Propose. The session is locked.
type proposal struct {
	s       *Session
	end     time.Duration
	marks   []Mark
	news    []Discovery
	servers []server
}

// server is a span of time in which some process waited on a listening socket
// and had not ended.
type server struct {
	first Mark
	ended time.Duration // never: it had not ended
}

// gather collects, from what was recorded up to the end, the new calls and the
// servers.
func (p *proposal) gather() {
	p.news = p.s.discoveries()
	p.news = slices.DeleteFunc(p.news, func(d Discovery) bool { return d.At > p.end })
	p.marks = slices.DeleteFunc(p.s.sortedMarks(), func(m Mark) bool { return m.At > p.end })
	waiting := map[uint32]bool{}
	for _, m := range p.marks {
		switch {
		case m.Kind == MarkListenWait:
			if len(waiting) == 0 {
				p.servers = append(p.servers, server{m, never})
			}
			waiting[m.Pid] = true
		case m.Kind == MarkExit && waiting[m.Pid]:
			if delete(waiting, m.Pid); len(waiting) == 0 {
				p.servers[len(p.servers)-1].ended = m.At
			}
		}
	}
}

func (p *proposal) find() (Split, bool) {
	if len(p.s.table.starts) == 0 {
		return Split{How: "nothing was recorded yet"}, false
	}
	if len(p.servers) == 0 {
		return p.flat()
	}
	if w := p.servers[0]; !p.s.meta.StartSeen && w.first.At <= p.s.table.starts[0]+atOnce {
		return p.serving(w)
	}
	var passed []Evidence
	for i, w := range p.servers {
		sp, ok := p.settled(w)
		last := i == len(p.servers)-1
		if last || ok && w.ended-w.first.At > passing {
			sp.Evidence = append(sp.Evidence, passed...)
			return sp, ok
		}
		passed = append(passed, w.passed())
	}
	panic("unreachable: the last server returns")
}

// settled finds the split for a program whose server is w.
func (p *proposal) settled(w server) (Split, bool) {
	at, last, ok := p.quiet(w.first.At, min(w.ended, p.end), quietWait)
	if !ok {
		how := fmt.Sprintf("%s waits in %s, but it has not gone %v without a new call", named(w.first), w.first.Text, quietWait)
		return Split{How: how + p.newest()}, false
	}
	at = p.s.snap(p.joined(at))
	sp := Split{
		At: at, Confidence: High,
		How: fmt.Sprintf("%s waits in %s, then %v without a new call", named(w.first), w.first.Text, quietWait),
		Evidence: []Evidence{
			{w.first.At, true, fmt.Sprintf("%s waits in %s", named(w.first), w.first.Text)},
			p.flatFact(at, last, quietWait),
		},
	}
	if !p.s.meta.StartSeen {
		sp.Confidence = Medium
	}
	sp.Evidence = append(sp.Evidence, p.supporting(at)...)
	return sp, true
}

// joined moves a split behind the workers that come up just after the first one:
// their boot has no new names, for the first one's had them all.
func (p *proposal) joined(at time.Duration) time.Duration {
	end := at + quietWait
	for _, m := range p.marks {
		if m.Kind == MarkListenWait && m.At > at && m.At < end {
			at = m.At
		}
	}
	return at
}

// serving is the split for a program that served before anyone watched.
func (p *proposal) serving(w server) (Split, bool) {
	return Split{
		At: min(0, p.s.table.starts[0]), Confidence: Medium,
		How: fmt.Sprintf("%s was already waiting in %s when the recording began: all that was seen is run", named(w.first), w.first.Text),
		Evidence: []Evidence{
			{w.first.At, true, fmt.Sprintf("%s waits in %s at the first look", named(w.first), w.first.Text)},
			{0, false, "boot was not seen: boot it again to learn what it needs"},
		},
	}, true
}

// flat is the split for a program that nobody saw waiting on a socket.
func (p *proposal) flat() (Split, bool) {
	if len(p.news) == 0 {
		return Split{How: "the program was not seen to call anything yet"}, false
	}
	at, last, ok := p.quiet(p.news[0].At, p.end, quietFlat)
	if !ok {
		return Split{How: fmt.Sprintf(
			"no thread was seen waiting on a listening socket, and the program has not gone %v without a new call%s",
			quietFlat, p.newest())}, false
	}
	at = p.s.snap(at)
	sp := Split{
		At: at, Confidence: Low,
		How:      fmt.Sprintf("%v without a new call, and no thread was seen waiting on a listening socket", quietFlat),
		Evidence: []Evidence{p.flatFact(at, last, quietFlat)},
	}
	no := Evidence{at, false, "no thread was seen waiting on a listening socket: the program may just be slow to start"}
	if i := slices.IndexFunc(p.marks, func(m Mark) bool { return m.Kind == MarkListen }); i >= 0 {
		no = Evidence{p.marks[i].At, false, named(p.marks[i]) + " listens, but no thread was seen waiting on it"}
	}
	sp.Evidence = append(sp.Evidence, no)
	return sp, true
}

// quiet finds the first time in from..to after which nothing new is called for
// d: just after the last new call, and not before from. last is the number of
// new calls up to there.
func (p *proposal) quiet(from, to, d time.Duration) (at time.Duration, last int, ok bool) {
	at = from
	for i, n := range p.news {
		if n.At > to || n.At-at >= d {
			break
		}
		at, last = max(at, n.At), i+1
	}
	return at, last, to-at >= d
}

// flatFact says what the flat stretch after at comes after.
func (p *proposal) flatFact(at time.Duration, last int, d time.Duration) Evidence {
	text := fmt.Sprintf("nothing new for %v", d)
	if last > 0 {
		n := p.news[last-1]
		text += fmt.Sprintf(" after %v at %s, the %s different call", n.Call, seconds(n.At), ordinal(last))
		if n.At < at {
			text = fmt.Sprintf("nothing new for %v then; the last new call was %v at %s, the %s different one",
				d, n.Call, seconds(n.At), ordinal(last))
		}
	}
	return Evidence{at, true, text}
}

// newest names the last new call, for a program that does not settle.
func (p *proposal) newest() string {
	if len(p.news) == 0 {
		return ""
	}
	d := p.news[len(p.news)-1]
	return fmt.Sprintf(": the last, %v, came at %s of %s", d.Call, seconds(d.At), seconds(p.end))
}

// supporting lists the marks near the end of boot that agree with a split.
func (p *proposal) supporting(at time.Duration) []Evidence {
	var out []Evidence
	first := func(kind, what string) {
		for _, m := range p.marks {
			if m.Kind == kind {
				out = append(out, Evidence{m.At, m.At <= at+quietWait, fmt.Sprintf("%s %s", named(m), what)})
				return
			}
		}
	}
	first(MarkListen, "listens")
	first(MarkAccept, "accepts for the first time")
	return out
}

// against lists what speaks against a split, wherever it came from.
func (p *proposal) against(sp Split) []Evidence {
	var out []Evidence
	late := 0
	for _, d := range p.news {
		if sp.At <= 0 || d.At <= sp.At || sp.Stop > 0 && d.At > sp.Stop {
			continue
		}
		if late++; late <= 3 {
			out = append(out, Evidence{d.At, false, fmt.Sprintf("%v is new in run, at %s", d.Call, seconds(d.At))})
		}
	}
	if late > 3 {
		out = append(out, Evidence{sp.At, false, fmt.Sprintf("%d more calls are new in run", late-3)})
	}
	if !p.s.meta.StartSeen && sp.At > 0 {
		out = append(out, Evidence{0, false, "the start was not seen: what was new here may not have been"})
	}
	if lost := p.s.table.lostBefore(len(p.s.table.lost)); lost.Table > 0 {
		out = append(out, Evidence{sp.At, false, fmt.Sprintf("%d calls were lost by the tracer", lost.Table)})
	}
	return append(out, p.execs(sp)...)
}

// execs tells a program that was started in run by the target itself.
func (p *proposal) execs(sp Split) []Evidence {
	for _, m := range p.marks {
		if m.Kind == MarkExec && m.At > sp.At && (sp.Stop == 0 || m.At <= sp.Stop) && sp.At > 0 {
			return []Evidence{{m.At, false, fmt.Sprintf("%s is started at %s, in run", named(m), seconds(m.At))}}
		}
	}
	return nil
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
