package tui

import (
	"time"

	"speaker/policy"
	"speaker/session"
	"speaker/tui/bench"
)

// wish is what a snapshot is asked to hold.
type wish struct {
	columns int            // of the timeline
	zoom    int            // the timeline shows 1/2^zoom of the recording
	moved   *session.Split // the split as it is being moved, not yet on the session
	old     *snapshot      // the one before, whose parts are used again when nothing changed
	fresh   bool           // use nothing of it
}

// snapshot is all that the screen shows of a Work, at one moment. It is made
// outside of Update and never changed, so that drawing waits for nobody.
type snapshot struct {
	at         time.Time
	generation uint64

	state   bench.State
	meta    session.Meta
	length  time.Duration
	samples []session.Sample

	from, to time.Duration // of the timeline
	buckets  []session.Bucket
	zoom     int

	split       session.Split // the one the sets are cut at
	standing    standing
	precision   time.Duration // see session.Precision, at the split
	blurred     time.Duration // see session.Blurred
	proposal    session.Split
	proposed    bool
	opinions    []session.Opinion // of the detectors
	waits       string            // what a pinned split waits for; "" if it does not
	places      []session.Place   // where a split can be snapped to
	cost        session.Cost
	late        []session.Late // calls that are new in run
	learning    session.Learning
	policy      policy.Policy
	entries     []policy.Entry
	warnings    []policy.Warning
	rehearsal   session.Rehearsal
	admins      []session.Admin
	recognised  []session.Recognised
	marks       []session.Mark
	trials      []session.Trial
	discoveries []session.Discovery
	gaps        []string // what keeps the recording from being complete
	edits       int
	reload      reloadNeeds
}

// standing says what the split that the sets are cut at is.
type standing int

const (
	noSplit   standing = iota // none: all is boot
	suggested                 // the proposal, not accepted
	decided                   // on the session
	moving                    // being moved by keys
)

func (s standing) String() string {
	return [...]string{"no split yet", "proposed split, not accepted", "split", "moving the split"}[s]
}

// slowEvery is how old what is costly to find may get while a recording grows.
const slowEvery = 500 * time.Millisecond

// take makes a snapshot of w.
func take(w bench.Work, k wish, now time.Time) *snapshot {
	s := w.Session()
	n := &snapshot{at: now, generation: s.Generation(), state: w.State(), meta: s.Meta(), length: s.Length(), samples: s.Samples(), zoom: k.zoom}
	n.choose(s, k)
	growing := n.state.Mode == bench.Live && !n.state.Ended
	n.from, n.to = span(n.length, growing, k.columns, k.zoom, n.split.At)
	n.buckets = s.Timeline(n.from, n.to, k.columns)
	return n
}

// choose fills in the split and what follows from it, anew or from the
// snapshot before.
func (n *snapshot) choose(s *session.Session, k wish) {
	if old := k.old; old != nil && !k.fresh && (old.generation == n.generation || n.at.Sub(old.at) < slowEvery) {
		at := n.at
		if old.generation != n.generation {
			at = old.at // so that it is not put off for ever
		}
		fast := *n
		*n = *old
		n.at, n.generation = at, old.generation
		n.state, n.meta, n.length, n.samples, n.zoom = fast.state, fast.meta, fast.length, fast.samples, fast.zoom
		return
	}
	n.proposal, n.proposed = s.Propose(n.length)
	n.opinions = s.Opinions(n.length)
	sp, has := s.Split()
	n.places, n.waits = s.Places(), ""
	switch {
	case k.moved != nil:
		n.split, n.standing = *k.moved, moving
	case has:
		n.split, n.standing = sp, decided
	case sp.Waits:
		n.split, n.standing, n.waits = session.Split{At: n.length, Rule: sp.Rule, How: sp.How}, noSplit, sp.How
	case n.proposed:
		n.split, n.standing = n.proposal, suggested
	default:
		n.split, n.standing = session.Split{At: n.length}, noSplit
	}
	n.cost, n.late, n.learning = session.Cost{}, nil, session.Learning{}
	if n.standing != noSplit {
		n.cost, n.late, n.learning = s.Cost(n.split), s.Late(n.split), s.Learning(n.split)
	}
	n.precision = s.Precision(n.split.At)
	n.blurred, _ = s.Blurred(n.split)
	n.policy = s.Policy(n.split)
	n.entries, n.warnings = n.policy.Entries(), n.policy.Warnings()
	n.rehearsal = session.Rehearse(s, n.split, n.policy)
	n.marks, n.trials, n.discoveries = s.Marks(), s.Trials(), s.Discoveries()
	n.gaps, n.edits = s.Completeness(), len(s.Edits())
	n.admins, n.recognised = s.Admins(), nil
	if n.standing != noSplit {
		n.recognised = s.Recognise(n.split)
	}
	n.reload = findReload(s, n.marks)
}

// span is the part of a recording that the timeline shows in some columns: all
// of it, or with zoom a part around at. While a recording grows it is shown on
// a scale with room to the right, so that a column, once drawn, stays: that is
// what a slow line feels.
func span(length time.Duration, growing bool, columns, zoom int, at time.Duration) (from, to time.Duration) {
	length = max(length, time.Second)
	w := max(length>>min(max(zoom, 0), 40), time.Second)
	if growing {
		w = time.Duration(columns) * niceStep(w/time.Duration(max(1, columns)))
	}
	if w >= length {
		return 0, w
	}
	from = min(max(at-w/2, 0), length-w)
	if step := w / time.Duration(max(1, columns)); growing && step > 0 {
		from -= from % step
	}
	return from, from + w
}

// niceStep is the next step at or above d on a scale whose steps lie at most a
// third apart.
func niceStep(d time.Duration) time.Duration {
	decade := time.Millisecond
	for 10*decade < d {
		decade *= 10
	}
	for _, f := range []time.Duration{10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100} {
		if step := decade * f / 10; step >= d {
			return step
		}
	}
	return d
}

// inPlace is the policy that the filter in place was made from; while nothing
// is applied, the one on screen.
func (n *snapshot) inPlace() policy.Policy {
	if n.state.InPlace != nil {
		return *n.state.InPlace
	}
	return n.policy
}

// known are all calls that the target was ever seen to use, or is allowed.
func (n *snapshot) known() policy.Set { return n.inPlace().Wide().Union(n.policy.Wide()) }

// removed returns the entries that boot may call and run may not.
func (n *snapshot) removed() []policy.Entry {
	var out []policy.Entry
	for _, e := range n.entries {
		if e.Boot && !e.Run {
			out = append(out, e)
		}
	}
	return out
}
