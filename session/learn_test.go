package session

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// What a recording takes over from another counts in its phases, wherever its
// own split is, and is in the file.
func TestLearn(t *testing.T) {
	getpid, openat := policy.Call{Nr: 39}, policy.Call{Nr: 257}
	s := New(Meta{})
	path := filepath.Join(t.TempDir(), "s")
	w, err := Create(path, s.Meta())
	if err != nil {
		t.Fatal(err)
	}
	s.Attach(w)
	s.Learn(policy.Observed{
		policy.Boot: {{Call: openat, Count: 3, First: 1, Last: 2}},
		policy.Run:  {{Call: getpid, InFlight: true}},
	})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again, damage, err := Open(path)
	if err != nil || damage.Any() {
		t.Fatal(err, damage)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := Save(copied, again); err != nil {
		t.Fatal(err)
	}
	third, _, err := Open(copied)
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]*Session{"live": s, "reopened": again, "saved again": third} {
		p := x.Policy(Split{At: time.Second})
		if !p.Wide().Has(openat) || p.Narrow().Has(openat) || !p.Narrow().Has(getpid) {
			t.Errorf("%s: wide %v, narrow %v", name, p.Wide(), p.Narrow())
		}
	}
}

func TestLearnUnitesWithWhatIsSeenHere(t *testing.T) {
	getpid, openat := policy.Call{Nr: 39}, policy.Call{Nr: 257}
	s := New(Meta{})
	err := s.AddEpoch(Epoch{End: 10, Rows: []Row{{trace.Main, getpid, 2, 6, 7}}, InFlight: []policy.Call{openat}})
	if err != nil {
		t.Fatal(err)
	}
	s.Learn(policy.Observed{policy.Run: {
		{Call: getpid, Count: 3, First: 100, Last: 200, InFlight: true}, {Call: openat, Count: 1, First: 8, Last: 8},
	}})
	want := []policy.Use{
		{Call: getpid, Count: 5, First: 6, Last: 7, InFlight: true},
		{Call: openat, Count: 1, First: 8, Last: 8, InFlight: true},
	}
	if got := s.Observed(Split{At: 5})[policy.Run]; !slices.Equal(got, want) {
		t.Errorf("run is %+v, want %+v", got, want)
	}
}
