package policy

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

func FuzzParseCall(f *testing.F) {
	for _, s := range []string{"", "openat", "i386:open", "x32:#15", "#999", "arm64:", "#4096", ":", "x86_64:#0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCall(s)
		if err != nil {
			return
		}
		if back, err := ParseCall(c.String()); err != nil || back != c {
			t.Errorf("%q: %v comes back as %v, %v", s, c, back, err)
		}
	})
}

// FuzzEval runs any bytes as a program. An answer must not depend on chance, and
// a program that has one must take each instruction at most once.
func FuzzEval(f *testing.F) {
	seed := func(insns []unix.SockFilter) {
		raw, err := binary.Append(nil, binary.LittleEndian, insns)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw, uint32(0), uint32(auditX86_64), uint64(1))
	}
	filter, err := Compile(Spec{Allow: NewSet(Call{Native(), 1})})
	if err != nil {
		f.Fatal(err)
	}
	seed(filter.Insns)
	for i := range uint64(4) {
		seed(arithmetic(rand.New(rand.NewPCG(i, 4)), Call{}))
	}
	f.Fuzz(func(t *testing.T, raw []byte, nr, arch uint32, arg uint64) {
		insns := make([]unix.SockFilter, len(raw)/8)
		if _, err := binary.Decode(raw, binary.LittleEndian, insns); err != nil {
			t.Fatal(err)
		}
		d := Data{Nr: nr, Arch: arch, IP: ^arg, Args: [6]uint64{arg, arg << 1}}
		one, err := Eval(insns, d)
		two, again := Eval(insns, d)
		if one != two || (err == nil) != (again == nil) {
			t.Errorf("got %s, %v, then %s, %v", one, err, two, again)
		}
		if err != nil && one != 0 {
			t.Errorf("an answer, %s, with an error: %v", one, err)
		}
		allOf, err2 := EvalAll([][]unix.SockFilter{insns, {ret(ActAllow)}}, d)
		if (err == nil) != (err2 == nil) || err == nil && !one.Allows() && allOf != one {
			t.Errorf("alone %s, under an allow %s", one, allOf)
		}
	})
}

// FuzzSpec compiles random specs, and runs the bytecode for every number.
func FuzzSpec(f *testing.F) {
	for i := range uint64(8) {
		f.Add(i, i*i)
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		checkFilter(t, randomSpec(rand.New(rand.NewPCG(a, b))), 600)
	})
}
