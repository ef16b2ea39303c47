package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Seen is how often a call had certain values for the arguments that decide what
// it does, as a recording counts them.
type Seen struct {
	Call   Call
	Values []uint64 // in the order of the arguments
	Count  uint64
}

// Given returns the answer to a call of which the arguments are known that decide
// what it does. ok is false where a rule asks for others.
func (r Rules) Given(s Seen) (a Action, ok bool) {
	args, known := s.args()
	for _, rule := range r.rules[s.Call] {
		if slices.ContainsFunc(rule.When, func(c Condition) bool { return !known[c.Arg] }) {
			return 0, false
		}
	}
	return r.Want(s.Call, args), true
}

// args are the arguments of a call as far as they are known, and which are.
func (s Seen) args() (args Args, known [len(Args{})]bool) {
	recorded := decidings[s.Call.Name()].args
	for i, arg := range recorded[:min(len(recorded), len(s.Values))] {
		args[arg], known[arg] = s.Values[i], true
	}
	return s.Call.ABI.Seen(args), known
}

// deciding says which arguments of a call decide what it does, and how they are
// compared.
type deciding struct {
	args  []uint8
	flags bool   // a value is flags: bits that were never set are refused
	mask  uint64 // of flags: the bits that open something, others do not matter
	warn  string // why a condition on it cannot be relied on
}

// Namespaces, and running a child in the parent's stead: CLONE_NEW* and
// CLONE_PTRACE, CLONE_UNTRACED, CLONE_PARENT of linux/sched.h.
const (
	newNamespaces = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
	protExec      = 0x4
)

const pointed = "its flags are in memory that the program can change after the filter has looked: a filter never sees them"

// decidings are the calls that conditions are proposed for, by name.
var decidings = map[string]deciding{
	"clone":         {args: []uint8{0}, flags: true, mask: newNamespaces},
	"unshare":       {args: []uint8{0}, flags: true, mask: 1<<32 - 1},
	"setns":         {args: []uint8{1}},
	"socket":        {args: []uint8{0, 1}},
	"socketpair":    {args: []uint8{0, 1}},
	"prctl":         {args: []uint8{0}},
	"ioctl":         {args: []uint8{1}},
	"personality":   {args: []uint8{0}},
	"mmap":          {args: []uint8{2}, flags: true, mask: protExec},
	"mprotect":      {args: []uint8{2}, flags: true, mask: protExec},
	"pkey_mprotect": {args: []uint8{2}, flags: true, mask: protExec},
	"mmap2":         {args: []uint8{2}, flags: true, mask: protExec},
	"seccomp":       {args: []uint8{0}},
	"bpf":           {args: []uint8{0}},
	"clone3":        {warn: pointed},
	"openat2":       {warn: pointed},
	"open":          {args: []uint8{1}, warn: "what it may open is in its path, which a filter never sees: its flags alone keep little away"},
	"openat":        {args: []uint8{2}, warn: "what it may open is in its path, which a filter never sees: its flags alone keep little away"},
	"socketcall":    {warn: "its arguments are in memory: a filter sees which call it is, and no more"},
}

// maxValues is how many values are worth a condition each. A program that uses
// more of them will use others, too.
const maxValues = 16

// socketType are the bits of a socket's type that are the type: the others are
// SOCK_CLOEXEC and SOCK_NONBLOCK.
const socketType = 0xf

// Proposal are conditions under which a call may be allowed, made of what was
// seen. Rules hold for all of it.
type Proposal struct {
	Call  Call
	Rules []Rule // allow, each by its conditions; none: no condition is worth it
	// Why says what the conditions are made of; Warn why they cannot be relied on,
	// or why there are none.
	Why, Warn string
}

// Propose makes conditions of the argument values that were seen: for clone's and
// unshare's flags, the domains and types of sockets, the options of prctl, the
// requests of ioctl, personality, and executable memory. What was not seen would be
// refused, so that a value which the program needs once a week is missed: they are
// proposals. The result is sorted by call.
func Propose(seen []Seen) []Proposal {
	by := map[Call][]Seen{}
	for _, s := range seen {
		by[s.Call] = append(by[s.Call], s)
	}
	var out []Proposal
	for c, list := range by {
		if d, ok := decidings[c.Name()]; ok {
			out = append(out, d.propose(c, list))
		}
	}
	slices.SortFunc(out, func(a, b Proposal) int { return compareNames(a.Call, b.Call) })
	return out
}

func (d deciding) propose(c Call, list []Seen) Proposal {
	p := Proposal{Call: c, Warn: d.warn}
	if d.warn != "" {
		return p
	}
	var count uint64
	values := map[[2]uint64]bool{}
	var bits uint64
	for _, s := range list {
		if len(s.Values) < len(d.args) {
			continue
		}
		var v [2]uint64
		copy(v[:], s.Values[:len(d.args)])
		v = d.relevant(c, v)
		values[v], bits, count = true, bits|v[0], count+s.Count
	}
	switch {
	case len(values) == 0:
		p.Warn = "no value of its arguments was recorded"
	case d.flags:
		d.proposeFlags(&p, bits, count)
	case len(values) > maxValues:
		p.Warn = fmt.Sprintf("%d different values were seen: too many to be all that it uses", len(values))
	default:
		d.proposeValues(&p, values, count)
	}
	if strings.HasPrefix(c.Name(), "clone") && p.Warn == "" {
		p.Warn = "clone3 does the same with flags that a filter never sees: let it fail with ENOSYS, or the condition keeps nothing away"
	}
	if d.mask == protExec && len(p.Rules) > 0 {
		p.Warn = "the loader of shared libraries maps code: a program that loads any later is refused"
	}
	return p
}

// relevant leaves out what does not decide anything.
func (d deciding) relevant(c Call, v [2]uint64) [2]uint64 {
	if len(d.args) == 2 { // of a socket: flags are set on its type
		v[1] &= socketType
	}
	if d.flags {
		v[0] &= d.mask
	}
	seen := c.ABI.Seen(Args{v[0], v[1]})
	return [2]uint64{seen[0], seen[1]}
}

// proposeFlags refuses the flags that open something and were never set.
func (d deciding) proposeFlags(p *Proposal, bits, count uint64) {
	refused := d.mask &^ bits
	if refused == 0 {
		p.Warn = "every flag that matters was seen set"
		return
	}
	p.Rules = []Rule{{p.Call, ActAllow, []Condition{{Arg: d.args[0], Op: MaskedEqual, Mask: refused}}}}
	p.Why = fmt.Sprintf("of %d calls none set a flag of %#x", count, refused)
}

// proposeValues allows the values that were seen, and no others.
func (d deciding) proposeValues(p *Proposal, values map[[2]uint64]bool, count uint64) {
	for v := range values {
		when := []Condition{{Arg: d.args[0], Op: Equal, Value: v[0]}}
		if len(d.args) == 2 {
			when = append(when, Condition{Arg: d.args[1], Op: MaskedEqual, Mask: socketType, Value: v[1]})
		}
		p.Rules = append(p.Rules, Rule{p.Call, ActAllow, when})
	}
	slices.SortFunc(p.Rules, func(a, b Rule) int { return slices.CompareFunc(a.When, b.When, Condition.order) })
	p.Why = fmt.Sprintf("%d calls had no other value than these %d", count, len(values))
	if len(values) == 1 {
		p.Why = fmt.Sprintf("%d calls all had this value", count)
	}
}
