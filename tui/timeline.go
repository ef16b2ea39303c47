package tui

import (
	"sort"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"speaker/session"
)

// marker is what the keys of the timeline move.
type marker int

const (
	splitMarker marker = iota
	stopMarker
)

func (m marker) String() string { return [...]string{"split", "stop mark"}[m] }

// gutter is the width of the words left of the timeline, on screens that have
// room for them.
func gutter(w int) int {
	if w < 60 {
		return 0
	}
	return 6
}

// columns is the number of buckets that a timeline of w cells shows.
func columns(w int) int { return max(1, w-gutter(w)) }

// strip is one row of the timeline: a character and a look for each column.
type strip struct {
	text  []string
	style []*lipgloss.Style // nil: as it is
}

func newStrip(n int) strip {
	s := strip{make([]string, n), make([]*lipgloss.Style, n)}
	for i := range s.text {
		s.text[i] = " "
	}
	return s
}

func (s strip) set(i int, text string, style *lipgloss.Style) {
	if i >= 0 && i < len(s.text) {
		s.text[i], s.style[i] = text, style
	}
}

// words writes text from column i on, moved left where it would not fit.
func (s strip) words(i int, text string, style *lipgloss.Style) {
	i = max(0, min(i, len(s.text)-width(text)))
	for _, r := range text {
		s.set(i, string(r), style)
		i += width(string(r))
	}
}

// String writes the row, neighbours of one look together.
func (s strip) String() string {
	var b strings.Builder
	for i := 0; i < len(s.text); {
		j := i
		for j < len(s.text) && s.style[j] == s.style[i] {
			j++
		}
		run := strings.Join(s.text[i:j], "")
		if s.style[i] != nil {
			run = s.style[i].Render(run)
		}
		b.WriteString(run)
		i = j
	}
	return b.String()
}

// column returns the column of an instant, or -1 when it is not shown. An
// instant belongs to the bucket with Start < t <= End.
func (n *snapshot) column(t time.Duration) int {
	if len(n.buckets) == 0 || t < n.from || t > n.to {
		return -1
	}
	i := sort.Search(len(n.buckets), func(i int) bool { return n.buckets[i].End >= t })
	return min(i, len(n.buckets)-1)
}

// timeline draws the recording in r: calls and new names by bucket, the marks,
// and the split, stop and proposal markers.
func (d *draw) timeline(n *snapshot, r rect, chosen marker, focused bool) []string {
	if r.h <= 0 {
		return nil
	}
	rows, labels := d.timelineRows(n, r.h)
	for _, s := range rows {
		d.markers(n, s)
	}
	if r.h >= 3 {
		axis := newStrip(len(n.buckets))
		d.axis(n, axis, chosen, focused)
		rows, labels = append(rows, axis), append(labels, "")
		if n.zoom > 0 {
			labels[len(labels)-1] = "zoom"
		}
	}
	out := make([]string, r.h)
	for i := range out {
		label := ""
		if g := gutter(r.w); g > 0 {
			style := d.dim
			if focused {
				style = d.strong
			}
			label = style.Render(fit(labels[i], g))
		}
		out[i] = fit(label+rows[i].String(), r.w)
	}
	return out
}

// timelineRows draws all rows but the axis, for a timeline of h rows.
func (d *draw) timelineRows(n *snapshot, h int) (rows []strip, labels []string) {
	cols := len(n.buckets)
	if h == 1 {
		return d.bars(n, 1), []string{"calls"}
	}
	news, marks := newStrip(cols), newStrip(cols)
	d.news(n, news)
	if h == 3 {
		d.marksOn(n, news)
		return append(d.bars(n, 1), news), []string{"calls", "marks"}
	}
	d.marksOn(n, marks)
	bars := d.bars(n, h-3)
	labels = make([]string, len(bars))
	labels[0] = "calls"
	return append(bars, news, marks), append(labels, "new", "marks")
}

// bars draws the calls of each bucket in h rows. The scale is a root: one call
// must show beside a thousand.
func (d *draw) bars(n *snapshot, h int) []strip {
	out := make([]strip, h)
	for i := range out {
		out[i] = newStrip(len(n.buckets))
	}
	var most uint64
	for _, b := range n.buckets {
		most = max(most, b.Calls)
	}
	for col, b := range n.buckets {
		style := &d.run
		if b.End <= n.split.At || n.standing == noSplit {
			style = &d.boot
		}
		if b.Gap {
			out[h-1].set(col, d.gap, &d.bad)
			continue
		}
		filled := level(b.Calls, most, h*len(d.levels))
		for row := h - 1; row >= 0 && filled > 0; row-- {
			k := min(filled, len(d.levels))
			out[row].set(col, d.levels[k-1], style)
			filled -= k
		}
	}
	return out
}

// level scales n of most into 0..steps; anything above 0 shows.
func level(n, most uint64, steps int) int {
	if n == 0 || most == 0 {
		return 0
	}
	k := int(sqrt(float64(n)/float64(most))*float64(steps) + 0.5)
	return min(max(k, 1), steps)
}

// news writes how many calls were used for the first time, and ! for those that
// came late in run.
func (d *draw) news(n *snapshot, s strip) {
	for col, b := range n.buckets {
		switch {
		case b.New > 9:
			s.set(col, "+", &d.warn)
		case b.New > 0:
			s.set(col, string(rune('0'+b.New)), &d.warn)
		}
	}
	for _, x := range n.late {
		s.set(n.column(x.At), "!", &d.warn)
	}
}

// letters are the marks worth a letter on the timeline, the weightiest last.
var letters = []struct {
	kind, letter string
}{
	{session.MarkEnter, "e"}, {session.MarkSignal, "s"}, {session.MarkExec, "E"}, {session.MarkStart, "E"},
	{session.MarkBind, "B"}, {session.MarkAccept, "A"}, {session.MarkWait, "W"}, {session.MarkListen, "L"},
	{session.MarkListenWait, "W"}, {session.MarkSeccomp, "F"}, {session.MarkUring, "R"}, {session.MarkGap, "?"},
	{session.MarkReady, "Y"}, {session.MarkUser, "U"}, {session.MarkEnded, "X"}, {session.MarkStop, "S"},
}

// marksOn writes the letter of the weightiest mark of each bucket.
func (d *draw) marksOn(n *snapshot, s strip) {
	weight := make([]int, len(s.text))
	d.adminsOn(n, s, false)
	for _, m := range n.marks {
		col := n.column(m.At)
		if col < 0 {
			continue
		}
		for w, l := range letters {
			if l.kind == m.Kind && w+1 > weight[col] {
				weight[col] = w + 1
				s.set(col, l.letter, &d.mark)
			}
		}
	}
	d.adminsOn(n, s, true)
}

// markers draws the split, stop and proposal lines over a row.
func (d *draw) markers(n *snapshot, s strip) {
	if n.proposed && (n.standing == decided || n.standing == moving) && n.proposal.At != n.split.At {
		s.set(n.column(n.proposal.At), d.proposed, &d.dim)
	}
	if n.split.Stop > 0 {
		s.set(n.column(n.split.Stop), d.glyphs.stop, &d.styles.stop)
	}
	switch n.standing {
	case suggested:
		s.set(n.column(n.split.At), d.proposed, &d.styles.split)
	case decided, moving:
		s.set(n.column(n.split.At), d.glyphs.split, &d.styles.split)
	}
}

// axis writes the times below: the ends, and the markers.
func (d *draw) axis(n *snapshot, s strip, chosen marker, focused bool) {
	from, to := offset(n.from), offset(n.to)
	s.words(0, from, &d.dim)
	s.words(len(s.text), to, &d.dim)
	taken := [2]int{} // by the label before
	label := func(at time.Duration, word string, style *lipgloss.Style, on bool) {
		col := n.column(at)
		if col < 0 {
			return
		}
		if focused && on {
			chosen := style.Reverse(true)
			style = &chosen
		}
		text := d.point + word + " " + offset(at)
		w := width(text)
		free := func(col int) bool { return col >= 0 && col+w <= len(s.text) && (col >= taken[1] || col+w <= taken[0]) }
		if left := col - w + 1; !free(col) && (free(left) || col+w > len(s.text)) { // the pointer stays below its marker
			text, col = word+" "+offset(at)+d.point, left
		}
		if !free(col) { // half a time would be read as another
			s.words(taken[0], strings.Repeat(" ", taken[1]-taken[0]), nil)
		}
		taken = [2]int{max(0, col), max(0, col) + w}
		if col < width(from)+1 { // nor the half of one of the ends
			s.words(0, strings.Repeat(" ", width(from)), nil)
		}
		if col+width(text) > len(s.text)-width(to)-1 {
			s.words(len(s.text), strings.Repeat(" ", width(to)), nil)
		}
		s.words(col, text, style)
	}
	if n.split.Stop > 0 {
		label(n.split.Stop, "stop", &d.styles.stop, chosen == stopMarker)
	}
	switch n.standing {
	case suggested:
		label(n.split.At, "proposed", &d.styles.split, chosen == splitMarker)
	case decided, moving:
		label(n.split.At, "split", &d.styles.split, chosen == splitMarker)
	}
}

// proposalLines says in words what the split is and what speaks for it.
func (d *draw) proposalLines(n *snapshot, r rect) []string {
	if r.h <= 0 {
		return nil
	}
	lines := proposalText(n)
	if r.h == 1 {
		return []string{d.as(lines[0].look).Render(fit(short(d.clean(lines[0].text), r.w, d.dots), r.w))}
	}
	var out []string
	for _, f := range d.fold(lines, r.w) {
		if len(out) < r.h {
			out = append(out, d.as(f.look).Render(fit(f.text, r.w)))
		}
	}
	for len(out) < r.h {
		out = append(out, strings.Repeat(" ", r.w))
	}
	return out
}

// proposalText is the split and the proposal, with their evidence.
func proposalText(n *snapshot) []line {
	var out []line
	p := n.proposal
	switch {
	case n.waits != "":
		out = append(out, say(strong, "no split yet, all is boot: %s", n.waits))
	case n.standing == moving:
		out = append(out, say(strong, "moving the split: %s%s, run may call %d", offset(n.split.At), stopText(n.split), n.policy.Narrow().Len()))
	case n.standing == decided && n.proposed && p.At == n.split.At:
		out = append(out, say(strong, "split at %s%s, as proposed (confidence %s): %s", offset(n.split.At), stopText(n.split), p.Confidence, p.How))
	case n.standing == decided && n.proposed && width(n.split.How) < 20:
		out = append(out, say(strong, "split at %s%s, %s; proposed is %s", offset(n.split.At), stopText(n.split), n.split.How, offset(p.At)))
	case n.standing == decided:
		out = append(out, say(strong, "split at %s%s, %s", offset(n.split.At), stopText(n.split), n.split.How))
	}
	switch {
	case n.proposed && n.standing == suggested:
		out = append(out, say(strong, "a accepts the proposed split at %s (confidence %s): %s", offset(p.At), p.Confidence, p.How))
	case n.proposed && p.At != n.split.At:
		out = append(out, say(plainLine, "proposed: %s (confidence %s): %s", offset(p.At), p.Confidence, p.How))
	case !n.proposed && n.standing != decided && n.waits == "":
		out = append(out, say(dimLine, "no split proposed yet: %s", p.How))
	}
	out = append(out, coarseText(n)...)
	evidence := n.split.Evidence
	if n.proposed && n.standing != decided {
		evidence = p.Evidence
	}
	out = append(out, evidenceLines(evidence)...)
	if len(out) == 0 {
		out = append(out, say(plainLine, "split at %s", offset(n.split.At)))
	}
	return out
}

// coarse is the length of an epoch from which on it is told: as they are recorded
// they are shorter.
const coarse = time.Second

// coarseText says what is not known to the call where a split is moved.
func coarseText(n *snapshot) []line {
	switch {
	case n.standing != moving:
		return nil // else it is a note of the session
	case n.blurred >= coarse:
		return []line{say(warn, "- %s", session.BlurText(n.blurred))}
	case n.precision >= coarse:
		return []line{say(dimLine, "kept in stretches of %s there: the sets are exact, counts are shared out", offset(n.precision))}
	}
	return nil
}

func stopText(sp session.Split) string {
	if sp.Stop == 0 {
		return ""
	}
	return ", stop mark at " + offset(sp.Stop)
}
