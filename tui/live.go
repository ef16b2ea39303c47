package tui

import (
	"fmt"
	"strconv"
	"strings"

	"speaker/session"
	"speaker/trace"
)

// livePane is the stream of samples, newest at the bottom.
type livePane struct {
	list
	frozen []session.Sample // while paused
	paused bool
	// loose is set once the cursor was moved off the newest row: the stream
	// then no longer carries it along.
	loose bool
}

func (p *livePane) pause(n *snapshot) {
	p.paused = !p.paused
	p.frozen = nil
	if p.paused {
		p.frozen = n.samples
	} else {
		p.loose = false
	}
}

func (p *livePane) samples(n *snapshot) []session.Sample {
	if p.paused {
		return p.frozen
	}
	return n.samples
}

func (p *livePane) do(a action) bool {
	if !p.list.do(a) {
		return false
	}
	p.loose = p.cursor < p.list.rows-1
	return true
}

func (p *livePane) rows(d *draw, n *snapshot) rows {
	s := p.samples(n)
	return rows{
		n:     len(s),
		text:  func(i, w int) string { return sampleText(d, s[i], w) },
		look:  func(i int) look { return sampleLook(n, s[i]) },
		match: func(i int) string { return sampleMatch(s[i]) },
	}
}

func (p *livePane) draw(d *draw, n *snapshot, to rect, focused bool) []string {
	all := p.rows(d, n)
	shown, _ := all.keep(p.filter)
	if !p.loose {
		p.cursor = shown.n - 1
	}
	state := "live"
	switch {
	case p.paused:
		state = "PAUSED (p goes on)"
	case p.loose:
		state = "standing (G follows)"
	case n.state.Mode == "file":
		state = "saved samples"
	case n.state.Ended:
		state = "ended"
	}
	l := n.state.Lost
	head := []string{
		d.dim.Render(short(fmt.Sprintf("%s %s  a sample for eyes; skipped by rate %s, dropped %s", d.filtered(&p.list, shown.n, all.n), state,
			count(l.SamplesSkipped), count(l.SamplesDropped)), to.w, d.dots)),
		d.title.Render(fit(" "+sampleHead(to.w-1), to.w)),
	}
	return d.body(head, shown, &p.list, to, focused)
}

func sampleHead(w int) string {
	switch {
	case w < 34:
		return fit("time", 9) + " call"
	case w < 60:
		return fit("time", 9) + " " + fit("pid", 7) + " call"
	}
	return fit("time", 9) + " " + fit("pid", 7) + " " + fit("command", 15) + " " + fit("call", 17) + " path or arguments"
}

func sampleText(d *draw, s session.Sample, w int) string {
	at := fitRight(offset(s.At), 9)
	call := s.Call.String()
	switch {
	case w < 34:
		return at + " " + call
	case w < 60:
		return at + " " + fitRight(strconv.Itoa(int(s.Pid)), 7) + " " + call
	}
	rest := w - 52
	what := sampleArgs(d, s)
	if s.Group != trace.Main {
		what = "(" + groupName(s.Group) + ") " + what
	}
	return at + " " + fitRight(strconv.Itoa(int(s.Pid)), 7) + " " + fit(short(d.clean(s.Comm), 15, ""), 15) + " " +
		fit(short(call, 17, ""), 17) + " " + short(what, rest, d.dots)
}

func groupName(g trace.Group) string {
	switch g {
	case trace.Init:
		return "runtime"
	case trace.Exec:
		return "entered"
	}
	return "main"
}

// sampleArgs writes the path, or the first arguments as the registers hold them.
func sampleArgs(d *draw, s session.Sample) string {
	if s.Path != "" {
		return `"` + d.clean(s.Path) + `"`
	}
	var out []string
	for _, a := range s.Args[:4] {
		out = append(out, argument(a))
	}
	return strings.Join(out, " ")
}

// argument writes a register: small numbers as numbers, the rest as hex.
func argument(a uint64) string {
	switch v := int64(a); {
	case int64(int32(a)) < 0 && a>>32 == 0 && int32(a) > -4096:
		return strconv.Itoa(int(int32(a)))
	case v > -4096 && v < 1<<16:
		return strconv.FormatInt(v, 10)
	}
	return "0x" + strconv.FormatUint(a, 16)
}

// sampleLook tells calls apart that run does not allow.
func sampleLook(n *snapshot, s session.Sample) look {
	if s.Group != trace.Main {
		return dimLine
	}
	if n.standing != noSplit && !n.policy.Narrow().Has(s.Call) {
		return warn
	}
	return plainLine
}

func sampleMatch(s session.Sample) string {
	return fmt.Sprintf("%d %s %s %s", s.Pid, s.Comm, s.Call, s.Path)
}
