package policy

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// TestCompile spells out what filters answer, apart from Spec.Want, which the
// other tests rely on.
func TestCompile(t *testing.T) {
	if Native() != X86_64 {
		t.Skip("the calls in this table are those of an x86_64 machine")
	}
	plain := Spec{Allow: set("read", "exit_group")}
	two := Spec{Allow: set("read"), Notify: set("bind", "clone3", "i386:bind"), Answers: Answers{Denied: RefuseWith(unix.EACCES)}}
	foreign := Spec{Allow: set("read", "i386:read", "i386:socketcall", "x32:read", "x32:rt_sigreturn")}
	newest := Spec{Allow: set("read", "clone3", "#470", "#600", "i386:#600"), Notify: set("#4095")}
	both := Spec{Allow: set("read"), Notify: set("read", "write")}
	const anyArch = 0x12345678
	for _, tt := range []struct {
		name string
		spec Spec
		data Data
		want string
	}{
		{"allowed", plain, Data{Nr: 0, Arch: auditX86_64}, "allow"},
		{"denied", plain, Data{Nr: 1, Arch: auditX86_64}, "EPERM"},
		{"allowed whatever the arguments", plain, Data{Nr: 0, Arch: auditX86_64, IP: 1 << 60, Args: [6]uint64{^uint64(0), 1, 2}}, "allow"},
		{"last before the new ones", plain, Data{Nr: 423, Arch: auditX86_64}, "EPERM"},
		{"first of the new ones", plain, Data{Nr: 424, Arch: auditX86_64}, "ENOSYS"},
		{"clone3", plain, Data{Nr: 435, Arch: auditX86_64}, "ENOSYS"},
		{"too new for any table", plain, Data{Nr: 100000, Arch: auditX86_64}, "ENOSYS"},
		{"number -1", plain, Data{Nr: 0xffffffff, Arch: auditX86_64}, "ENOSYS"},
		{"x32 where none is allowed", plain, Data{Nr: x32Bit, Arch: auditX86_64}, "ENOSYS"},
		{"i386 where none is allowed", plain, Data{Nr: 3, Arch: auditI386}, "ENOSYS"},
		{"arm64 on x86_64", plain, Data{Nr: 63, Arch: auditARM64}, "ENOSYS"},
		{"unheard-of architecture", plain, Data{Nr: 0, Arch: anyArch}, "ENOSYS"},

		{"notify", two, Data{Nr: 49, Arch: auditX86_64}, "notify"},
		{"notify of a new call", two, Data{Nr: 435, Arch: auditX86_64}, "notify"},
		{"notify on i386", two, Data{Nr: 361, Arch: auditI386}, "notify"},
		{"i386 is not x86_64", two, Data{Nr: 49, Arch: auditI386}, "EACCES"},
		{"i386 socketcall is not bind", two, Data{Nr: 102, Arch: auditI386, Args: [6]uint64{2}}, "EACCES"},
		{"i386 clock_gettime64 is new", two, Data{Nr: 403, Arch: auditI386}, "ENOSYS"},
		{"own error", two, Data{Nr: 1, Arch: auditX86_64}, "EACCES"},

		{"i386 read", foreign, Data{Nr: 3, Arch: auditI386}, "allow"},
		{"i386 number 0 is another call", foreign, Data{Nr: 0, Arch: auditI386}, "EPERM"},
		{"i386 socketcall", foreign, Data{Nr: 102, Arch: auditI386}, "allow"},
		{"i386 socket is not socketcall", foreign, Data{Nr: 359, Arch: auditI386}, "EPERM"},
		{"x32 read", foreign, Data{Nr: x32Bit, Arch: auditX86_64}, "allow"},
		{"x32 write", foreign, Data{Nr: x32Bit | 1, Arch: auditX86_64}, "EPERM"},
		{"x32 rt_sigreturn", foreign, Data{Nr: x32Bit | 513, Arch: auditX86_64}, "allow"},
		{"513 without the bit", foreign, Data{Nr: 513, Arch: auditX86_64}, "ENOSYS"},
		{"number -1 is not x32", foreign, Data{Nr: 0xffffffff, Arch: auditX86_64}, "ENOSYS"},

		{"new and allowed", newest, Data{Nr: 435, Arch: auditX86_64}, "allow"},
		{"newer than libseccomp", newest, Data{Nr: 470, Arch: auditX86_64}, "allow"},
		{"newer than the table", newest, Data{Nr: 600, Arch: auditX86_64}, "allow"},
		{"beside it", newest, Data{Nr: 601, Arch: auditX86_64}, "ENOSYS"},
		{"newer than the i386 table", newest, Data{Nr: 600, Arch: auditI386}, "allow"},
		{"largest number", newest, Data{Nr: 4095, Arch: auditX86_64}, "notify"},
		{"behind the largest number", newest, Data{Nr: 4096, Arch: auditX86_64}, "ENOSYS"},

		{"allow goes before notify", both, Data{Nr: 0, Arch: auditX86_64}, "allow"},
		{"notify of write", both, Data{Nr: 1, Arch: auditX86_64}, "notify"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Compile(tt.spec)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Eval(f.Insns, tt.data)
			if err != nil || got.String() != tt.want {
				t.Errorf("got %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	abroad := ARM64
	if Native() == ARM64 {
		abroad = X86_64
	}
	for _, tt := range []struct {
		name string
		spec Spec
		want string
	}{
		{"nothing", Spec{}, "no call is allowed"},
		{"nothing but notify", Spec{Notify: set("read")}, "no call is allowed"},
		{"error too large", Spec{Allow: set("read"), Answers: Answers{Denied: ActErrno}}, "error number 0: there are 1 to 4095"},
		{"number too large", Spec{Allow: NewSet(Call{Native(), 4096})}, "no kernel has that number"},
		{"number with the x32 bit", Spec{Allow: NewSet(Call{Native(), x32Bit})}, "no kernel has that number"},
		{"another machine's call", Spec{Allow: NewSet(Call{abroad, 1})}, "cannot be called on"},
		{"another machine's call to notify", Spec{Allow: set("read"), Notify: NewSet(Call{abroad, 1})}, "cannot be called on"},
		{"unknown abi", Spec{Allow: NewSet(Call{ABI(9), 1})}, "cannot be called on"},
	} {
		if _, err := Compile(tt.spec); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestEveryNumber runs compiled filters for every number of every ABI.
func TestEveryNumber(t *testing.T) {
	everything := NewSet(slices.Concat(Calls(Native()), Calls(I386), Calls(X32))...)
	if Native() != X86_64 {
		everything = NewSet(Calls(Native())...)
	}
	specs := map[string]Spec{
		"a server's start":  Derive(server, nil).StartSpec(),
		"a server's boot":   Derive(server, nil).WideSpec(),
		"a server's run":    Derive(server, nil).NarrowSpec(),
		"everything":        {Allow: everything},
		"notify everything": {Allow: set("exit"), Notify: everything},
		"deny with ENOSYS":  {Allow: set("exit"), Answers: Answers{Denied: RefuseWith(unix.ENOSYS)}},
	}
	for name, s := range specs {
		t.Run(name, func(t *testing.T) { checkFilter(t, s, 1024) })
	}
}

func TestRandomSpecs(t *testing.T) {
	for seed := range uint64(40) {
		checkFilter(t, randomSpec(rand.New(rand.NewPCG(seed, 3))), 1024)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// randomSpec leans to what is awkward: dense and sparse sets, every ABI of the
// machine, numbers at and beyond the ends of the tables.
func randomSpec(r *rand.Rand) Spec {
	here := possible(Native())
	random := func() Call {
		c := Call{here[r.IntN(len(here))], r.Uint32N(500)}
		if r.IntN(20) == 0 {
			c.Nr = r.Uint32N(maxNr + 1)
		}
		return c
	}
	allow, notify := []Call{random()}, []Call{}
	for range r.IntN(1 << r.IntN(11)) {
		allow = append(allow, random())
	}
	for range r.IntN(1 << r.IntN(9)) {
		notify = append(notify, random())
	}
	return Spec{Allow: NewSet(allow...), Notify: NewSet(notify...), Answers: randomAnswers(r)}
}

// checkFilter compiles s and holds the bytecode, for every number below end of
// every ABI, against the spec, and against another implementation of BPF.
func checkFilter(t *testing.T, s Spec, end uint32) {
	t.Helper()
	f, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Insns) > maxInsns {
		t.Fatalf("%d instructions", len(f.Insns))
	}
	vm := otherVM(t, f.Insns)
	check := func(c Call) {
		t.Helper()
		got, err := Eval(f.Insns, DataOf(c))
		if err != nil || got != s.Want(c) {
			t.Errorf("%s: got %s, %v, want %s", c, got, err, s.Want(c))
		}
		if other := vm(DataOf(c)); other != got {
			t.Errorf("%s: got %s, x/net/bpf says %s", c, got, other)
		}
	}
	for abi := range abis {
		for nr := range end {
			check(Call{abi, nr})
		}
	}
	for _, set := range []Set{s.Allow, s.Notify} {
		for c := range set.All() {
			check(c)
			check(Call{c.ABI, c.Nr + 1})
		}
	}
	check(Call{Native(), 0x3fffffff})
	check(Call{Native(), 0xffffffff})
}

// otherVM runs a program in golang.org/x/net/bpf. That is made for packets, so it
// reads words big-endian: the data is laid out that way for it.
func otherVM(t *testing.T, insns []unix.SockFilter) func(Data) Action {
	t.Helper()
	var prog []bpf.Instruction
	for _, in := range insns {
		prog = append(prog, bpf.RawInstruction{Op: in.Code, Jt: in.Jt, Jf: in.Jf, K: in.K}.Disassemble())
	}
	vm, err := bpf.NewVM(prog)
	if err != nil {
		t.Fatal(err)
	}
	return func(d Data) Action {
		n, err := vm.Run(packet(d))
		if err != nil {
			t.Fatal(err)
		}
		return Action(uint32(n))
	}
}
