package session

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"speaker/trace"
)

// Opinion is what one detector makes of a recording: a place for the split, or
// why it has none. Its strings may hold hostile bytes.
type Opinion struct {
	Detector string
	// Found says that it has a place: At, with its Confidence. Pending, that it
	// has none yet and may have one later, at At at the earliest: detectors of less
	// weight are not heard meanwhile.
	Found, Pending bool
	At             time.Duration
	Confidence     string // High, Medium, Low
	How            string // the reason, in words; of one that found nothing: why not
	Evidence       []Evidence
}

// detectors are in the order of their weight. One that is its own witness raises
// the confidence of another that it agrees with, and lowers it if it does not;
// the flat curve rests on the same calls as the others.
var detectors = []struct {
	name    string
	witness bool
	look    func(*facts) Opinion
}{
	{"readiness probe", true, (*facts).readiness},
	{"listening wait", true, (*facts).listeningWait},
	{"flat curve", false, (*facts).flatCurve},
}

// Propose finds a split in what was recorded up to now: the end of boot.
//
// It is where the weightiest detector has it: after the readiness probes that the
// user named were answered; else after a thread was seen waiting on a listening
// socket; both with 3 s in which nothing new is called. A program that does
// neither is taken to be up when it calls nothing new for 10 s.
//
// When nothing speaks for a split, Propose returns false, and How says why.
func (s *Session) Propose(now time.Duration) (Split, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	f := s.facts(now)
	sp, ok := f.weigh(f.opinions())
	sp.By = "proposal"
	if ok {
		for _, m := range f.marks {
			if m.Kind == MarkStop && m.At > sp.At {
				sp.Stop = m.At
				break
			}
		}
		sp.Evidence = append(sp.Evidence, f.against(sp)...)
	}
	return sp.clipped(), ok
}

// Opinions returns what every detector makes of what was recorded up to now, the
// weightiest first.
func (s *Session) Opinions(now time.Duration) []Opinion {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.facts(now).opinions()
}

// opinions asks every detector.
func (f *facts) opinions() []Opinion {
	out := make([]Opinion, len(detectors))
	for i, d := range detectors {
		out[i] = Opinion{How: f.s.empty()}
		if len(f.s.table.starts) > 0 {
			out[i] = d.look(f)
		}
		out[i].Detector = d.name
	}
	return out
}

// empty says why there is nothing to look at.
func (s *Session) empty() string {
	if len(s.merged.runs) > 0 {
		return "this session is merged, and each run has its own split"
	}
	return "nothing was recorded yet"
}

// weigh makes a split of the opinions.
func (f *facts) weigh(all []Opinion) (Split, bool) {
	var sp Split
	trust := 0
	for i, o := range all {
		if !o.Found && !o.Pending && i < len(all)-1 {
			sp.Evidence = append(sp.Evidence, o.Evidence...) // what was named and not answered
			if len(o.Evidence) > 0 {
				trust--
			}
			continue
		}
		if sp.How = o.How; !o.Found {
			return sp, false
		}
		sp.At = o.At
		sp.Evidence = append(append([]Evidence{}, o.Evidence...), sp.Evidence...)
		for k, other := range all[i+1:] {
			if e, by := o.compare(other); detectors[i+1+k].witness && e.Text != "" {
				sp.Evidence, trust = append(sp.Evidence, e), trust+by
			}
		}
		sp.Confidence = step(o.Confidence, trust)
		return sp, true
	}
	return sp, false
}

// compare says what another opinion means for this one: evidence, and by how
// much the confidence rises. One that has it earlier is no surprise: of two facts
// the weightier comes later as a rule.
func (o Opinion) compare(other Opinion) (e Evidence, by int) {
	apart := other.At - o.At
	switch {
	case other.Pending && apart.Abs() <= quietWait: // it is about to agree
		return e, 0
	case other.Pending:
		return Evidence{o.At, false, fmt.Sprintf("the %s has no place yet: %s", other.Detector, other.How)}, -1
	case !other.Found:
		return e, 0
	case apart.Abs() <= quietWait:
		return Evidence{other.At, true, fmt.Sprintf("the %s agrees, at %s: %s", other.Detector, seconds(other.At), other.How)}, 1
	case apart > 0:
		return Evidence{other.At, false, fmt.Sprintf("the %s has it later, at %s: %s", other.Detector, seconds(other.At), other.How)}, -1
	}
	return Evidence{other.At, false, fmt.Sprintf("the %s has it earlier, at %s: %s", other.Detector, seconds(other.At), other.How)}, 0
}

// step raises or lowers a confidence.
func step(c string, by int) string {
	levels := []string{Low, Medium, High}
	for i, l := range levels {
		if l == c {
			return levels[min(max(i+by, 0), len(levels)-1)]
		}
	}
	return c
}

// against lists what speaks against a split, wherever it came from.
func (f *facts) against(sp Split) []Evidence {
	var out []Evidence
	late := f.late(sp)
	for _, d := range late[:min(len(late), 3)] {
		out = append(out, Evidence{d.At, false, fmt.Sprintf("%v is new in run, at %s", d.Call, seconds(d.At))})
	}
	if n := len(late); n > 3 {
		out = append(out, Evidence{sp.At, false, fmt.Sprintf("%d more calls are new in run", n-3)})
	}
	if !f.s.meta.StartSeen && sp.At > 0 {
		out = append(out, Evidence{0, false, "the start was not seen: what was new here may not have been"})
	}
	if lost := f.s.table.lostBefore(len(f.s.table.lost)); lost.Table > 0 {
		out = append(out, Evidence{sp.At, false, fmt.Sprintf("%d calls were lost by the tracer", lost.Table)})
	}
	return append(out, f.execs(sp)...)
}

// late are the calls that were never used before a split and that run uses, with
// their first use there: what only administration uses is none of them.
func (f *facts) late(sp Split) []Discovery {
	if sp.At <= 0 {
		return nil
	}
	t, spans := &f.s.table, f.run(sp)
	var out []Discovery
	for _, d := range f.news {
		if d.At <= sp.At {
			continue
		}
		if u, ok := t.columns[key{trace.Main, d.Call}].within(spans, t.starts); ok {
			out = append(out, Discovery{u.first, d.Call})
		}
	}
	slices.SortStableFunc(out, func(a, b Discovery) int { return cmp.Compare(a.At, b.At) })
	return out
}

// run is the time that is run, as far as it is looked at.
func (f *facts) run(sp Split) []stretch { return clipSpans(f.s.runSpans(sp), always, f.end) }

// execs tells a program that was started in run by the target itself.
func (f *facts) execs(sp Split) []Evidence {
	if sp.At <= 0 {
		return nil
	}
	spans := f.run(sp)
	for _, m := range f.marks {
		if m.Kind == MarkExec && holds(spans, m.At) {
			return []Evidence{{m.At, false, fmt.Sprintf("%s is started at %s, in run", named(m), seconds(m.At))}}
		}
	}
	return nil
}
