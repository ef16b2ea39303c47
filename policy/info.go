package policy

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// Info is what is known of one call, whatever any program does with it. What its
// slices lead to is shared: read only.
type Info struct {
	// Since is the first kernel that has the call for its ABI ("2.6.16"), "" for a
	// number that was set aside and never used. From syscalls(2) and the kernel's
	// release notes; x86_64 itself is younger than the oldest calls.
	Since string
	// Words says what it does.
	Words string
	// Family names the calls that can do the same job ("open" for open, openat,
	// openat2 and creat), "" if there are no others. See Call.Family.
	Family string
	// Needs is the capability or right that it takes, and for what if not for all
	// of it ("CAP_CHOWN for files of others"), "" for none.
	Needs string
	// Groups are the groups of SystemCallFilter= of systemd 252 that it is in, directly
	// or as part of another, sorted.
	Groups []string
	// Docker lists the rules of Docker's default profile that allow it, any of
	// which suffices. None: Docker denies it.
	Docker []DockerRule
	Risk   Risk
}

// RiskLevel ranks what leaving a call open costs.
type RiskLevel uint8

// The levels. They are judgements, made from the causes that come with them.
const (
	// RiskNone: nothing is known that speaks against the call.
	RiskNone RiskLevel = iota
	// RiskLow: it tells about the host or disturbs it, or is no more than needless.
	RiskLow
	// RiskMedium: attacks went through it, but most programs need it as well, or
	// the attack asks for more besides.
	RiskMedium
	// RiskHigh: attacks that it was needed for have taken the host, or what it is
	// for gives the host away; few servers need it once they run.
	RiskHigh
)

// String returns "high", and "none known" for RiskNone.
func (l RiskLevel) String() string {
	switch l {
	case RiskLow:
		return "low"
	case RiskMedium:
		return "medium"
	case RiskHigh:
		return "high"
	}
	return "none known"
}

// CauseKind says what sort of fact a cause is.
type CauseKind string

// The kinds.
const (
	CauseCVE    CauseKind = "cve"    // a published hole of the kernel that is reached by the call
	CauseEscape CauseKind = "escape" // a published way out of a container or sandbox that uses it
	CausePower  CauseKind = "power"  // what the call does by design
	CauseRecord CauseKind = "record" // what was counted or decided about it
)

// Cause is one reason to close a call. Holes have been closed in later kernels;
// they tell how much code is reached, and where the next one is likely.
type Cause struct {
	Level  RiskLevel
	Kind   CauseKind
	Text   string
	Source string // a CVE of the NVD, a manual page or a page on the web
}

// Risk is what leaving a call open costs: the highest level of its causes, and
// these, worst first.
type Risk struct {
	Level  RiskLevel
	Causes []Cause
}

// fact is what the table has of one name. The table is in facts.go.
type fact struct {
	name                 string
	since                [abis]string
	words, family, needs string
	groups               []string
	docker               []dockerRule
	causes               []cause
}

// abiSet is a set of ABIs.
type abiSet uint8

const anyABI abiSet = 1<<abis - 1

// dockerRule and cause hold for some ABIs.
type dockerRule struct {
	on abiSet
	DockerRule
}
type cause struct {
	on abiSet
	Cause
}

// infos holds the Info of every call that has a name, by ABI and number.
var infos = sync.OnceValue(func() (all [abis][]Info) {
	for a := range abis {
		all[a] = make([]Info, len(a.names()))
		for nr, name := range a.names() {
			if f, ok := factOf(name); ok {
				all[a][nr] = f.info(a)
			}
		}
	}
	return all
})

func factOf(name string) (fact, bool) {
	i, ok := slices.BinarySearchFunc(facts[:], name, func(f fact, name string) int { return strings.Compare(f.name, name) })
	if !ok {
		return fact{}, false
	}
	return facts[i], true
}

// info returns what holds for one ABI.
func (f fact) info(a ABI) Info {
	i := Info{Since: f.since[a], Words: f.words, Family: f.family, Needs: f.needs, Groups: f.groups}
	for _, r := range f.docker {
		if r.on&(1<<a) != 0 {
			i.Docker = append(i.Docker, r.DockerRule)
		}
	}
	for _, c := range f.causes {
		if c.on&(1<<a) != 0 {
			i.Risk.Causes = append(i.Risk.Causes, c.Cause)
			i.Risk.Level = max(i.Risk.Level, c.Level)
		}
	}
	slices.SortStableFunc(i.Risk.Causes, func(x, y Cause) int { return cmp.Compare(y.Level, x.Level) })
	return i
}

// Info returns what is known of the call, false if it has no name.
func (c Call) Info() (Info, bool) {
	if !c.Known() {
		return Info{}, false
	}
	return infos()[c.ABI][c.Nr], true
}

// Family returns the calls of the same ABI that can do the job of c, and c
// itself.
func (c Call) Family() Set {
	out := []Call{c}
	if i, _ := c.Info(); i.Family != "" {
		for nr, other := range infos()[c.ABI] {
			if other.Family == i.Family {
				out = append(out, Call{c.ABI, uint32(nr)})
			}
		}
	}
	return NewSet(out...)
}
