package policy

import (
	"math/rand/v2"
	"testing"
)

// A reload needs much of boot again: included, run allows it; left out, that is
// what is gained.
func TestAdminIsAGroup(t *testing.T) {
	obs := Observed{Boot: saw("openat", "bind", "rename"), Run: saw("read", "write"), Admin: saw("read", "openat", "rename", "kill")}
	in := Derive(obs, nil)
	out := Derive(obs, []Edit{edit(OpLeaveOut, "", Admin)})
	if !in.Included(Admin) || out.Included(Admin) {
		t.Errorf("included %t, then %t", in.Included(Admin), out.Included(Admin))
	}
	want := set("openat", "rename", "kill")
	if gone := in.Narrow().Minus(out.Narrow()); !gone.Equal(want) {
		t.Errorf("leaving it out gains %q, want %q", gone, want)
	}
	for name, p := range map[string]Policy{"in": in, "out": out} {
		if alone := NewSet(p.Alone(Admin)...); !alone.Equal(want) {
			t.Errorf("%s: alone %q, want %q", name, alone, want)
		}
	}
	if !out.Wide().Equal(in.Wide().Without(call("kill"))) {
		t.Errorf("the wide filter is %q, was %q", out.Wide(), in.Wide())
	}
}

// Whatever is seen and edited, Alone is what a switch of the group changes.
func TestAloneIsWhatASwitchChanges(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 5))
		obs, edits := randomObserved(r), randomEdits(r)
		p := Derive(obs, edits)
		for _, ph := range Groups() {
			with := Derive(obs, append(edits[:len(edits):len(edits)], Edit{Op: OpInclude, Phase: ph})).Narrow()
			without := Derive(obs, append(edits[:len(edits):len(edits)], Edit{Op: OpLeaveOut, Phase: ph})).Narrow()
			if got := NewSet(p.Alone(ph)...); !got.Equal(with.Minus(without)) {
				t.Fatalf("seed %d: %s alone is %q, want %q", seed, ph, got, with.Minus(without))
			}
		}
	}
}
