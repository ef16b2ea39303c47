package policy

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Verified is what was tried to hold a program against what it should answer.
type Verified struct {
	Calls  int // numbers of all ABIs
	Cases  int // of numbers with arguments
	Differ []Mismatch
	More   int // mismatches beyond those in Differ
}

// OK reports whether the program answered every case as it should.
func (v Verified) OK() bool { return v.Cases > 0 && len(v.Differ) == 0 }

// Mismatch is a case in which a program answers otherwise than it should.
type Mismatch struct {
	Call      Call
	Args      Args
	Got, Want Action
}

// String words it.
func (m Mismatch) String() string {
	return fmt.Sprintf("%s with %#x: answers %s, should %s", m.Call, m.Args, m.Got, m.Want)
}

// maxMismatches bounds the list: one wrong jump is wrong for thousands of cases.
const maxMismatches = 20

// Verify runs a program for every number from 0 to 4096 of every ABI, and two
// numbers far beyond, at the arguments at which the rules could change their
// answer, and holds what it answers against the rules. Numbers above all tables
// are answered by their kind alone, so that these stand for the rest.
func Verify(insns []unix.SockFilter, r Rules) (Verified, error) {
	return VerifyAll([][]unix.SockFilter{insns}, r)
}

// VerifyAll does the same for programs that stand on each other, oldest first.
func VerifyAll(chain [][]unix.SockFilter, r Rules) (Verified, error) {
	return verify(chain, r.Want, func(c Call) []Args { return Edges(r.rules[c]) })
}

// VerifySpec does the same for a spec. Calls without conditions are tried without
// arguments and with all their bits set.
func VerifySpec(insns []unix.SockFilter, s Spec) (Verified, error) {
	all := Args{}
	for i := range all {
		all[i] = ^uint64(0)
	}
	return verify([][]unix.SockFilter{insns}, s.Answer, func(c Call) []Args {
		if edges := s.Edges(c); edges != nil {
			return edges
		}
		return []Args{{}, all}
	})
}

func verify(chain [][]unix.SockFilter, want func(Call, Args) Action, edges func(Call) []Args) (Verified, error) {
	var v Verified
	for abi := range abis {
		for nr := range uint32(maxNr + 4) {
			c := Call{abi, nr}
			if nr > maxNr+1 { // far beyond, but no x32
				c.Nr = []uint32{0x3fffffff, 0x00ffffff}[nr-maxNr-2]
			}
			v.Calls++
			for _, args := range edges(c) {
				d := DataOf(c)
				d.Args = args
				got, err := EvalAll(chain, d)
				if err != nil {
					return v, err
				}
				v.add(c, args, got, want(c, args))
			}
		}
	}
	return v, nil
}

func (v *Verified) add(c Call, args Args, got, want Action) {
	v.Cases++
	if got == want {
		return
	}
	if len(v.Differ) == maxMismatches {
		v.More++
		return
	}
	v.Differ = append(v.Differ, Mismatch{c, args, got, want})
}
