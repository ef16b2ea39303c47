package main

import (
	"testing"

	"speaker/policy"
)

// The recorded demo opens without any privilege, tells the whole story, and
// shows that files written by an earlier version still open.
func TestRecordedDemo(t *testing.T) {
	w, err := (&settings{}).openSaved(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := w.Session()
	if said := s.Completeness(); len(said) > 0 {
		t.Errorf("it is not complete: %q", said)
	}
	sp, ok := s.Split()
	if !ok || sp.Stop <= sp.At {
		t.Fatalf("its split is %+v", sp)
	}
	p := s.Policy(sp)
	for name, want := range map[string]struct{ boot, run bool }{
		"accept4": {true, true}, "mkdirat": {true, false}, "listen": {true, false}, "execve": {true, false},
	} {
		c, err := policy.ParseCall(name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Wide().Has(c) != want.boot || p.Narrow().Has(c) != want.run {
			t.Errorf("%s: boot %v, run %v", name, p.Wide().Has(c), p.Narrow().Has(c))
		}
	}
}
