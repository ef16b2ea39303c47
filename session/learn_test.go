package session

import (
	"path/filepath"
	"slices"
	"strings"
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
		e, _ := p.Entry(openat)
		if u := e.Uses[policy.Boot]; u.Count != 0 || u.First != 0 || u.Last != 0 || u.Earlier != 3 {
			t.Errorf("%s: times of another recording are in %+v", name, u)
		}
		if said := strings.Join(x.Completeness(), "\n"); !strings.Contains(said, "2 uses in the sets were taken over from another recording") {
			t.Errorf("%s: it says %q", name, said)
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
		{Call: getpid, Count: 2, First: 6, Last: 7, InFlight: true, Earlier: 3},
		{Call: openat, InFlight: true, Earlier: 1},
	}
	if got := s.Observed(Split{At: 5})[policy.Run]; !slices.Equal(got, want) {
		t.Errorf("run is %+v, want %+v", got, want)
	}
}
