package session

import (
	"slices"

	"speaker/policy"
)

// maxSamples is how many of the newest samples are kept for the screen.
const maxSamples = 2048

// samples keeps the newest samples in a ring, and the first of every call of
// every group. Only those firsts go to the file as they come; Save writes all.
type samples struct {
	ring  []Sample
	total uint64 // ever added; the newest lies at (total-1) % maxSamples
	first map[key]Sample
}

func newSamples() samples { return samples{first: map[key]Sample{}} }

// add keeps x and reports whether it is the first of its call.
func (r *samples) add(x Sample) (first bool) {
	if len(r.ring) < maxSamples {
		r.ring = append(r.ring, x)
	} else {
		r.ring[r.total%maxSamples] = x
	}
	r.total++
	k := key{x.Group, x.Call}
	if _, known := r.first[k]; known || len(r.first) >= maxColumns {
		return false
	}
	r.first[k] = x
	return true
}

// since returns what was added after the n-th sample, as far as it is kept.
func (r *samples) since(n uint64) []Sample {
	n = max(n, r.total-uint64(len(r.ring)))
	if n >= r.total {
		return nil
	}
	from, to := int(n%maxSamples), int((r.total-1)%maxSamples)+1
	if from < to {
		return slices.Clone(r.ring[from:to])
	}
	return slices.Concat(r.ring[from:], r.ring[:to])
}

// AddSamples adds events of the live stream.
func (s *Session) AddSamples(xs []Sample) {
	if len(xs) == 0 {
		return
	}
	s.change(func() {
		for _, x := range xs {
			x = x.clipped()
			if s.samples.add(x) {
				s.put(sampleFrame(x))
			}
		}
	})
}

// Samples returns the newest samples, oldest first.
func (s *Session) Samples() []Sample {
	out, _ := s.SamplesSince(0)
	return out
}

// SamplesSince returns the samples that were added after the n-th, oldest
// first, and the n to ask with the next time. Samples that are no longer kept
// are left out.
func (s *Session) SamplesSince(n uint64) ([]Sample, uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.samples.since(n), s.samples.total
}

// FirstSamples returns the first sample of every call of every group, ordered
// by time.
func (s *Session) FirstSamples() []Sample {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.samples.firsts()
}

// FirstSample returns the first sample of a call in any group.
func (s *Session) FirstSample(c policy.Call) (Sample, bool) {
	for _, x := range s.FirstSamples() {
		if x.Call == c {
			return x, true
		}
	}
	return Sample{}, false
}

func (r *samples) firsts() []Sample {
	out := make([]Sample, 0, len(r.first))
	for _, x := range r.first {
		out = append(out, x)
	}
	slices.SortFunc(out, compareSamples)
	return out
}
