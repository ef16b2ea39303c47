package policy

import (
	"slices"
	"strings"
	"time"
)

// Phase is a part of a target's life. Phases are buckets, not nested sets: a
// program may well use a call while it runs that it never used while it booted.
type Phase uint8

// The phases. Files hold the numbers: new ones are appended.
const (
	Init  Phase = iota // the container runtime's own calls, before the program's first exec
	Boot               // from the first exec to the split
	Run                // from the split to the stop mark
	Stop               // after the stop signal
	Exec               // processes that entered later (docker exec, probes), whatever the time
	Admin              // intervals of run that were marked as administration: a reload
	phases
)

var phaseNames = [phases]string{"init", "boot", "run", "stop", "exec", "admin"}

// String returns the word the screens and files use ("boot").
func (p Phase) String() string {
	if p < phases {
		return phaseNames[p]
	}
	return "?"
}

// PhaseSet is a set of phases.
type PhaseSet uint8

// PhasesOf returns the set of the given phases.
func PhasesOf(ps ...Phase) PhaseSet {
	var s PhaseSet
	for _, p := range ps {
		s |= 1 << p
	}
	return s
}

// groups are the phases whose calls go into the filters or are left out as a
// whole, by an edit.
var groups = []Phase{Stop, Exec, Admin}

// IsGroup reports whether p can be included in the filters and left out of them.
func (p Phase) IsGroup() bool { return slices.Contains(groups, p) }

// Groups returns the phases that can be included in the filters and left out.
func Groups() []Phase { return slices.Clone(groups) }

// Phases returns all phases.
func Phases() []Phase { return []Phase{Init, Boot, Run, Stop, Exec, Admin} }

// Has reports whether p is in the set.
func (s PhaseSet) Has(p Phase) bool { return s&(1<<p) != 0 }

// String lists the phases ("boot,run").
func (s PhaseSet) String() string {
	var out []string
	for p := Init; p < phases; p++ {
		if s.Has(p) {
			out = append(out, p.String())
		}
	}
	return strings.Join(out, ",")
}

// Use is what a recording knows of one call in one phase.
type Use struct {
	Call  Call
	Count uint64
	// First and Last are offsets from the start of the recording.
	First, Last time.Duration
	// InFlight is set when a thread was asleep in the call across or after the
	// phase's beginning, so that the call belongs to the phase whatever Count says.
	InFlight bool
	// Earlier are uses that another recording of the same program saw. Count,
	// First and Last leave them out: their times are not of this recording.
	Earlier uint64
	// Runs of OfRuns recordings saw the use: a merged session says so. OfRuns
	// are those that saw anything in the phase; 0: nothing was merged.
	Runs, OfRuns int
}

// Observed is what a recording, cut at a split, saw in each phase.
type Observed map[Phase][]Use
