package tui

import (
	"fmt"
	"testing"
)

// rows of a layout are counted, and no two parts may share one.
func checkLayout(t *testing.T, l layout) {
	t.Helper()
	used := make([]int, l.h)
	for name, r := range map[string]rect{"status": l.status, "timeline": l.timeline, "proposal": l.proposal, "tabs": l.tabs, "pane": l.pane, "hint": l.hint} {
		if r.h < 0 || r.w < 0 || r.x < 0 || r.y < 0 || r.y+r.h > l.h || r.x+r.w > l.w {
			t.Errorf("%dx%d: %s %+v is off the screen", l.w, l.h, name, r)
			continue
		}
		for y := r.y; y < r.y+r.h; y++ {
			used[y]++
		}
	}
	for y, n := range used {
		if n != 1 {
			t.Errorf("%dx%d: row %d is used %d times", l.w, l.h, y, n)
		}
	}
	if l.status.h < 1 || l.h > 1 && l.pane.h < 1 {
		t.Errorf("%dx%d: no status or no pane: %+v", l.w, l.h, l)
	}
	if b := l.body(); b.y < 1 || b.y+b.h > l.h || b.h < 0 {
		t.Errorf("%dx%d: dialogs go to %+v", l.w, l.h, b)
	}
}

func TestLayoutCoversEverySize(t *testing.T) {
	for h := 1; h <= 120; h++ {
		for _, w := range []int{1, 2, 20, 39, 40, 80, 149, 150, 151, 400} {
			checkLayout(t, arrange(w, h))
			checkLayout(t, arrangePicker(w, h))
		}
	}
	for _, size := range [][2]int{{0, 0}, {-3, 5}, {5, -3}} {
		checkLayout(t, arrange(size[0], size[1]))
		checkLayout(t, arrangePicker(size[0], size[1]))
	}
}

// As the screen grows no part shrinks, and the pane keeps most of what is new.
func TestLayoutGrowsSteadily(t *testing.T) {
	small := arrange(80, 1)
	for h := 2; h <= 100; h++ {
		l := arrange(80, h)
		for name, pair := range map[string][2]int{"status": {small.status.h, l.status.h}, "timeline": {small.timeline.h, l.timeline.h},
			"proposal": {small.proposal.h, l.proposal.h}, "tabs": {small.tabs.h, l.tabs.h}, "hint": {small.hint.h, l.hint.h}} {
			if pair[1] < pair[0] {
				t.Errorf("from %d to %d rows %s shrinks from %d to %d", h-1, h, name, pair[0], pair[1])
			}
		}
		if l.pane.h < small.pane.h-2 {
			t.Errorf("from %d to %d rows the pane loses %d rows", h-1, h, small.pane.h-l.pane.h)
		}
		small = l
	}
}

func TestLayoutAtTheSizesThatMatter(t *testing.T) {
	for _, c := range []struct {
		w, h                               int
		status, timeline, tabs, pane, side int
	}{
		{80, 24, 2, 4, 1, 15, 0},
		{60, 20, 2, 3, 1, 12, 0},
		{120, 36, 2, 6, 1, 23, 0},
		{200, 50, 2, 8, 1, 32, 80},
		{40, 10, 2, 1, 1, 5, 0},
		{20, 5, 1, 0, 0, 3, 0},
		{1, 1, 1, 0, 0, 0, 0},
	} {
		t.Run(fmt.Sprintf("%dx%d", c.w, c.h), func(t *testing.T) {
			l := arrange(c.w, c.h)
			got := [5]int{l.status.h, l.timeline.h, l.tabs.h, l.pane.h, l.side.w}
			if want := [5]int{c.status, c.timeline, c.tabs, c.pane, c.side}; got != want {
				t.Errorf("status, timeline, tabs, pane, side: got %v, want %v", got, want)
			}
		})
	}
}
