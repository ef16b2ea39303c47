package session

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// FirstAsking ends the text of the mark of an answer that came when the target was
// asked for the first time: it may have been ready for long.
const FirstAsking = ", at the first asking"

// probed is a readiness probe that the user named, and how far it came.
type probed struct {
	name    string
	from    time.Duration // it was asked from then on, the last time that it was named
	answers []Mark        // of a log line there may be several
	gaveUp  *Mark
}

// maxProbes bounds the probes that a file can hold in earnest: the latest count.
const maxProbes = 64

// probes finds the probes that were named. What was answered may lie before: a
// log tells of the past.
func (f *facts) probes() []*probed {
	var out []*probed
	for _, m := range f.marks {
		if m.Kind == MarkProbe {
			out = slices.DeleteFunc(out, func(p *probed) bool { return p.name == m.Text })
			out = append(out, &probed{name: m.Text, from: m.At})
			out = out[max(0, len(out)-maxProbes):]
		}
	}
	for _, m := range f.marks {
		p := probeOf(out, m)
		switch {
		case p == nil:
		case m.Kind == MarkReady:
			p.answers = append(p.answers, m)
		case m.Kind == MarkUnready && m.At >= p.from:
			p.gaveUp = &m
		}
	}
	return out
}

// probeOf finds the probe that m tells of: that whose name m's text begins with.
func probeOf(all []*probed, m Mark) *probed {
	var best *probed
	for _, p := range all {
		rest, ok := strings.CutPrefix(m.Text, p.name)
		if ok && strings.HasPrefix(rest, " ") && (best == nil || len(p.name) > len(best.name)) {
			best = p
		}
	}
	return best
}

// readiness: every readiness probe that the user named was answered, and then
// nothing new is called for a while: some answer while their workers still boot.
func (f *facts) readiness() Opinion {
	all := f.probes()
	if len(all) == 0 {
		return Opinion{How: "no readiness probe was named"}
	}
	var o Opinion
	var last *Mark
	var without []Evidence
	for _, p := range all {
		m, why := f.answer(p)
		switch {
		case m == nil && why.Text == "":
			return Opinion{Pending: true, How: p.name + " has not been answered yet"}
		case m == nil:
			without = append(without, why)
			continue
		case last == nil || m.At > last.At:
			last = m
		}
		o.Evidence = append(o.Evidence, Evidence{m.At, true, m.Text})
	}
	if last == nil {
		return Opinion{How: "no probe that was named tells when it was ready", Evidence: without}
	}
	if o = f.ready(o, *last); len(without) > 0 {
		o.Evidence, o.Confidence = append(o.Evidence, without...), step(o.Confidence, -1)
	}
	return o
}

// answer finds the answer of a probe that counts: not one of an entrypoint's own
// server. Without one it says why, if there will be none.
func (f *facts) answer(p *probed) (*Mark, Evidence) {
	var why Evidence
	for _, m := range p.answers {
		if strings.HasSuffix(m.Text, FirstAsking) && p.from > max(0, f.began())+atOnce {
			return nil, Evidence{m.At, false, m.Text + ": since when is not known"}
		}
		i := slices.IndexFunc(f.setup(), func(w server) bool { return m.At <= w.ended })
		if i < 0 {
			return &m, Evidence{}
		}
		why = Evidence{m.At, false, fmt.Sprintf("%s, but that was %s, a server of the set-up that ended at %s",
			m.Text, named(f.servers[i].first), seconds(f.servers[i].ended))}
	}
	switch {
	case p.gaveUp == nil:
		return nil, Evidence{}
	case why.Text == "":
		why = Evidence{p.gaveUp.At, false, p.gaveUp.Text}
	}
	return nil, why
}

// ready finds the split after the last answer.
func (f *facts) ready(o Opinion, answer Mark) Opinion {
	if !f.s.meta.StartSeen && (answer.At <= f.began() || strings.HasSuffix(answer.Text, FirstAsking)) {
		o.Found, o.At, o.Confidence = true, min(0, f.began()), Medium
		o.How = answer.Text + ", as the recording began: all that was seen is run"
		o.Evidence = append(o.Evidence, Evidence{0, false, "boot was not seen: boot it again to learn what it needs"})
		return o
	}
	from, d := answer.At, quietWait
	o.Confidence = High
	if !f.s.meta.StartSeen {
		o.Confidence = Medium
	}
	var bare *Evidence
	if strings.HasPrefix(answer.Text, "tcp ") {
		from, bare = f.listens(answer)
	}
	if bare != nil {
		d, o.Confidence = quietFlat, Medium
		o.Evidence = append(o.Evidence, *bare)
	}
	at, last, ok := f.quiet(from, f.end, d)
	if !ok {
		o.Pending = true
		o.How = fmt.Sprintf("%s, but since then it has not gone %v without a new call%s", answer.Text, d, f.newest())
		return o
	}
	o.Found, o.At = true, f.s.snap(f.joined(at))
	o.How = fmt.Sprintf("%s, then %v without a new call", answer.Text, d)
	o.Evidence = append(o.Evidence, f.flatFact(o.At, last, d))
	o.Evidence = append(o.Evidence, f.supporting(o.At, 0)...)
	for _, w := range f.setup() {
		o.Evidence = append(o.Evidence, w.passed())
	}
	return o
}

// listens weighs a connection that was accepted: the kernel does that for any
// program that listens, long before it serves. The thread that waits on the
// socket tells when it does.
func (f *facts) listens(answer Mark) (from time.Duration, bare *Evidence) {
	if len(f.servers) == 0 {
		return answer.At, &Evidence{answer.At, false, "a connection shows only that somebody listens, and no thread was seen waiting"}
	}
	return max(answer.At, f.servers[f.main].first.At), nil
}

// Outlived reports whether the server that was there at at has ended since: an
// answer of it says nothing of the one that follows.
func (s *Session) Outlived(at time.Duration) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	f := s.facts(never)
	i, _ := slices.BinarySearchFunc(f.servers, at, func(w server, at time.Duration) int { return cmp.Compare(w.ended, at) })
	return i < len(f.servers) && f.servers[i].ended < never
}
