package tui

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// width is the number of cells a terminal gives to s. It counts as Bubble
// Tea's renderer does as long as the terminal is asked nothing: by character.
func width(s string) int { return ansi.StringWidthWc(s) }

// fit cuts or pads s to exactly w cells. A wide character that does not fit
// whole makes room for a blank.
func fit(s string, w int) string {
	if w <= 0 {
		return ""
	}
	n := width(s)
	if n > w {
		s = ansi.TruncateWc(s, w, "")
		n = width(s)
	}
	return s + strings.Repeat(" ", max(0, w-n))
}

// short cuts s to at most w cells, and says so with tail.
func short(s string, w int, tail string) string {
	if width(s) <= w {
		return s
	}
	if width(tail) >= w {
		return ansi.TruncateWc(s, max(0, w), "")
	}
	return ansi.TruncateWc(s, w, tail)
}

// fitRight is fit with the text at the right.
func fitRight(s string, w int) string {
	s = short(s, w, "")
	return strings.Repeat(" ", max(0, w-width(s))) + s
}

// wrap breaks a plain text into lines of at most w cells, at blanks where there
// are any. indent is put before every line but the first.
func wrap(s string, w int, indent string) []string {
	w = max(1, w)
	if width(indent) > w/2 {
		indent = ""
	}
	var out []string
	lead := ""
	for {
		room := w - width(lead)
		if width(s) <= room {
			return append(out, lead+s)
		}
		n := len(ansi.TruncateWc(s, room, ""))
		if n == 0 { // a wide character in a single column
			return append(out, lead)
		}
		margin := n - len(strings.TrimLeft(s[:n], " "))
		if i := strings.LastIndexByte(s[:n], ' '); i > margin && s[n] != ' ' {
			n = i
		}
		out = append(out, lead+strings.TrimRight(s[:n], " "))
		s = strings.TrimLeft(s[n:], " ")
		lead = indent
	}
}

// count writes a number in at most five cells: 999, 12.3k, 4.5M.
func count(n uint64) string {
	switch {
	case n < 10_000:
		return strconv.FormatUint(n, 10)
	case n < 100_000:
		return fmt.Sprintf("%.1fk", float64(n)/1e3)
	case n < 1_000_000:
		return fmt.Sprintf("%dk", n/1e3)
	case n < 100_000_000:
		return fmt.Sprintf("%.1fM", float64(n)/1e6)
	case n < 1_000_000_000:
		return fmt.Sprintf("%dM", n/1e6)
	}
	return fmt.Sprintf("%.3gG", float64(n)/1e9)
}

// offset writes a time since the start of a recording, rounded as show does: 0.123s,
// 12.345s, 3:05.2, 1:02:03.
func offset(d time.Duration) string {
	d = d.Round(time.Millisecond)
	sign := ""
	if d < 0 {
		sign = "-"
	}
	if d = max(d, -d); d >= time.Minute {
		d = d.Round(100 * time.Millisecond)
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%s%d.%03ds", sign, d/time.Second, d%time.Second/time.Millisecond)
	case d < time.Hour:
		return fmt.Sprintf("%s%d:%02d.%d", sign, d/time.Minute, d%time.Minute/time.Second, d%time.Second/(100*time.Millisecond))
	}
	return sign + elapsed(d)
}

// elapsed writes a running time: 0:07, 12:03, 1:02:03.
func elapsed(d time.Duration) string {
	d = max(d, 0) / time.Second
	if d < 3600 {
		return fmt.Sprintf("%d:%02d", d/60, d%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", d/3600, d/60%60, d%60)
}

// plural writes "1 call", "2 calls", "2 processes".
func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	if strings.HasSuffix(one, "s") {
		return fmt.Sprintf("%d %ses", n, one)
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// listed joins names, the first n of them, and says how many are left out.
func listed(names []string, n int) string {
	if len(names) <= n {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:n], ", "), len(names)-n)
}

// over puts a row of w cells onto a styled line at column x.
func over(under, row string, x, w int) string {
	total := width(under)
	left := fit(ansi.TruncateWc(under, x, ""), x)
	right := ""
	if rest := total - x - w; rest > 0 {
		right = dropLeft(under, x+w)
	}
	return left + row + right
}

// dropLeft leaves out the first n cells of a styled line, and keeps their
// looks. Half a wide character that is left becomes a blank.
func dropLeft(s string, n int) string {
	var b strings.Builder
	for len(s) > 0 {
		seq, w, size, _ := ansi.DecodeSequenceWc(s, ansi.NormalState, nil)
		s = s[size:]
		switch {
		case w == 0 || n <= 0:
			b.WriteString(seq)
		case w > n:
			b.WriteString(strings.Repeat(" ", w-n))
		}
		n -= w
	}
	return b.String()
}
