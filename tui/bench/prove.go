package bench

import (
	"context"
	"errors"
	"fmt"

	"speaker/apply"
	"speaker/policy"
	"speaker/session"
	"speaker/trace/target"
)

// Want is what the filters of a target are to answer. Without a session and a
// profile it is what speaker itself put in place.
type Want struct {
	Session *session.Session
	Profile *policy.Rules
}

// Proved is a proof, and against what it was held.
type Proved struct {
	apply.Proof
	Target  target.Target
	Against string // in words
	Notes   []string
}

// ErrUnknown says that it is not known what a target's filters should answer.
var ErrUnknown = errors.New("speaker put nothing in place there that it knows of")

// Prove reads the filters of every thread of a running target, each stopped for a
// moment, and compares them with what is wanted. It changes nothing.
func (b *Bench) Prove(ctx context.Context, ref string, want Want) (p Proved, err error) {
	if p.Target, err = b.resolve(ctx, ref); err != nil {
		return p, err
	}
	if p.Target.Pid == 0 {
		return p, fmt.Errorf("%s is not running", p.Target.Ref())
	}
	if want.Profile != nil {
		p.Against = "the profile"
		p.Proof, err = apply.ProveRules(ctx, p.Target.Pids, *want.Profile)
		p.scope()
		return p, err
	}
	st, err := stands(p.Target)
	if err != nil {
		return p, err
	}
	spec, err := p.spec(st, want.Session)
	if err != nil {
		return p, err
	}
	p.Proof, err = apply.Prove(ctx, apply.Without(st.late, p.Target.Pids), spec)
	if st.late != nil && len(st.late.Pids) > 0 {
		p.Text = append(p.Text, lateUncovered(st.late))
	}
	p.scope()
	return p, err
}

// spec is that of the filter that should stand: the start filter while a hold
// answers for it, else the run filter.
func (p *Proved) spec(st standing, s *session.Session) (policy.Spec, error) {
	p.Notes = st.notes
	what, spec := "run filter", st.narrow
	if st.held {
		what, spec = "start filter of the hold", st.start
	}
	if s == nil {
		if !st.known {
			return spec, ErrUnknown
		}
		p.Against = "the " + what + " that speaker put in place"
		return spec, nil
	}
	sp, ok := s.Split()
	if !ok {
		return spec, errors.New("the session has no split, so no policy")
	}
	p.Against = "the " + what + " of the session"
	if st.held {
		return s.Policy(sp).StartSpec(), nil
	}
	return s.Policy(sp).NarrowSpec(), nil
}

// scope says what a proof of a tree does not cover.
func (p *Proved) scope() { p.Text = append(p.Text, uncovered(p.Target)...) }

// uncovered says what a proof of a target does not cover: of a cgroup nothing.
func uncovered(t target.Target) []string {
	if t.Engine != "process" {
		return nil
	}
	return []string{fmt.Sprintf("It covers process %d and its descendants, but for those whose parent had ended before the watch began: nothing shows that they belong here.", t.Pid)}
}

// lateUncovered says whom the proof of a hold does not cover.
func lateUncovered(l *apply.LateStatus) string {
	return fmt.Sprintf("It does not cover who came in later (exec, probes), and what they started: processes %v.", l.Pids)
}

// standing is what speaker put on a target and that stands there.
type standing struct {
	known         bool
	held          bool // by a hold whose filter asks a keeper
	applied       Applied
	start, narrow policy.Spec
	late          *apply.LateStatus // of a hold
	notes         []string
}

// stands looks up what an earlier speaker put on a target.
func stands(t target.Target) (st standing, err error) {
	holds, err := apply.FindHolds()
	if err != nil {
		return st, err
	}
	for _, h := range holds {
		if !standsOn(h, t) {
			continue
		}
		st.known, st.held, st.applied = true, !h.Sealed(), appliedOf(h.Mode)
		if st.held && !h.Alive {
			st.applied = Bereft
			st.notes = append(st.notes, "the keeper was killed: removed calls fail with ENOSYS")
		}
		if hold, err := apply.Attach(h.Name); st.held && err == nil {
			if s, err := hold.Status(); err == nil {
				st.late = s.Late
			}
		}
		st.start, st.narrow, err = h.Specs()
		return st, err
	}
	s, err := subjectOf(t)
	if err != nil {
		return st, err
	}
	i, found, err := apply.FindInjection(s)
	if err != nil || !found {
		return st, err
	}
	st.known, st.applied, st.narrow = true, Injected, i.Spec
	if !i.Whole {
		st.notes = append(st.notes, "the injection was not brought to its end by the speaker that began it")
	}
	return st, nil
}

// subjectOf is how a record of an injection names a target.
func subjectOf(t target.Target) (apply.Subject, error) {
	if t.Engine == "process" {
		return apply.SubjectOf("", t.Pid)
	}
	return apply.SubjectOf(t.CgroupPath, 0)
}
