package session

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// maxArguments bounds what a recording keeps of argument values: as many as the
// tracer's table has room for.
const maxArguments = 8192

// Argument is how often a call had certain values for the arguments that decide
// what it is; see trace.ArgRow. Values has one or two.
type Argument struct {
	Group       trace.Group
	Call        policy.Call
	Values      []uint64
	Count       uint64
	First, Last time.Duration
}

// Seen is a as policies know values.
func (a Argument) Seen() policy.Seen {
	return policy.Seen{Call: a.Call, Values: a.Values, Count: a.Count}
}

// ProposeConditions returns conditions on a call, made of the values that the main program
// had, and those of what entered later too if exec is included. ok is false when
// nothing is known that conditions could be made of.
func (s *Session) ProposeConditions(c policy.Call, exec bool) (p policy.Proposal, ok bool) {
	var seen []policy.Seen
	for _, a := range s.Arguments() {
		if a.Call == c && (a.Group == trace.Main || a.Group == trace.Exec && exec) {
			seen = append(seen, a.Seen())
		}
	}
	s.mu.RLock()
	note := s.merged.valuesNote()
	s.mu.RUnlock()
	list := policy.Propose(seen)
	if len(list) == 0 {
		return policy.Proposal{}, false
	}
	p = list[0]
	if p.Why != "" && note != "" {
		p.Why += "; " + note
	}
	return p, true
}

// argKey tells Arguments apart.
type argKey struct {
	group  trace.Group
	call   policy.Call
	n      int
	values [2]uint64
}

func (a Argument) key() argKey {
	k := argKey{group: a.Group, call: a.Call, n: len(a.Values)}
	copy(k.values[:], a.Values)
	return k
}

// Arguments returns the argument values that were seen, by group, call and value, those
// of merged runs among them.
func (s *Session) Arguments() []Argument {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var own, out []RunValue
	for _, a := range s.sortedArguments() {
		own = append(own, RunValue{Argument: a})
	}
	if out = own; len(s.merged.values) > 0 {
		out = addValues(own, s.merged.values, false)
	}
	list := make([]Argument, len(out))
	for i, v := range out {
		list[i] = v.Argument
		list[i].Values = slices.Clone(v.Values)
	}
	return list
}

func (s *Session) sortedArguments() []Argument {
	out := make([]Argument, 0, len(s.arguments))
	for _, a := range s.arguments {
		a.Values = slices.Clone(a.Values)
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Argument) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), compareCalls(a.Call, b.Call), slices.Compare(a.Values, b.Values))
	})
	return out
}

// SetArguments takes the counts of list over; what is known of other values
// stays. Only what is new in it goes to the file at once, with all the rest if
// whole is set: counts alone are not worth a frame every second.
func (s *Session) SetArguments(list []Argument, whole bool) {
	s.change(func() {
		var fresh []Argument
		for _, a := range list {
			if !s.setArgument(a) || whole {
				fresh = append(fresh, a)
			}
		}
		for part := range slices.Chunk(fresh, maxFrameTable) {
			s.put(argumentsFrame(part))
		}
	})
}

// setArgument reports whether these values were known.
func (s *Session) setArgument(a Argument) (known bool) {
	k := a.key()
	_, known = s.arguments[k]
	if known || len(s.arguments) < maxArguments {
		s.arguments[k] = a
	}
	return known
}

type wireArgument struct {
	Group  trace.Group `cbor:"1,keyasint"`
	ABI    policy.ABI  `cbor:"2,keyasint"`
	Nr     uint32      `cbor:"3,keyasint"`
	Values []uint64    `cbor:"4,keyasint"`
	Count  uint64      `cbor:"5,keyasint"`
	First  int64       `cbor:"6,keyasint"`
	Last   int64       `cbor:"7,keyasint"`
}

func argumentsFrame(list []Argument) frame {
	w := make([]wireArgument, len(list))
	for i, a := range list {
		w[i] = wireArgument{Group: a.Group, ABI: a.Call.ABI, Nr: a.Call.Nr, Values: a.Values,
			Count: a.Count, First: int64(a.First), Last: int64(a.Last)}
	}
	return newFrame(kindArguments, w)
}

// argument checks and unpacks w: it comes from a file.
func (w wireArgument) argument() (Argument, error) {
	a := Argument{w.Group, policy.Call{ABI: w.ABI, Nr: w.Nr}, w.Values, w.Count, time.Duration(w.First), time.Duration(w.Last)}
	if a.Group > trace.Exec || a.Call.ABI > policy.ARM64 || len(a.Values) < 1 || len(a.Values) > 2 ||
		a.Count == 0 || a.Last < a.First || !inRange(a.First) || !inRange(a.Last) {
		return a, fmt.Errorf("%w: argument %+v", errFrame, w)
	}
	return a, nil
}

// argumentOf is a tracer's row in the times of the recording.
func (m Meta) argumentOf(r trace.ArgRow) Argument {
	return Argument{
		Group: r.Group, Call: policy.Call{ABI: policy.ABI(r.ABI), Nr: r.Nr}, Values: slices.Clone(r.Values[:r.N]),
		Count: r.Count, First: m.Offset(r.First), Last: m.Offset(r.Last),
	}
}
