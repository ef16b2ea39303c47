package tui

import (
	"fmt"
	"path/filepath"
	"strings"

	"speaker/policy"
	"speaker/tui/bench"
)

// field is one fact of the status bar. What does not fit is shown short, and
// then left out, the highest rank first; rank 0 always stays.
type field struct {
	long, short string
	rank        int
	bad         bool
}

// statusFields are the facts that are always on screen, in two rows.
func (d *draw) statusFields(n *snapshot, readOnly bool) (first, second []field) {
	s := n.state
	name := d.clean(s.Item.Name)
	if name == "" {
		name = d.clean(s.Item.Ref)
	}
	engine := d.clean(s.Item.Engine)
	mode := field{long: name + " (" + engine + ")", short: name}
	if s.Mode == bench.File {
		mode.long = name + " (saved session)"
	}
	phase := field{long: "phase " + s.Phase.String(), short: s.Phase.String(), rank: 1}
	if s.Ended {
		phase.long, phase.short = "ended", "ended"
	} else if n.standing == noSplit && s.Phase == policy.Boot {
		phase.long, phase.short = "phase boot (no split)", "boot?"
	}
	first = []field{mode, phase,
		{long: elapsed(s.Elapsed), short: elapsed(s.Elapsed), rank: 4},
		{long: count(uint64(max(0, s.Rate))) + " calls/s", short: count(uint64(max(0, s.Rate))) + "/s", rank: 5},
		d.drops(n),
	}
	if k := len(n.late); k > 0 {
		first = append(first, field{long: plural(k, "call") + " new in run", short: fmt.Sprintf("new %d", k), rank: 4})
	}
	second = []field{d.applied(n), d.recording(s)}
	if readOnly {
		second = append(second, field{long: "read only", short: "ro", rank: 6})
	}
	if f, ok := answersField(n); ok {
		second = append(second, f)
	}
	if s.DryRun {
		n := wouldFail(s)
		second = append(second, field{long: "dry run: " + plural(n, "call") + " would fail", short: "dry " + fmt.Sprint(n), rank: 6})
	}
	if s.Load != "" {
		second = append(second, field{long: d.clean(s.Load), rank: 8})
	}
	return first, second
}

// drops tells what the tracer lost: calls (bad), and samples (for eyes only).
func (d *draw) drops(n *snapshot) field {
	l := n.state.Lost
	f := field{long: "drops 0", short: "d0", rank: 3}
	switch {
	case l.Table > 0:
		f.long = fmt.Sprintf("%s CALLS LOST, samples dropped %s", count(l.Table), count(l.SamplesDropped))
		f.short, f.bad = "LOST "+count(l.Table), true
	case l.SamplesDropped > 0 || l.EventsDropped > 0:
		f.long = fmt.Sprintf("drops %s samples", count(l.SamplesDropped))
		if l.EventsDropped > 0 {
			f.long += fmt.Sprintf(", %s EVENTS", count(l.EventsDropped))
			f.bad = true
		}
		f.short = "d" + count(l.SamplesDropped+l.EventsDropped)
	}
	return f
}

// applied tells what stands on the target.
func (d *draw) applied(n *snapshot) field {
	s := n.state
	short := map[bench.Applied]string{bench.Nothing: "none", bench.HoldBoot: "hold:boot", bench.HoldDeny: "hold:run",
		bench.HoldOpen: "hold:open", bench.HoldAsk: "hold:ask", bench.Sealed: "sealed", bench.Injected: "injected", bench.Bereft: "NO KEEPER"}[s.Applied]
	f := field{long: "applied: " + string(s.Applied), short: short, rank: 2}
	if short == "" {
		f.short = string(s.Applied)
	}
	if q := open(n); len(q) > 0 {
		f.long, f.short = f.long+fmt.Sprintf(", %s (Q)", plural(len(q), "question")), fmt.Sprintf("%d asked: Q", len(q))
		return f
	}
	if left := n.keepSeconds(); left > 0 {
		f.long = fmt.Sprintf("applied: hold: run, undone in %d s unless kept (K)", left)
		f.short = fmt.Sprintf("hold:run %ds K?", left)
	}
	if s.AutoDeny && s.Applied == bench.HoldBoot {
		f.long = "applied: hold: boot (crosses by itself)"
		f.short = "hold:auto"
	}
	return f
}

// recording tells where the recording goes.
func (d *draw) recording(s bench.State) field {
	switch {
	case s.RecordErr != "":
		return field{long: "NOT RECORDED: " + d.clean(s.RecordErr), short: "REC ERR", rank: 2, bad: true}
	case s.Mode == bench.File:
		return field{long: "file " + d.clean(filepath.Base(s.Recording)), short: "file", rank: 6}
	case s.Recording == "":
		return field{long: "rec: in memory only", short: "mem", rank: 3}
	}
	return field{long: "rec " + d.clean(filepath.Base(s.Recording)), short: "rec", rank: 3}
}

// row sets fields side by side in w cells. On a row that is too narrow the
// fields of the highest rank turn short first, and then go.
func (d *draw) row(fields []field, w int) string {
	texts := make([]string, len(fields))
	total := func() (sum int) {
		for _, t := range texts {
			if t != "" {
				sum += width(t) + 2
			}
		}
		return sum
	}
	highest := func(pick func(i int) bool) int {
		best := -1
		for i, f := range fields {
			if pick(i) && (best < 0 || f.rank >= fields[best].rank) {
				best = i
			}
		}
		return best
	}
	for i, f := range fields {
		texts[i] = f.long
	}
	for total() > w {
		i := highest(func(i int) bool { return texts[i] != fields[i].short })
		if i < 0 {
			break
		}
		texts[i] = fields[i].short
	}
	for total() > w {
		i := highest(func(i int) bool { return texts[i] != "" && fields[i].rank > 0 })
		if i < 0 {
			break
		}
		texts[i] = ""
	}
	return d.statusLine(fields, texts, w)
}

func (d *draw) statusLine(fields []field, texts []string, w int) string {
	var b strings.Builder
	left := w
	for i, t := range texts {
		if t == "" || left <= 0 {
			continue
		}
		if left > 1 {
			t = " " + t
		}
		t = short(t, left, d.dots)
		left -= width(t)
		if left > 0 {
			t += " "
			left--
		}
		style := d.status
		if fields[i].bad {
			style = d.statusBad
		}
		b.WriteString(style.Render(t))
	}
	return b.String() + d.status.Render(strings.Repeat(" ", max(0, left)))
}

// statusBar draws the status bar of the workbench.
func (d *draw) statusBar(n *snapshot, readOnly bool, r rect) []string {
	first, second := d.statusFields(n, readOnly)
	if r.h < 2 {
		return []string{d.row(append(first, second...), r.w)}
	}
	return []string{d.row(first, r.w), d.row(second, r.w)}
}
