package tui

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"speaker/policy"
	"speaker/session"
)

// order is what the sets are sorted by.
type order int

const (
	byName order = iota
	byCount
	byFirst
	byLast
	byState
	byRisk
	orders
)

func (o order) String() string {
	return [orders]string{"name", "count", "first use", "last use", "removed first", "risk"}[o]
}

// setsPane is the table of calls: what boot and run may call, and why.
type setsPane struct {
	list
	order   order
	reverse bool
	removed bool // show only what the split removes
}

// setRow is one call with its uses put together.
type setRow struct {
	policy.Entry
	count       uint64
	first, last time.Duration
	seen        bool
}

func setRowOf(e policy.Entry) setRow {
	r := setRow{Entry: e, first: math.MaxInt64, last: math.MinInt64}
	for ph, u := range e.Uses {
		if ph == policy.Init {
			continue
		}
		r.count += u.Count
		if u.Count > 0 {
			r.seen = true
			r.first, r.last = min(r.first, u.First), max(r.last, u.Last)
		}
	}
	return r
}

// state ranks for sorting: removed, then edited, then the rest.
func (r setRow) state() int {
	switch {
	case r.Boot && !r.Run:
		return 0
	case r.Edited:
		return 1
	}
	return 2
}

// table returns the rows as they are shown, without the filter.
func (p *setsPane) table(n *snapshot) []setRow {
	var out []setRow
	for _, e := range n.entries {
		r := setRowOf(e)
		if runtimeOnly := e.Seen == policy.PhasesOf(policy.Init) && !e.Boot && !e.Edited; runtimeOnly {
			continue // the container runtime's own: no filter is there yet
		}
		if !p.removed || r.state() == 0 {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b setRow) int {
		c := 0
		switch p.order {
		case byCount:
			c = cmp.Compare(b.count, a.count)
		case byFirst:
			c = cmp.Compare(a.first, b.first)
		case byLast:
			c = cmp.Compare(b.last, a.last)
		case byState:
			c = cmp.Compare(a.state(), b.state())
		case byRisk:
			c = cmp.Compare(riskOf(b.Call), riskOf(a.Call))
		}
		return c
	})
	if p.reverse {
		slices.Reverse(out)
	}
	return out
}

// chosen returns the row under the cursor.
func (p *setsPane) chosen(n *snapshot) (setRow, bool) {
	t := p.table(n)
	shown, index := p.rowsOf(nil, n, t).keep(p.filter)
	if p.cursor < 0 || p.cursor >= shown.n {
		return setRow{}, false
	}
	if index == nil {
		return t[p.cursor], true
	}
	return t[index[p.cursor]], true
}

// follow keeps the cursor on its call while the table changes around it: what a
// key does is meant for the call that was seen there.
func (p *setsPane) follow(old, fresh *snapshot) {
	if old == nil {
		return
	}
	on, ok := p.chosen(old)
	if !ok {
		return
	}
	t := p.table(fresh)
	shown, index := p.rowsOf(nil, fresh, t).keep(p.filter)
	for i := range shown.n {
		at := i
		if index != nil {
			at = index[i]
		}
		if t[at].Call == on.Call {
			p.top += i - p.cursor
			p.cursor = i
			return
		}
	}
}

func (p *setsPane) rows(d *draw, n *snapshot) rows { return p.rowsOf(d, n, p.table(n)) }

func (p *setsPane) rowsOf(d *draw, n *snapshot, t []setRow) rows {
	return rows{
		n:    len(t),
		text: func(i, w int) string { return setText(d, t[i], w, n.standing != noSplit) },
		look: func(i int) look {
			switch {
			case n.standing != noSplit && t[i].state() == 0:
				return warn
			case !t[i].Boot && !t[i].Run:
				return dimLine
			}
			return plainLine
		},
		match: func(i int) string {
			return t[i].Call.String() + " " + why(t[i].Entry) + " risk " + riskOf(t[i].Call).String()
		},
	}
}

func (p *setsPane) draw(d *draw, n *snapshot, to rect, focused bool) []string {
	all := p.rows(d, n)
	shown, _ := all.keep(p.filter)
	wide, narrow := n.policy.Wide(), n.policy.Narrow()
	sum := fmt.Sprintf(" boot %d  run %d  removed %d  edits %d  by %s", wide.Len(), narrow.Len(), wide.Minus(narrow).Len(), n.edits, p.order)
	if n.standing == noSplit {
		sum = fmt.Sprintf(" %d calls, all boot until there is a split  edits %d  by %s", wide.Len(), n.edits, p.order)
	}
	if p.reverse {
		sum += " (reversed)"
	}
	if p.removed {
		sum += "  ONLY REMOVED (r)"
	}
	if text := answersNote(n); text != "" {
		sum += "  denied: " + text
	}
	sum = d.filtered(&p.list, shown.n, all.n) + sum + phaseNotes(n)
	sum += unseen(n, to.w)
	head := []string{d.dim.Render(short(sum, to.w, d.dots)), d.title.Render(fit(" "+setHead(to.w-1), to.w))}
	return d.body(head, shown, &p.list, to, focused)
}

// phaseNotes say which groups of calls go into the filters, and of reloads how
// many calls that is about.
func phaseNotes(n *snapshot) string {
	out := "  stop " + groupWord(n, policy.Stop) + "  exec " + groupWord(n, policy.Exec)
	if len(n.admins) > 0 || !n.policy.Included(policy.Admin) {
		out += fmt.Sprintf("  admin %s %d", groupWord(n, policy.Admin), len(n.policy.Alone(policy.Admin)))
	}
	return out
}

// setCols are the columns that a table of w cells has room for.
func setCols(w int) (call int, hasCount, hasFirst, hasLast, hasRisk bool, rest int) {
	call = 20
	used := call + 10
	if w < 34 {
		return max(4, w-10), false, false, false, false, 0
	}
	take := func(n int) bool {
		if used+n > w {
			return false
		}
		used += n
		return true
	}
	hasCount = take(6)
	hasFirst = take(10)
	hasLast = hasFirst && take(10)
	hasRisk = take(5)
	if rest = w - used - 1; rest < 5 {
		rest = 0
	}
	return call, hasCount, hasFirst, hasLast, hasRisk, rest
}

func setHead(w int) string {
	call, c, f, l, risk, rest := setCols(w)
	s := fit("call", call) + " boot run  "
	if c {
		s += " count"
	}
	if f {
		s += fitRight("first", 10)
	}
	if l {
		s += fitRight("last", 10)
	}
	if risk {
		s += " risk"
	}
	if rest > 0 {
		s += " why"
	}
	return s
}

// setText writes a row. Before there is a split nothing can be said of run, but
// for what is allowed there by hand or as essential.
func setText(d *draw, r setRow, w int, split bool) string {
	call, c, f, l, risk, rest := setCols(w)
	boot, run := verdictOf(r.Entry, policy.Boot, r.Boot), verdictOf(r.Entry, policy.Run, r.Run)
	if !split && !r.Run && !r.Edited {
		run = fit("?", 5)
	}
	s := fit(short(r.Call.String(), call, d.dots), call) + " " + boot + run
	at := func(t time.Duration) string {
		if !r.seen {
			return fitRight("-", 10)
		}
		return fitRight(offset(t), 10)
	}
	if c {
		s += fitRight(count(r.count), 6)
	}
	if f {
		s += at(r.first)
	}
	if l {
		s += at(r.last)
	}
	if risk {
		s += " " + fit(riskWord(r.Call), 4)
	}
	if rest > 0 {
		s += " " + short(d.clean(why(r.Entry)), rest, d.dots)
	}
	return s
}

// verdictOf writes whether a phase may make the call of an entry: "if" under a
// condition.
func verdictOf(e policy.Entry, ph policy.Phase, may bool) string {
	for _, c := range e.Conditions {
		if may && (c.Phase == ph || c.Phase == policy.Boot) {
			return fit("if", 5)
		}
	}
	return verdictWord(may, edited(e, ph))
}

// verdictWord writes whether a phase may call, with a star for a hand edit.
func verdictWord(may, byHand bool) string {
	w := "no"
	if may {
		w = "yes"
	}
	if byHand {
		w += "*"
	}
	return fit(w, 5)
}

// edited reports whether an edit is about the call in a phase.
func edited(e policy.Entry, ph policy.Phase) bool {
	for _, r := range e.Why {
		if r.Origin == policy.OriginHand && r.Phase == ph {
			return true
		}
	}
	return false
}

// why words the provenance of an entry in short.
func why(e policy.Entry) string {
	var out []string
	hand := ""
	for _, r := range e.Why {
		switch r.Origin {
		case policy.OriginHand:
			hand = r.Text
		case policy.OriginEssential:
			out = append(out, "essential: "+r.Text)
		}
	}
	if hand != "" {
		out = append([]string{hand}, out...)
	}
	if text := conditionsWord(e); text != "" {
		out = append([]string{text}, out...)
	}
	if seen := e.SeenIn(); seen != "" {
		out = append([]string{seen}, out...)
	}
	return strings.Join(out, "; ")
}

// explain is all that is known of one call.
func explain(n *snapshot, e policy.Entry, first session.Sample, sampled bool) []line {
	out := []line{
		say(strong, "%s: boot %s, run %s", e.Call, yesNo(e.Boot), yesNo(e.Run)),
	}
	for _, ph := range policy.Phases() {
		if u, ok := e.Uses[ph]; ok {
			text := fmt.Sprintf("in %s: %s", ph, plural(int(u.Count), "time"))
			if u.Count > 0 {
				text += fmt.Sprintf(", first at %s, last at %s", offset(u.First), offset(u.Last))
			}
			if u.OfRuns > 0 {
				text += "; in " + u.Coverage()
			}
			if u.Earlier > 0 {
				text += fmt.Sprintf("; %s in another recording", plural(int(u.Earlier), "time"))
			}
			if u.InFlight {
				text += "; a thread slept in it there"
			}
			out = append(out, say(plainLine, "%s", text))
		}
	}
	out = append(out, conditionLines(e)...)
	for _, ph := range []policy.Phase{policy.Boot, policy.Run} {
		if a, ok := e.Answers[ph]; ok {
			out = append(out, say(strong, "where %s does not allow it, it %s", ph, a.Effect()))
		}
	}
	for _, r := range e.Why {
		from := string(r.Origin)
		if r.Origin != policy.OriginEssential {
			from += " in " + r.Phase.String()
		}
		out = append(out, say(plainLine, "because (%s): %s", from, r.Text))
	}
	if sampled {
		text := fmt.Sprintf("first sample: %s pid %d (%s)", offset(first.At), first.Pid, first.Comm)
		if first.Path != "" {
			text += fmt.Sprintf(" %q", first.Path)
		}
		out = append(out, say(dimLine, "%s", text))
	}
	if !e.Run {
		out = append(out, say(warn, "denied in run it answers %s", answers(n.policy, []policy.Call{e.Call})))
	}
	return out
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
