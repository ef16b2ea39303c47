package session

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"speaker/trace"
)

// Rate is the calls a second in the last second of the recording.
func (s *Session) Rate() float64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := &s.table
	if len(t.starts) == 0 {
		return 0
	}
	end := t.length()
	from := max(end-time.Second, t.starts[0])
	if from >= end {
		return 0
	}
	return float64(t.upTo(end)-t.upTo(from)) / (end - from).Seconds()
}

// Discoveries returns the first use of every call by the program itself, in the
// order of time.
func (s *Session) Discoveries() []Discovery {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.discoveries()
}

func (s *Session) discoveries() []Discovery {
	var out []Discovery
	for _, c := range s.table.order {
		if c.group == trace.Main {
			out = append(out, Discovery{c.first, c.call})
		}
	}
	slices.SortFunc(out, func(a, b Discovery) int {
		return cmp.Or(cmp.Compare(a.At, b.At), compareCalls(a.Call, b.Call))
	})
	return out
}

// Timeline cuts the time after from, up to and including to, into n buckets of
// equal length. It returns nil when there is no time to cut.
func (s *Session) Timeline(from, to time.Duration, n int) []Bucket {
	from, to = max(from, -maxOffset), min(to, maxOffset)
	if n <= 0 || to <= from {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]Bucket, n)
	border := func(i int) time.Duration {
		return from + time.Duration(float64(to-from)*float64(i)/float64(n))
	}
	before := s.table.upTo(from)
	for i := range out {
		b := &out[i]
		b.Start, b.End = border(i), border(i+1)
		after := s.table.upTo(b.End)
		b.Calls, before = after-before, after
	}
	// bucket finds the bucket whose Start < t <= End.
	bucket := func(t time.Duration) *Bucket {
		i := sort.Search(n, func(i int) bool { return out[i].End >= t })
		if i == n || t <= out[i].Start {
			return nil
		}
		return &out[i]
	}
	for _, d := range s.discoveries() {
		if b := bucket(d.At); b != nil {
			b.New++
		}
	}
	for _, m := range s.marks {
		if b := bucket(m.At); b != nil && m.Kind != MarkFork && m.Kind != MarkExit {
			b.Marks++
		}
	}
	for i := range out {
		out[i].Gap = s.table.gapIn(out[i].Start, out[i].End)
	}
	return out
}
