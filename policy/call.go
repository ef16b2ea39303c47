package policy

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

//go:generate go run ./gen .

// Call is one system call: an ABI and a number. Nr is the number without x32's
// bit 30, so that it is the index into the kernel's table of the ABI.
type Call struct {
	ABI ABI
	Nr  uint32
}

// maxNr is the largest call number that is taken for one: far above any
// kernel's, and small enough to keep a hostile file from asking for much.
const maxNr = 4095

// names returns the ABI's table, by number.
func (a ABI) names() []string {
	switch a {
	case X86_64:
		return amd64Names[:]
	case X32:
		return x32Names()
	case I386:
		return i386Names[:]
	case ARM64:
		return arm64Names[:]
	}
	return nil
}

// numbers finds the number of a name, per ABI.
var numbers = sync.OnceValue(func() (m [abis]map[string]uint32) {
	for a := range abis {
		m[a] = make(map[string]uint32, len(a.names()))
		for nr, name := range a.names() {
			if name != "" {
				m[a][name] = uint32(nr)
			}
		}
	}
	return m
})

// Name returns the call's name without its ABI ("openat"), "#999" if it has
// none.
func (c Call) Name() string {
	if names := c.ABI.names(); uint64(c.Nr) < uint64(len(names)) && names[c.Nr] != "" {
		return names[c.Nr]
	}
	return "#" + strconv.FormatUint(uint64(c.Nr), 10)
}

// String returns "openat" for a call of the native ABI, "i386:open" for one of
// another, and "#999" or "i386:#999" for a number without a name.
func (c Call) String() string {
	if c.ABI == Native() {
		return c.Name()
	}
	return c.ABI.String() + ":" + c.Name()
}

// Known reports whether the call has a name.
func (c Call) Known() bool {
	names := c.ABI.names()
	return uint64(c.Nr) < uint64(len(names)) && names[c.Nr] != ""
}

// Register returns the number as programs pass it and as seccomp_data has it:
// with bit 30 for x32.
func (c Call) Register() uint32 {
	if c.ABI == X32 {
		return c.Nr | x32Bit
	}
	return c.Nr
}

// Compare orders calls by ABI, then number.
func (c Call) Compare(d Call) int {
	if n := cmp.Compare(c.ABI, d.ABI); n != 0 {
		return n
	}
	return cmp.Compare(c.Nr, d.Nr)
}

// ParseCall reads what String returns. It takes the native ABI's prefix too,
// and "#257" for a call that has a name, so that files written before the name
// was known still read. Any input is safe.
func ParseCall(s string) (Call, error) {
	abi, name := Native(), s
	if prefix, rest, ok := strings.Cut(s, ":"); ok {
		if abi, ok = parseABI(prefix); !ok {
			return Call{}, fmt.Errorf("parse call %q: unknown abi", shorten(s))
		}
		name = rest
	}
	if digits, ok := strings.CutPrefix(name, "#"); ok {
		nr, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || nr > maxNr || strconv.FormatUint(nr, 10) != digits {
			return Call{}, fmt.Errorf("parse call %q: not a call number", shorten(s))
		}
		return Call{abi, uint32(nr)}, nil
	}
	nr, ok := numbers()[abi][name]
	if !ok {
		return Call{}, fmt.Errorf("parse call %q: %s has no such call", shorten(s), abi)
	}
	return Call{abi, nr}, nil
}

// shorten keeps hostile input from flooding an error message.
func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// Calls returns all calls of the ABI that have a name, by ascending number.
func Calls(a ABI) []Call {
	var out []Call
	for nr, name := range a.names() {
		if name != "" {
			out = append(out, Call{a, uint32(nr)})
		}
	}
	return out
}

// MarshalText writes the call with its ABI, native or not, so that a file means
// the same on every machine.
func (c Call) MarshalText() ([]byte, error) {
	if c.ABI >= abis {
		return nil, fmt.Errorf("write call: unknown abi %d", c.ABI)
	}
	return []byte(c.ABI.String() + ":" + c.Name()), nil
}

// UnmarshalText reads what MarshalText or String wrote.
func (c *Call) UnmarshalText(text []byte) error {
	parsed, err := ParseCall(string(text))
	if err != nil {
		return err
	}
	*c = parsed
	return nil
}
