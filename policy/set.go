package policy

import (
	"iter"
	"slices"
	"strings"
)

// Set is a set of calls. It is a value: the zero value is empty, and no method
// changes its receiver.
type Set struct {
	calls []Call // sorted, each once, never written to after it was made
}

// NewSet returns the set of the given calls.
func NewSet(calls ...Call) Set {
	if len(calls) == 0 {
		return Set{}
	}
	sorted := slices.Clone(calls)
	slices.SortFunc(sorted, Call.Compare)
	return Set{slices.Compact(sorted)}
}

// Has reports whether c is in the set.
func (s Set) Has(c Call) bool {
	_, ok := slices.BinarySearchFunc(s.calls, c, Call.Compare)
	return ok
}

// Len returns the number of calls.
func (s Set) Len() int { return len(s.calls) }

// Calls returns the calls, ordered by ABI and number. The slice is the caller's.
func (s Set) Calls() []Call { return slices.Clone(s.calls) }

// All goes over the calls in the order of Calls, without a copy.
func (s Set) All() iter.Seq[Call] { return slices.Values(s.calls) }

// Union returns the calls that are in s or in t.
func (s Set) Union(t Set) Set { return NewSet(slices.Concat(s.calls, t.calls)...) }

// Minus returns the calls of s that are not in t.
func (s Set) Minus(t Set) Set { return s.filter(func(c Call) bool { return !t.Has(c) }) }

// Intersect returns the calls that are in s and in t.
func (s Set) Intersect(t Set) Set { return s.filter(t.Has) }

// With returns s and the given calls.
func (s Set) With(calls ...Call) Set { return s.Union(NewSet(calls...)) }

// Without returns s less the given calls.
func (s Set) Without(calls ...Call) Set { return s.Minus(NewSet(calls...)) }

// Equal reports whether both hold the same calls.
func (s Set) Equal(t Set) bool { return slices.Equal(s.calls, t.calls) }

// Of returns the calls of one ABI.
func (s Set) Of(a ABI) Set { return s.filter(func(c Call) bool { return c.ABI == a }) }

// String lists the calls by name, parted by spaces.
func (s Set) String() string {
	names := make([]string, len(s.calls))
	for i, c := range s.calls {
		names[i] = c.String()
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (s Set) filter(keep func(Call) bool) Set {
	var out []Call
	for _, c := range s.calls {
		if keep(c) {
			out = append(out, c)
		}
	}
	return Set{out}
}

// MarshalText lists the calls, parted by spaces, each with its ABI.
func (s Set) MarshalText() ([]byte, error) {
	var out []byte
	for i, c := range s.calls {
		text, err := c.MarshalText()
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, text...)
	}
	return out, nil
}

// UnmarshalText reads what MarshalText or String wrote. Any input is safe.
func (s *Set) UnmarshalText(text []byte) error {
	var calls []Call
	for name := range strings.FieldsSeq(string(text)) {
		c, err := ParseCall(name)
		if err != nil {
			return err
		}
		calls = append(calls, c)
	}
	*s = NewSet(calls...)
	return nil
}

// MarshalBinary is MarshalText, for encoders that know only this one (gob, cbor).
// Without it they would write every set as an empty one.
func (s Set) MarshalBinary() ([]byte, error) { return s.MarshalText() }

// UnmarshalBinary reads what MarshalBinary wrote. Any input is safe.
func (s *Set) UnmarshalBinary(data []byte) error { return s.UnmarshalText(data) }
