package session

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"speaker/policy"
)

// Input is a session that is to be merged, and what to call it.
type Input struct {
	Name    string
	Session *Session
}

// ErrNoSplit is returned where a split is needed and a session has none, nor a
// proposal of one.
var ErrNoSplit = errors.New("no split")

// SplitOrProposal returns the current split, or the proposal when nobody chose
// one; proposed says which. Without either the error is ErrNoSplit and says why.
func (s *Session) SplitOrProposal() (sp Split, proposed bool, err error) {
	sp, ok := s.Split()
	if ok {
		return sp, false, nil
	}
	if sp.Waits {
		return sp, false, fmt.Errorf("%w: it is pinned to %s, which did not happen", ErrNoSplit, sp.Rule)
	}
	if sp, ok = s.Propose(s.Length()); !ok {
		return sp, false, fmt.Errorf("%w, and none can be proposed: %s", ErrNoSplit, sp.How)
	}
	return sp, true, nil
}

// Merge makes one session of many: of runs of one program, of its replicas, from
// whatever hosts. Each run is cut at its own split, and the merged session keeps,
// run by run, what it saw in each phase; its time 0 is the split of every run.
// Edits are taken over in the order in which they were made.
//
// The order of the inputs does not matter, a run that comes twice counts once,
// and inputs that were merged before add their runs. What the user should know is
// returned as sentences. The inputs are not changed.
func Merge(tool string, inputs ...Input) (*Session, []string, error) {
	var m merger
	for _, in := range inputs {
		if err := m.take(in); err != nil {
			return nil, nil, fmt.Errorf("merge %s: %w", in.Name, err)
		}
	}
	if len(m.runs) == 0 {
		return nil, nil, errors.New("merge: nothing was given")
	}
	if len(m.runs) > maxRuns {
		return nil, nil, fmt.Errorf("merge: %d runs, and %d are the most that one session keeps", len(m.runs), maxRuns)
	}
	slices.SortFunc(m.runs, func(a, b Run) int {
		return cmp.Or(a.Meta.Start.Compare(b.Meta.Start), cmp.Compare(a.ID, b.ID))
	})
	s := New(mergedMeta(tool, m.runs))
	s.change(func() {
		for _, r := range m.runs {
			s.merged.add(r)
		}
		for _, e := range sortedEdits(m.edits) {
			s.step(editAdd, decision{edit: e})
		}
		if len(m.learned) > 0 {
			s.learn(sortedLearned(m.learned))
		}
	})
	s.AddSplit(mergedSplit(m.runs))
	return s, slices.Concat(m.notes, m.differences(), deniedByEdits(s), leftOutByEdits(s), unknownValues(s)), nil
}

// merger collects what goes into a merged session.
type merger struct {
	runs    []Run
	edits   []policy.Edit
	stand   map[phaseCall]map[policy.EditOp]bool // the last edit of each input
	learned map[phaseCall]learned
	notes   []string
}

func (m *merger) take(in Input) error {
	s := in.Session
	runs := s.Runs()
	if own, err := s.ownRun(in.Name); err != nil {
		return err
	} else if own != nil {
		runs = append(runs, *own)
		if n := len(s.Recognise(own.Split)); n > 0 {
			m.notes = append(m.notes, fmt.Sprintf("%s: %s that nobody decided on, and what only it calls counts as run", in.Name, count(n, "recognised reload")))
		}
	}
	if len(runs) == 0 {
		return errors.New("nothing was recorded in it")
	}
	for _, r := range runs {
		m.add(r, in.Name)
	}
	edits := s.Edits()
	m.edits = append(m.edits, edits...)
	m.lastEdits(edits)
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, l := range s.learned {
		if m.learned == nil {
			m.learned = map[phaseCall]learned{}
		}
		k := phaseCall{l.phase, l.call}
		old := m.learned[k]
		l.count, l.inFlight = max(l.count, old.count), l.inFlight || old.inFlight
		m.learned[k] = l
	}
	return nil
}

// add takes in a run of the input of that name.
func (m *merger) add(r Run, input string) {
	i := slices.IndexFunc(m.runs, func(x Run) bool { return x.ID == r.ID })
	if i < 0 {
		m.runs = append(m.runs, r)
		if r.Proposed && r.Name == clip(input, maxWord) {
			m.notes = append(m.notes, fmt.Sprintf("%s has no split: it is cut where one is proposed, at %s (%s)", r.Name, seconds(r.Split.At), r.Split.How))
		}
		return
	}
	old := m.runs[i]
	m.runs[i] = old.joined(r)
	text := fmt.Sprintf("%s: the recording of %s comes more than once, and counts once", input, r.Label())
	if old.Split.At != r.Split.At || old.Split.Stop != r.Split.Stop {
		text += fmt.Sprintf("; it is cut at %s and at %s: what either saw in a phase is taken", seconds(old.Split.At), seconds(r.Split.At))
	}
	if !slices.EqualFunc(old.Seen[policy.Admin], r.Seen[policy.Admin], func(a, b policy.Use) bool { return a.Call == b.Call }) {
		text += "; its reloads are not marked alike: what either has in run stays there"
	}
	m.notes = append(m.notes, text)
}

// ownRun is what s itself recorded, as a run; nil when that is nothing.
func (s *Session) ownRun(name string) (*Run, error) {
	if len(s.Runs()) > 0 && s.epochs() == 0 {
		return nil, nil
	}
	if s.epochs() == 0 {
		return nil, errors.New("nothing was recorded in it")
	}
	sp, proposed, err := s.SplitOrProposal()
	if err != nil {
		return nil, err
	}
	notes := s.Completeness()
	s.mu.RLock()
	defer s.mu.RUnlock()
	r := Run{ID: s.identity(), Name: name, Meta: s.meta, Length: s.table.length(), Split: sp, Proposed: proposed,
		Notes: notes, Seen: s.recorded(sp)}
	for _, uses := range r.Seen {
		for i := range uses {
			if uses[i].Count > 0 {
				uses[i].First, uses[i].Last = uses[i].First-sp.At, uses[i].Last-sp.At
			}
		}
	}
	r.Values, r.ValuesWhole = s.ownValues(sp)
	r = r.clipped()
	return &r, nil
}

func (s *Session) epochs() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.table.starts)
}

// identity tells the recording from others: by where and when it began, to the
// nanosecond, and where that is not known by what it holds. The session is locked.
func (s *Session) identity() string {
	h := sha256.New()
	t, m := s.meta.Target, s.meta
	fmt.Fprintf(h, "%q %q %q %q %q %d %d\n", t.Engine, t.ID, t.Name, m.Host, m.Kernel, m.Start.UnixNano(), m.Base)
	if m.Base == 0 {
		for _, c := range slices.SortedFunc(slices.Values(s.table.order), compareColumns) {
			fmt.Fprintln(h, c.group, c.call.ABI, c.call.Nr, c.total, c.first, c.last)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

func compareColumns(a, b *column) int {
	return cmp.Or(cmp.Compare(a.group, b.group), compareCalls(a.call, b.call))
}

// Label names a run for people: what ran, where and when. It is hostile bytes.
func (r Run) Label() string {
	t := r.Meta.Target
	name := cmp.Or(t.Name, t.ID, t.Engine, r.Name)
	if r.Meta.Host != "" {
		name += " on " + r.Meta.Host
	}
	if !r.Meta.Start.IsZero() {
		name += ", " + r.Meta.Start.UTC().Format(time.DateTime) + " UTC"
	}
	return name
}

// mergedMeta is what the runs have in common.
func mergedMeta(tool string, runs []Run) Meta {
	all := func(what func(Run) string) string {
		var out []string
		for _, r := range runs {
			if x := what(r); x != "" {
				out = append(out, x)
			}
		}
		slices.Sort(out)
		return strings.Join(slices.Compact(out), ", ")
	}
	return Meta{
		Target: Target{
			Engine:  "merged",
			Name:    all(func(r Run) string { return r.Meta.Target.Name }),
			Image:   all(func(r Run) string { return r.Meta.Target.Image }),
			Command: all(func(r Run) string { return r.Meta.Target.Command }),
		},
		Kernel: all(func(r Run) string { return r.Meta.Kernel }), Host: all(func(r Run) string { return r.Meta.Host }),
		EngineVersion: all(func(r Run) string { return r.Meta.EngineVersion }),
		Tool:          tool, Start: runs[0].Meta.Start,
		StartSeen: !slices.ContainsFunc(runs, func(r Run) bool { return !r.Meta.StartSeen }),
	}
}

// mergedSplit is the split of a merged session: every run's own.
func mergedSplit(runs []Run) Split {
	sp := Split{How: fmt.Sprintf("each of %s at its own split; times count from it", count(len(runs), "recording")), By: "merge"}
	for _, r := range runs {
		by := r.Split.By
		if r.Proposed {
			by = "proposal, which nobody confirmed"
		}
		sp.Evidence = append(sp.Evidence, Evidence{For: !r.Proposed,
			Text: fmt.Sprintf("%s: at %s of %s, %s (%s)", r.Label(), seconds(r.Split.At), seconds(r.Length), r.Split.How, by)})
	}
	return sp
}

// differences says where the runs differ in what they are runs of.
func (m *merger) differences() []string {
	var out []string
	differ := func(what string, of func(Run) string, so string) {
		var seen []string
		for _, r := range m.runs {
			if x := of(r); x != "" && !slices.Contains(seen, x) {
				seen = append(seen, x)
			}
		}
		slices.Sort(seen)
		if n := len(seen); n > 1 {
			out = append(out, fmt.Sprintf("the runs are of %d different %s (%s): %s", n, what, listed(seen), so))
		}
	}
	differ("programs", func(r Run) string { t := r.Meta.Target; return cmp.Or(t.Image, t.Command, t.Name, t.ID) },
		"the sets allow each what any of them needs")
	differ("kernels", func(r Run) string { return r.Meta.Kernel },
		"a call that one kernel does not have was not seen there")
	differ("machines", Run.machine, "their calls have other numbers, and no filter fits both")
	for _, k := range sortedKeys(m.stand) {
		if len(m.stand[k]) > 1 {
			out = append(out, fmt.Sprintf("the edits differ: %v in %s is allowed by hand in one and denied in another; what was decided last holds", k.call, k.phase))
		}
	}
	return out
}

// machine is the ABI of the run's 64-bit calls.
func (r Run) machine() string {
	for _, abi := range []policy.ABI{policy.X86_64, policy.ARM64} {
		for _, uses := range r.Seen {
			if slices.ContainsFunc(uses, func(u policy.Use) bool { return u.Call.ABI == abi }) {
				return abi.String()
			}
		}
	}
	return ""
}

// deniedByEdits says which calls that some run saw the edits deny.
func deniedByEdits(s *Session) []string {
	sp, _ := s.Split()
	var names []string
	for _, d := range Rehearse(s, sp, s.Policy(sp)).Denied {
		e, _ := s.Policy(sp).Entry(d.Call)
		if e.Edited && !slices.Contains(names, d.Call.String()) {
			names = append(names, d.Call.String())
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("edits that were taken over deny what was seen: %s", listed(names))}
}

// leftOutByEdits says what run lacks because edits leave a group of calls out, which
// one input may have done and another not.
func leftOutByEdits(s *Session) []string {
	sp, _ := s.Split()
	p := s.Policy(sp)
	var out []string
	for _, ph := range []policy.Phase{policy.Stop, policy.Admin} {
		if alone := p.Alone(ph); !p.Included(ph) && len(alone) > 0 {
			var names []string
			for _, c := range alone {
				names = append(names, c.String())
			}
			out = append(out, fmt.Sprintf("edits that were taken over leave %v out: run denies what only it calls, %s", ph, listed(names)))
		}
	}
	return out
}

// unknownValues says of which runs the argument values are not known, where conditions
// could be made of the others'.
func unknownValues(s *Session) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if note := s.merged.valuesNote(); note != "" && len(s.merged.values) > 0 {
		return []string{"arguments of calls: " + note + ": conditions that are made of the others' may refuse what those used"}
	}
	return nil
}

// lastEdits notes the edits of one input that stand, call by call.
func (m *merger) lastEdits(edits []policy.Edit) {
	last := map[phaseCall]policy.EditOp{}
	for _, e := range edits {
		if e.Op == policy.OpAllow || e.Op == policy.OpDeny {
			last[phaseCall{e.Phase, e.Call}] = e.Op
		}
	}
	for k, op := range last {
		if m.stand == nil {
			m.stand = map[phaseCall]map[policy.EditOp]bool{}
		}
		if m.stand[k] == nil {
			m.stand[k] = map[policy.EditOp]bool{}
		}
		m.stand[k][op] = true
	}
}

// sortedEdits returns the edits in the order in which they were made, the same
// one once.
func sortedEdits(edits []policy.Edit) []policy.Edit {
	compare := func(a, b policy.Edit) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Phase, b.Phase), a.Call.Compare(b.Call),
			cmp.Compare(a.Op, b.Op), cmp.Compare(a.Note, b.Note), cmp.Compare(a.From, b.From),
			cmp.Compare(policy.ConditionsText(a.When), policy.ConditionsText(b.When)), cmp.Compare(a.Action, b.Action))
	}
	slices.SortFunc(edits, compare)
	return slices.CompactFunc(edits, func(a, b policy.Edit) bool { return compare(a, b) == 0 })
}

func sortedLearned(m map[phaseCall]learned) []learned {
	var out []learned
	for _, k := range sortedKeys(m) {
		out = append(out, m[k])
	}
	return out
}

// listed names the first of many.
func listed(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
