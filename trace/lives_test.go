package trace

import (
	"reflect"
	"testing"
)

// What a snapshot holds is shared out between two lives: by time, and in doubt to
// both.
func TestShare(t *testing.T) {
	row := func(g Group, nr uint32, first, last uint64) Row { return Row{g, X86_64, nr, 2, first, last} }
	s := Snapshot{Start: 10, End: 100, Lost: Lost{Table: 3}, Rows: []Row{
		row(Init, 1, 20, 70), row(Init, 2, 60, 70), row(Main, 3, 20, 30), row(Main, 4, 20, 70), row(Exec, 5, 20, 30), row(Main, 6, 80, 90),
	}}
	for _, x := range []struct {
		begun     bool
		old, next []Row
	}{
		{false, []Row{row(Init, 1, 20, 70), row(Main, 3, 20, 30), row(Main, 4, 20, 70), row(Exec, 5, 20, 30)},
			[]Row{row(Init, 1, 50, 70), row(Init, 2, 60, 70), row(Main, 6, 80, 90)}},
		{true, []Row{row(Init, 1, 20, 70), row(Main, 3, 20, 30), row(Main, 4, 20, 70), row(Exec, 5, 20, 30)},
			[]Row{row(Init, 1, 50, 70), row(Init, 2, 60, 70), row(Main, 4, 50, 70), row(Main, 6, 80, 90)}},
	} {
		old, next := share(s, 50, x.begun)
		if !reflect.DeepEqual(old.Rows, x.old) || !reflect.DeepEqual(next.Rows, x.next) {
			t.Errorf("begun %v: old %v, next %v", x.begun, old.Rows, next.Rows)
		}
		if old.Start != 10 || next.Start != 50 || next.End != 100 || next.Lost != s.Lost {
			t.Errorf("old %+v, next %+v", old, next)
		}
	}
	// A life that began after the snapshot's end has nothing of it.
	if _, next := share(s, 200, false); len(next.Rows) > 0 || next.Start != 100 {
		t.Errorf("got %+v", next)
	}
}
