package policy

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
)

// Look is an argument that conditions look at, and the bits of it that decide.
type Look struct {
	Arg  uint8
	Mask uint64
}

// Looks returns what the conditions on a call look at, by argument.
func (s Spec) Looks(c Call) []Look {
	masks := map[uint8]uint64{}
	for _, r := range s.rulesAbout(c) {
		for _, x := range r.When {
			mask := uint64(math.MaxUint64)
			if x.Op == MaskedEqual {
				mask = x.Mask
			}
			masks[x.Arg] |= mask
		}
	}
	var out []Look
	for _, arg := range slices.Sorted(maps.Keys(masks)) {
		out = append(out, Look{arg, masks[arg]})
	}
	return out
}

// Values returns conditions that hold for what these arguments are in the places that
// are looked at, and for nothing else there.
func (c Call) Values(looks []Look, args Args) []Condition {
	args = c.ABI.Seen(args)
	var out []Condition
	for _, l := range looks {
		if int(l.Arg) >= len(args) {
			continue
		}
		x := Condition{Arg: l.Arg, Value: args[l.Arg] & l.Mask}
		if l.Mask != math.MaxUint64 {
			x.Op, x.Mask = MaskedEqual, l.Mask
		}
		out = append(out, x)
	}
	return out
}

// With names a call with what is said of its arguments: "socket with AF_NETLINK",
// "clone with arg0 & 0x7e020000 == 0x10000000".
func (c Call) With(when []Condition) string {
	if len(when) == 0 {
		return c.String()
	}
	words := make([]string, len(when))
	for i, x := range when {
		words[i] = x.String()
		if name := valueName(c.Name(), x); name != "" {
			words[i] = name
		}
	}
	return fmt.Sprintf("%s with %s", c, strings.Join(words, ", "))
}

// valuePrefixes say which ValueNames are those of a call's argument.
var valuePrefixes = map[string]map[uint8]string{
	"socket": {0: "AF_", 1: "SOCK_"}, "socketpair": {0: "AF_", 1: "SOCK_"}, "prctl": {0: "PR_"},
	"clone": {0: "CLONE_"}, "unshare": {0: "CLONE_"}, "setns": {1: "CLONE_"},
}

// valueName is the name of a value that one has: "" for sums of flags and what is
// compared otherwise.
func valueName(call string, x Condition) string {
	prefix := valuePrefixes[call][x.Arg]
	if prefix == "" || x.Op != Equal && x.Op != MaskedEqual {
		return ""
	}
	return namesOfValues()[prefix][x.Value]
}

var namesOfValues = sync.OnceValue(func() map[string]map[uint64]string {
	out := map[string]map[uint64]string{}
	for name, v := range valueNames {
		prefix, _, _ := strings.Cut(name, "_")
		if out[prefix+"_"] == nil {
			out[prefix+"_"] = map[uint64]string{}
		}
		out[prefix+"_"][v] = name
	}
	return out
})
