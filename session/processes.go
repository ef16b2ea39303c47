package session

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// maxProcessUses bounds what a recording keeps per process: as many rows as the
// tracer's table has room for.
const maxProcessUses = 16384

// Process is one of the target's processes. Its strings are hostile bytes.
type Process struct {
	Pid   uint32 // in the host's pid namespace; a number that was used twice is one process here
	Comm  string
	Exe   string        // what it last executed, or its parent before it; "" if that was not seen
	Start time.Duration // when it was forked or entered; negative or 0 if it was there before
}

// ProcessUse is how often one process made one call.
type ProcessUse struct {
	Process
	Group       trace.Group
	Call        policy.Call
	Count       uint64
	First, Last time.Duration
}

type processKey struct {
	pid  uint32
	call policy.Call
}

// Processes returns who called what, by pid and call, as far as the recording
// counted per process.
func (s *Session) Processes() []ProcessUse {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sortedProcesses()
}

func (s *Session) sortedProcesses() []ProcessUse {
	out := make([]ProcessUse, 0, len(s.processes))
	for _, u := range s.processes {
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b ProcessUse) int {
		return cmp.Or(cmp.Compare(a.Pid, b.Pid), compareCalls(a.Call, b.Call))
	})
	return out
}

// SetProcesses takes the counts of list over; what is known of others stays. The
// rows that are not as they were go to the file.
func (s *Session) SetProcesses(list []ProcessUse) {
	s.change(func() {
		var fresh []ProcessUse
		for _, u := range list {
			u.Comm, u.Exe = clip(u.Comm, maxWord), clip(u.Exe, maxText)
			k := processKey{u.Pid, u.Call}
			old, known := s.processes[k]
			if known && old == u || !known && len(s.processes) >= maxProcessUses {
				continue
			}
			s.processes[k] = u
			fresh = append(fresh, u)
		}
		for part := range slices.Chunk(fresh, maxFrameTable) {
			s.put(processesFrame(part))
		}
	})
}

// maxFrameTable is how many rows of argument values, or of processes, one frame
// holds at most.
const maxFrameTable = 1024

type wireProcessUse struct {
	Pid   uint32      `cbor:"1,keyasint"`
	Comm  string      `cbor:"2,keyasint,omitempty"`
	Exe   string      `cbor:"3,keyasint,omitempty"`
	Start int64       `cbor:"4,keyasint,omitempty"`
	Group trace.Group `cbor:"5,keyasint"`
	ABI   policy.ABI  `cbor:"6,keyasint"`
	Nr    uint32      `cbor:"7,keyasint"`
	Count uint64      `cbor:"8,keyasint"`
	First int64       `cbor:"9,keyasint"`
	Last  int64       `cbor:"10,keyasint"`
}

func processesFrame(list []ProcessUse) frame {
	w := make([]wireProcessUse, len(list))
	for i, u := range list {
		w[i] = wireProcessUse{u.Pid, u.Comm, u.Exe, int64(u.Start), u.Group, u.Call.ABI, u.Call.Nr,
			u.Count, int64(u.First), int64(u.Last)}
	}
	return newFrame(kindProcesses, w)
}

// use checks and unpacks w: it comes from a file.
func (w wireProcessUse) use() (ProcessUse, error) {
	u := ProcessUse{Process{w.Pid, w.Comm, w.Exe, time.Duration(w.Start)}, w.Group, policy.Call{ABI: w.ABI, Nr: w.Nr},
		w.Count, time.Duration(w.First), time.Duration(w.Last)}
	if u.Group > trace.Exec || u.Call.ABI > policy.ARM64 || u.Count == 0 || u.Last < u.First ||
		!inRange(u.First) || !inRange(u.Last) || !inRange(u.Start) {
		return u, fmt.Errorf("%w: process %+v", errFrame, w)
	}
	return u, nil
}
