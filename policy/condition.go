package policy

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Compare is how a condition compares an argument with its value. The kernel's
// filters see the registers alone, as unsigned numbers of 64 bits: never what a
// pointer leads to.
type Compare uint8

// The comparisons, those of libseccomp.
const (
	Equal Compare = iota // the value given for nothing
	NotEqual
	Less
	LessOrEqual
	Greater
	GreaterOrEqual
	MaskedEqual // the bits in Mask are those of Value
	compares
)

var compareSigns = [compares]string{"==", "!=", "<", "<=", ">", ">=", "&"}

// String returns the sign ("==").
func (c Compare) String() string {
	if c < compares {
		return compareSigns[c]
	}
	return "?"
}

// Condition is a test of one argument.
type Condition struct {
	Arg   uint8 // 0 to 5
	Op    Compare
	Value uint64
	Mask  uint64 // of MaskedEqual alone
}

// Args are the six arguments of a call as the kernel gets them, unused ones too.
type Args = [6]uint64

// Holds reports whether the arguments pass the test. A condition that Check
// refuses holds for none.
func (c Condition) Holds(args Args) bool {
	if c.Check() != nil {
		return false
	}
	x := args[c.Arg]
	switch c.Op {
	case Equal:
		return x == c.Value
	case NotEqual:
		return x != c.Value
	case Less:
		return x < c.Value
	case LessOrEqual:
		return x <= c.Value
	case Greater:
		return x > c.Value
	case GreaterOrEqual:
		return x >= c.Value
	}
	return x&c.Mask == c.Value
}

// Check returns an error when the condition is none, or can never hold.
func (c Condition) Check() error {
	switch {
	case int(c.Arg) >= len(Args{}):
		return fmt.Errorf("argument %d: there are 0 to 5", c.Arg)
	case c.Op >= compares:
		return fmt.Errorf("unknown comparison %d", c.Op)
	case c.Op == MaskedEqual && c.Value&^c.Mask != 0:
		return fmt.Errorf("%s never holds: the value has bits that the mask takes away", c)
	case c.Op == Less && c.Value == 0, c.Op == Greater && c.Value == math.MaxUint64:
		return fmt.Errorf("%s never holds", c)
	}
	return nil
}

// String returns "arg0 == 0x10" or "arg0 & 0xff == 0x10".
func (c Condition) String() string {
	if c.Op == MaskedEqual {
		return fmt.Sprintf("arg%d & %#x == %#x", c.Arg, c.Mask, c.Value)
	}
	return fmt.Sprintf("arg%d %s %#x", c.Arg, c.Op, c.Value)
}

// ParseCondition reads one condition as ParseConditions does. Any input is safe.
func ParseCondition(s string) (Condition, error) {
	when, err := ParseConditions(s)
	if err == nil && (len(when) != 1 || len(when[0]) != 1) {
		err = errors.New("it is more than one")
	}
	if err != nil {
		return Condition{}, fmt.Errorf("parse condition %q: %w", shorten(s), err)
	}
	return when[0][0], nil
}

// order sorts conditions, so that equal lists of them look the same.
func (c Condition) order(d Condition) int {
	return cmp.Or(cmp.Compare(c.Arg, d.Arg), cmp.Compare(c.Op, d.Op), cmp.Compare(c.Value, d.Value), cmp.Compare(c.Mask, d.Mask))
}

// allHold reports whether all conditions hold; none always do.
func allHold(when []Condition, args Args) bool {
	for _, c := range when {
		if !c.Holds(args) {
			return false
		}
	}
	return true
}

// Witness returns arguments for which all the conditions hold. ok is false when
// there are none. The other arguments are 0.
func Witness(when []Condition) (args Args, ok bool) {
	for i := range args {
		if args[i], ok = witness(when, uint8(i)); !ok {
			return Args{}, false
		}
	}
	return args, true
}

// witness finds the smallest value of one argument that passes its conditions.
func witness(when []Condition, arg uint8) (uint64, bool) {
	low, high := uint64(0), uint64(math.MaxUint64)
	var mask, bits uint64
	not := map[uint64]bool{}
	for _, c := range when {
		if c.Arg != arg {
			continue
		}
		if c.Check() != nil {
			return 0, false
		}
		switch c.Op {
		case Equal:
			low, high = max(low, c.Value), min(high, c.Value)
		case NotEqual:
			not[c.Value] = true
		case Less:
			high = min(high, c.Value-1)
		case LessOrEqual:
			high = min(high, c.Value)
		case Greater:
			low = max(low, c.Value+1)
		case GreaterOrEqual:
			low = max(low, c.Value)
		case MaskedEqual:
			if (bits^c.Value)&mask&c.Mask != 0 {
				return 0, false
			}
			mask, bits = mask|c.Mask, bits|c.Value
		}
	}
	for { // each round but the last meets one of the excluded values
		x, ok := smallestMasked(low, mask, bits)
		if !ok || x > high {
			return 0, false
		}
		if !not[x] {
			return x, true
		}
		if x == math.MaxUint64 {
			return 0, false
		}
		low = x + 1
	}
}

// smallestMasked returns the smallest x from low on whose bits in mask are bits.
func smallestMasked(low, mask, bits uint64) (uint64, bool) {
	x := low&^mask | bits
	if x == low {
		return x, true
	}
	// The highest bit in which x and low differ decides.
	for i := 63; i >= 0; i-- {
		bit := uint64(1) << i
		if x&bit == low&bit {
			continue
		}
		below := bit - 1
		if x&bit != 0 { // above low here: all below may be as small as they can
			return x &^ (below &^ mask), true
		}
		// Below low here: a free bit above, 0 so far, has to become 1.
		for j := i + 1; j < 64; j++ {
			up := uint64(1) << j
			if mask&up == 0 && x&up == 0 {
				return (x | up) &^ ((up - 1) &^ mask), true
			}
		}
		return 0, false
	}
	return x, true
}

// negation returns conditions of which one holds where c does not, and none where
// it does.
func (c Condition) negation() []Condition {
	turned := map[Compare]Compare{Equal: NotEqual, NotEqual: Equal, Less: GreaterOrEqual, GreaterOrEqual: Less,
		Greater: LessOrEqual, LessOrEqual: Greater}
	if op, ok := turned[c.Op]; ok {
		return []Condition{{Arg: c.Arg, Op: op, Value: c.Value}}
	}
	var out []Condition // one of the bits is another
	for bit := range 64 {
		if m := uint64(1) << bit; c.Mask&m != 0 {
			out = append(out, Condition{Arg: c.Arg, Op: MaskedEqual, Mask: m, Value: ^c.Value & m})
		}
	}
	return out
}

// maxComplement bounds Complement: each condition of each rule multiplies.
const maxComplement = 128

// Complement returns lists of conditions of which one holds wherever none of the
// rules does, and never where one does. nil: there are none, or they would be very
// many.
func Complement(rules []Rule) [][]Condition {
	out := [][]Condition{nil}
	for _, r := range rules {
		var next [][]Condition
		for _, have := range out {
			for _, c := range r.When {
				for _, n := range c.negation() {
					when := append(slices.Clone(have), n)
					if _, ok := Witness(when); ok {
						next = append(next, when)
					}
				}
			}
		}
		if out = next; len(out) > maxComplement {
			return nil
		}
	}
	return out
}

var errContradict = errors.New("rules contradict each other")
