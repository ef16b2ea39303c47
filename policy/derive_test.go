package policy

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// saw makes what a recording saw in one phase.
func saw(names ...string) []Use {
	var out []Use
	for i, name := range names {
		out = append(out, Use{Call: call(name), Count: uint64(i + 1), First: time.Second, Last: 2 * time.Second})
	}
	return out
}

func edit(op EditOp, name string, ph Phase) Edit {
	e := Edit{Op: op, Phase: ph}
	if name != "" {
		e.Call = call(name)
	}
	return e
}

// server is a recording of something like a small server.
var server = Observed{
	Init: saw("pivot_root", "seccomp"),
	Boot: saw("openat", "bind", "listen", "mmap", "read"),
	Run:  saw("accept4", "read", "write"),
	Stop: saw("unlink", "write"),
	Exec: saw("openat", "getcwd"),
}

func TestDerive(t *testing.T) {
	const (
		boot = "openat bind listen mmap"
		run  = "accept4 read write"
	)
	for _, tt := range []struct {
		name         string
		edits        []Edit
		wide, narrow string // beside the essentials
	}{
		{"nothing edited", nil, boot + " unlink " + run, run + " unlink"},
		{"stop left out", []Edit{edit(OpLeaveOut, "", Stop)}, boot + " " + run, run},
		{"stop left out and back", []Edit{edit(OpLeaveOut, "", Stop), edit(OpInclude, "", Stop)},
			boot + " unlink " + run, run + " unlink"},
		{"exec included", []Edit{edit(OpInclude, "", Exec)},
			boot + " getcwd unlink " + run, run + " openat getcwd unlink"},
		{"allowed in run: in boot too", []Edit{edit(OpAllow, "fork", Run)},
			boot + " fork unlink " + run, run + " fork unlink"},
		{"allowed in boot: not in run", []Edit{edit(OpAllow, "fork", Boot)},
			boot + " fork unlink " + run, run + " unlink"},
		{"denied in run: still in boot", []Edit{edit(OpDeny, "read", Run)},
			boot + " unlink " + run, "accept4 write unlink"},
		{"a family denied in run", []Edit{edit(OpDenyFamily, "pwrite64", Run)},
			boot + " unlink " + run, "accept4 read unlink"},
		{"a family allowed in run, one of it denied again", []Edit{edit(OpAllowFamily, "accept", Run), edit(OpDeny, "accept4", Run)},
			boot + " accept unlink " + run, "accept read write unlink"},
		{"a family denied in boot", []Edit{edit(OpDenyFamily, "creat", Boot)},
			"bind listen mmap unlink " + run, run + " unlink"},
		{"a family of one", []Edit{edit(OpAllowFamily, "ptrace", Run)},
			boot + " ptrace unlink " + run, run + " ptrace unlink"},
		{"denied in boot: in run too", []Edit{edit(OpDeny, "read", Boot)},
			boot + " unlink accept4 write", "accept4 write unlink"},
		{"denied in run although stop wants it", []Edit{edit(OpDeny, "unlink", Run)},
			boot + " unlink " + run, run},
		{"denied in stop", []Edit{edit(OpDeny, "unlink", Stop)}, boot + " " + run, run},
		{"denied in stop: run still wants it", []Edit{edit(OpDeny, "write", Stop)},
			boot + " unlink " + run, run + " unlink"},
		{"allowed in exec, which is left out", []Edit{edit(OpAllow, "fork", Exec)},
			boot + " unlink " + run, run + " unlink"},
		{"the last edit wins", []Edit{edit(OpDeny, "read", Boot), edit(OpAllow, "read", Run)},
			boot + " unlink " + run, run + " unlink"},
		{"denied in run, then allowed in boot", []Edit{edit(OpDeny, "read", Boot), edit(OpAllow, "read", Boot)},
			boot + " unlink " + run, "accept4 write unlink"},
		{"edits that mean nothing", []Edit{
			edit(OpAllow, "fork", Init), edit(OpInclude, "", Init), edit(OpLeaveOut, "", Run), edit("widen", "fork", Run),
			{Op: OpAllow, Phase: Run, Call: Call{ABI: 9}}, {Op: OpAllow, Phase: Run, Call: Call{Nr: 1 << 30}},
			edit(OpAllow, "fork", Phase(77)),
		}, boot + " unlink " + run, run + " unlink"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Derive(server, tt.edits)
			ess := NewSet(p.essentialCalls()...)
			if got := p.Wide().Minus(ess); !got.Equal(set(strings.Fields(tt.wide)...)) {
				t.Errorf("wide: got %q, want %q", got, tt.wide)
			}
			if got := p.Narrow().Minus(ess); !got.Equal(set(strings.Fields(tt.narrow)...)) {
				t.Errorf("narrow: got %q, want %q", got, tt.narrow)
			}
			if !p.Narrow().Intersect(ess).Equal(ess) || !p.Wide().Intersect(ess).Equal(ess) {
				t.Error("essentials are missing")
			}
		})
	}
}

func TestDeriveSpecs(t *testing.T) {
	p := Derive(server, nil)
	start := p.StartSpec()
	if !start.Allow.Equal(p.Narrow()) || !start.Notify.Equal(set("openat", "bind", "listen", "mmap")) {
		t.Errorf("start: got %q and %q", start.Allow, start.Notify)
	}
	if s := p.WideSpec(); !s.Allow.Equal(p.Wide()) || s.Notify.Len() != 0 {
		t.Errorf("wide: got %+v", s)
	}
	if s := p.NarrowSpec(); !s.Allow.Equal(p.Narrow()) || s.Notify.Len() != 0 {
		t.Errorf("narrow: got %+v", s)
	}
}

func TestDeriveEntries(t *testing.T) {
	p := Derive(server, []Edit{
		{Op: OpDeny, Call: call("read"), Phase: Run, Note: "not after boot"},
		edit(OpAllow, "fork", Run),
	})
	var names []string
	for _, e := range p.Entries() {
		names = append(names, e.Call.Name())
		if e.Boot != p.Wide().Has(e.Call) || e.Run != p.Narrow().Has(e.Call) {
			t.Errorf("%s: boot %t, run %t are not what the sets say", e.Call, e.Boot, e.Run)
		}
		if got, ok := p.Entry(e.Call); !ok || !reflect.DeepEqual(got, e) {
			t.Errorf("%s: entry %+v, %t", e.Call, got, ok)
		}
		if len(e.Why) == 0 {
			t.Errorf("%s: no reason", e.Call)
		}
	}
	want := strings.Fields("accept4 bind exit exit_group fork getcwd listen mmap openat pivot_root read restart_syscall rt_sigreturn seccomp unlink write")
	if !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if _, ok := p.Entry(call("ptrace")); ok {
		t.Error("an entry for a call that nothing speaks of")
	}

	read, _ := p.Entry(call("read"))
	if read.Seen != PhasesOf(Boot, Run) || !read.Edited || read.Uses[Boot].Count != 5 {
		t.Errorf("read: got %+v", read)
	}
	last := read.Why[len(read.Why)-1]
	if last.Origin != OriginHand || last.Phase != Run || last.Text != "denied by hand: not after boot" {
		t.Errorf("read: last reason %+v", last)
	}
	runtime, _ := p.Entry(call("pivot_root"))
	if runtime.Boot || runtime.Run || runtime.Seen != PhasesOf(Init) {
		t.Errorf("the runtime's own call: got %+v", runtime)
	}
	if fork, _ := p.Entry(call("fork")); fork.Seen != 0 || !fork.Run || !fork.Edited {
		t.Errorf("fork: got %+v", fork)
	}
}

func TestDeriveMergesRepeatedUses(t *testing.T) {
	c := call("read")
	p := Derive(Observed{Run: {
		{Call: c, Count: 2, First: 5, Last: 6},
		{Call: c, Count: 3, First: 1, Last: 2, InFlight: true},
	}}, nil)
	e, _ := p.Entry(c)
	if want := (Use{Call: c, Count: 5, First: 1, Last: 6, InFlight: true}); e.Uses[Run] != want {
		t.Errorf("got %+v, want %+v", e.Uses[Run], want)
	}
}

func TestEssentialsOfForeignABIs(t *testing.T) {
	if Native() != X86_64 {
		t.Skip("foreign ABIs are those of x86_64")
	}
	p := Derive(Observed{Run: saw("i386:read", "x32:read")}, nil)
	want := set("exit", "exit_group", "rt_sigreturn", "restart_syscall",
		"i386:exit", "i386:exit_group", "i386:rt_sigreturn", "i386:sigreturn", "i386:restart_syscall",
		"x32:exit", "x32:exit_group", "x32:rt_sigreturn", "x32:restart_syscall",
		"i386:read", "x32:read")
	if !p.Narrow().Equal(want) {
		t.Errorf("got %q, want %q", p.Narrow(), want)
	}
	// The runtime's own 32-bit calls are no reason to open that door.
	if p := Derive(Observed{Init: saw("i386:read"), Run: saw("read")}, nil); p.Wide().Of(I386).Len() != 0 {
		t.Errorf("got %q", p.Wide())
	}
}

// A moved split changes what was seen where; the hand's decisions stay.
func TestEditsSurviveAMovedSplit(t *testing.T) {
	edits := []Edit{edit(OpDeny, "openat", Run), edit(OpAllow, "clone", Run)}
	before := Derive(Observed{Boot: saw("openat"), Run: saw("read")}, edits)
	after := Derive(Observed{Boot: saw("read"), Run: saw("openat", "read", "write")}, edits)
	for name, p := range map[string]Policy{"before": before, "after": after} {
		if p.Narrow().Has(call("openat")) || !p.Narrow().Has(call("clone")) {
			t.Errorf("%s: got %q", name, p.Narrow())
		}
	}
	if !after.Narrow().Has(call("write")) {
		t.Error("the new run is not in the policy")
	}
}

// Whatever is seen and edited: narrow lies within wide, deriving twice gives the
// same, and hand decisions on a filter hold.
func TestDeriveInvariants(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		obs, edits := randomObserved(r), randomEdits(r)
		p := Derive(obs, edits)
		if out := p.Narrow().Minus(p.Wide()); out.Len() > 0 {
			t.Fatalf("seed %d: %q is in narrow only", seed, out)
		}
		if !reflect.DeepEqual(p, Derive(obs, edits)) {
			t.Fatalf("seed %d: not the same twice", seed)
		}
		last := map[Call]Edit{}
		for _, e := range edits {
			if (e.Op == OpAllow || e.Op == OpDeny) && (e.Phase == Boot || e.Phase == Run) {
				last[e.Call] = e
			}
		}
		for c, e := range last {
			filter := p.Wide()
			if e.Phase == Run {
				filter = p.Narrow()
			}
			if filter.Has(c) != (e.Op == OpAllow) {
				t.Fatalf("seed %d: %s %s in %s does not hold", seed, e.Op, c, e.Phase)
			}
		}
	}
}

func randomObserved(r *rand.Rand) Observed {
	obs := Observed{}
	for ph := Init; ph < phases; ph++ {
		for range r.IntN(8) {
			obs[ph] = append(obs[ph], Use{Call: randomCall(r), Count: r.Uint64N(9)})
		}
	}
	return obs
}

func randomEdits(r *rand.Rand) []Edit {
	ops := []EditOp{OpAllow, OpDeny, OpInclude, OpLeaveOut}
	var out []Edit
	for range r.IntN(12) {
		out = append(out, Edit{Op: ops[r.IntN(4)], Phase: Phase(r.IntN(int(phases))), Call: randomCall(r)})
	}
	return out
}

func randomCall(r *rand.Rand) Call {
	return Call{possible(Native())[r.IntN(len(possible(Native())))], r.Uint32N(20)}
}
