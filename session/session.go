package session

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The most that a session keeps of what is not the exact table. What is over is
// counted and said by Completeness.
const (
	maxMarks   = 50_000
	maxOneKind = 2_000 // marks of one kind, but for the user's own, stops, gaps, and exits of servers
	maxSplits  = 10_000
	maxEdits   = 100_000
	maxTrials  = 10_000
)

// Session is one recording and all that was made of it. It is safe for
// concurrent use; what its methods return are copies.
type Session struct {
	mu         sync.RWMutex
	meta       Meta
	table      table
	marks      []Mark
	kinds      map[string]int  // marks by kind
	servers    map[uint32]bool // pids that waited on a listening socket
	unkept     uint64          // marks that met a full list
	splits     []Split         // the last one is current
	unsplit    []Split         // undone, newest last
	edits      []decision
	undone     []decision // newest undone last
	admins     []Admin    // what edits make of them, in the order of time
	dismissed  []stretch  // where nothing is to be recognised as administration
	adminSteps int        // steps in the history of those
	trials     []Trial
	learned    []learned // from another recording
	merged     merged    // the recordings that this one was made of
	arguments  map[argKey]Argument
	processes  map[processKey]ProcessUse
	samples    samples
	damage     Damage  // what its file lost
	opened     int     // marks that were in the file when it was opened
	stated     uint64  // rows and marks not kept, as the file has it
	loading    bool    // it is being read from its file
	log        *Writer // nil: not on disk

	generation atomic.Uint64
}

// New returns an empty session.
func New(m Meta) *Session {
	return &Session{
		meta:      m.clipped(),
		table:     newTable(),
		kinds:     map[string]int{},
		servers:   map[uint32]bool{},
		samples:   newSamples(),
		arguments: map[argKey]Argument{},
		processes: map[processKey]ProcessUse{},
	}
}

// Generation is a number that grows whenever anything in the session changes.
func (s *Session) Generation() uint64 { return s.generation.Load() }

// Meta returns what is known of the recording as a whole.
func (s *Session) Meta() Meta {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.meta
}

// SetMeta replaces what is known of the recording as a whole.
func (s *Session) SetMeta(m Meta) {
	s.change(func() {
		s.meta = m.clipped()
		s.put(metaFrame(s.meta))
	})
}

// Length is the end of the last epoch.
func (s *Session) Length() time.Duration {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.table.length()
}

// AddEpoch appends one epoch to the recording, and now and then makes those that
// are long past coarser; see Precision. An epoch that comes before the
// one before it, or that makes no sense, is refused with ErrEpoch.
func (s *Session) AddEpoch(e Epoch) (err error) {
	s.change(func() {
		if err = s.table.check(e); err != nil {
			return
		}
		if s.log != nil {
			s.goOn()
			s.log.putEpoch(e)
		}
		s.table.add(e)
		if v := s.table.visits; v.upTo-v.kept > keepVisitsEvery {
			s.keepVisits()
		}
		s.state()
		s.resolve()
		if !s.loading {
			s.coalesce()
		}
	})
	return err
}

// AddMark adds an instant that means something.
func (s *Session) AddMark(m Mark) {
	s.change(func() {
		if m = m.clipped(); s.keepMark(m) {
			s.marks = append(s.marks, m)
			s.put(markFrame(m))
			s.resolve()
		}
	})
}

// keepMark decides whether m is kept: a storm of forks must not crowd out the
// marks that a split rests on.
func (s *Session) keepMark(m Mark) bool {
	most := maxOneKind
	switch {
	case !inRange(m.At):
		return false
	case m.Kind == MarkUser, m.Kind == MarkStop, m.Kind == MarkGap, m.Kind == MarkEnded:
		most = maxMarks / 4
	case m.Kind == MarkExit && s.servers[m.Pid]:
		most = 2 * maxOneKind
	}
	if len(s.marks) >= maxMarks || s.kinds[m.Kind] >= most {
		s.unkept++
		return false
	}
	s.kinds[m.Kind]++
	if m.Kind == MarkListenWait {
		s.servers[m.Pid] = true
	}
	return true
}

// Marks returns the marks in the order of time.
func (s *Session) Marks() []Mark {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sortedMarks()
}

func (s *Session) sortedMarks() []Mark {
	out := slices.Clone(s.marks)
	if !slices.IsSortedFunc(out, byTime) {
		slices.SortStableFunc(out, byTime)
	}
	return out
}

func byTime(a, b Mark) int { return cmp.Compare(a.At, b.At) }

// AddTrial notes what was tried on the target.
func (s *Session) AddTrial(t Trial) {
	s.change(func() {
		t = t.clipped()
		if len(s.trials) >= maxTrials {
			s.trials = slices.Delete(s.trials, 0, maxTrials/2)
		}
		s.trials = append(s.trials, t)
		s.put(trialFrame(t))
	})
}

// Trials returns what was tried, oldest first.
func (s *Session) Trials() []Trial {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Clone(s.trials)
}

// change runs f under the lock and counts the change.
func (s *Session) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.generation.Add(1)
}

// put hands a frame to the file, if there is one. Call it with the lock held.
func (s *Session) put(f frame) {
	if s.log != nil {
		s.goOn()
		s.log.put(f)
	}
}

// goOn marks, before the first thing that is appended to a file that was not
// closed, that its end may be missing: once it is closed, nothing else tells.
func (s *Session) goOn() {
	if !s.damage.Unclosed {
		return
	}
	s.damage.Unclosed = false
	m := Mark{At: s.table.length(), Kind: MarkGap, Text: unclosed}
	s.marks = slices.Insert(s.marks, s.opened, m)
	s.kinds[m.Kind]++
	s.log.put(markFrame(m))
}
