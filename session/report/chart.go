package report

import (
	"fmt"
	"math"
	"strings"
	"time"

	"speaker/session"
)

// The charts are drawn in these units; they scale with the page.
const (
	chartWidth  = 800.0
	chartHeight = 140.0
	buckets     = 160
)

// zone is a stretch of a chart that is one phase.
type zone struct {
	X, Width float64
	Name     string
}

// tick is a word at a place of an axis.
type tick struct {
	X    float64
	Text string
}

type bar struct{ X, Y, Width, Height float64 }

// timeline is the calls over time.
type timeline struct {
	Bars   []bar
	Gaps   []bar
	Zones  []zone
	Ticks  []tick
	Most   uint64 // calls of the highest bar
	Each   string // time that a bar is
	levels []int  // of the bars, 0 to 8, for text
}

// curve is the number of different calls over time.
type curve struct {
	Path  string
	Zones []zone
	Ticks []tick
	Most  int
}

// aligned are the recordings of a merged session, side by side at their splits.
type aligned struct {
	Rows   []alignedRow
	Height float64
	SplitX float64
	// From and To are the times of the two ends.
	From, To string
}

type alignedRow struct {
	Boot, Run bar
	Label     string
	TextY     float64
}

func scale(d, length time.Duration) float64 {
	return round(chartWidth * float64(max(0, min(d, length))) / float64(length))
}

// round keeps files small, and the same on every machine.
func round(x float64) float64 { return math.Round(x*100) / 100 }

func timelineOf(s *session.Session, sp session.Split, has bool) timeline {
	length := s.Length()
	list := s.Timeline(0, length, buckets)
	if len(list) == 0 {
		return timeline{}
	}
	t := timeline{Zones: zones(sp, has, length), Ticks: ticks(length), Each: span(length / buckets)}
	for _, b := range list {
		t.Most = max(t.Most, b.Calls)
	}
	for _, b := range list {
		x, w := scale(b.Start, length), round(chartWidth/buckets-0.6)
		if b.Gap {
			t.Gaps = append(t.Gaps, bar{x, 0, w, chartHeight})
		}
		// A root: one call must show beside a thousand.
		part := math.Sqrt(float64(b.Calls) / float64(max(1, t.Most)))
		t.levels = append(t.levels, int(math.Ceil(part*8)))
		if b.Calls > 0 {
			h := round(max(1.5, part*(chartHeight-20)))
			t.Bars = append(t.Bars, bar{x, round(chartHeight - h), w, h})
		}
	}
	return t
}

// zones are the phases of the program's own life. A name needs some room.
func zones(sp session.Split, has bool, length time.Duration) []zone {
	if !has {
		return []zone{{0, chartWidth, "all boot: no split"}}
	}
	var out []zone
	add := func(from, to time.Duration, name string) {
		x := scale(from, length)
		if w := round(scale(to, length) - x); w > 0 {
			out = append(out, zone{x, w, name})
		}
	}
	end := length
	if sp.Stop > sp.At {
		end = min(sp.Stop, length)
	}
	add(0, sp.At, "boot")
	add(sp.At, end, "run")
	add(end, length, "stop")
	return out
}

func ticks(length time.Duration) []tick {
	var out []tick
	for i := range 5 {
		out = append(out, tick{chartWidth * float64(i) / 4, span(length * time.Duration(i) / 4)})
	}
	return out
}

func curveOf(s *session.Session, sp session.Split, has bool) curve {
	length := s.Length()
	news := s.Discoveries()
	if length <= 0 || len(news) == 0 {
		return curve{}
	}
	c := curve{Zones: zones(sp, has, length), Ticks: ticks(length), Most: len(news)}
	y := func(n int) float64 { return round(chartHeight - (chartHeight-20)*float64(n)/float64(len(news))) }
	var b strings.Builder
	fmt.Fprintf(&b, "M0 %g", y(0))
	for i, d := range news {
		fmt.Fprintf(&b, "H%gV%g", scale(d.At, length), y(i+1))
	}
	fmt.Fprintf(&b, "H%g", chartWidth)
	c.Path = b.String()
	return c
}

// mostRows is how many recordings the chart of a merged session shows.
const mostRows = 40

func alignedOf(runs []session.Run) aligned {
	const row, head = 18.0, 4.0
	runs = runs[:min(len(runs), mostRows)]
	var before, after time.Duration
	for _, r := range runs {
		before, after = max(before, r.Split.At), max(after, r.Length-r.Split.At)
	}
	all := before + after
	if all <= 0 {
		return aligned{}
	}
	a := aligned{Height: round(head + row*float64(len(runs))), SplitX: scale(before, all), From: span(-before), To: span(after)}
	for i, r := range runs {
		y := round(head + row*float64(i))
		from, to := scale(before-r.Split.At, all), scale(before+r.Length-r.Split.At, all)
		a.Rows = append(a.Rows, alignedRow{
			Boot:  bar{from, y, round(a.SplitX - from), row - 6},
			Run:   bar{a.SplitX, y, round(max(0, to-a.SplitX)), row - 6},
			Label: fmt.Sprint(i + 1), TextY: round(y + row - 8),
		})
	}
	return a
}
