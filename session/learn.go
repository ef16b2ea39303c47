package session

import (
	"cmp"
	"slices"

	"speaker/policy"
)

// maxLearned bounds what one recording takes over from others.
const maxLearned = 20_000

// Learn takes over what another recording of the same program saw in each
// phase, cut at that one's own split. Observed tells it as Earlier uses, wherever
// the split here is; the times of the other recording mean nothing here.
func (s *Session) Learn(obs policy.Observed) {
	s.change(func() {
		var uses []learned
		for ph, list := range obs {
			for _, u := range list {
				uses = append(uses, learned{ph, u.Call, u.Count + u.Earlier, u.InFlight})
			}
		}
		slices.SortFunc(uses, func(a, b learned) int {
			return cmp.Or(cmp.Compare(a.phase, b.phase), compareCalls(a.call, b.call))
		})
		s.learn(uses)
		s.put(learnedFrame(s.learned))
	})
}

// learned is one use that another recording saw.
type learned struct {
	phase    policy.Phase
	call     policy.Call
	count    uint64
	inFlight bool
}

// learn replaces what was taken over.
func (s *Session) learn(uses []learned) { s.learned = uses[:min(len(uses), maxLearned)] }

// addLearned adds to obs what was taken over.
func (s *Session) addLearned(obs policy.Observed) {
	type place struct {
		phase policy.Phase
		call  policy.Call
	}
	at := map[place]int{}
	if len(s.learned) > 0 {
		for ph, list := range obs {
			for i, u := range list {
				at[place{ph, u.Call}] = i
			}
		}
	}
	for _, l := range s.learned {
		i, ok := at[place{l.phase, l.call}]
		if !ok {
			i = len(obs[l.phase])
			at[place{l.phase, l.call}] = i
			obs[l.phase] = append(obs[l.phase], policy.Use{Call: l.call})
		}
		u := &obs[l.phase][i]
		u.Earlier, u.InFlight = l.count, u.InFlight || l.inFlight
	}
}

type wireLearned struct {
	Phase    uint8      `cbor:"1,keyasint"`
	ABI      policy.ABI `cbor:"2,keyasint"`
	Nr       uint32     `cbor:"3,keyasint"`
	Count    uint64     `cbor:"4,keyasint"`
	First    int64      `cbor:"5,keyasint,omitempty"` // no longer written: a time of the other recording
	Last     int64      `cbor:"6,keyasint,omitempty"` // no longer written
	InFlight bool       `cbor:"7,keyasint,omitempty"`
}

func learnedFrame(uses []learned) frame {
	w := make([]wireLearned, len(uses))
	for i, l := range uses {
		w[i] = wireLearned{Phase: uint8(l.phase), ABI: l.call.ABI, Nr: l.call.Nr, Count: l.count, InFlight: l.inFlight}
	}
	return newFrame(kindLearned, w)
}

func (w wireLearned) learned() learned {
	return learned{policy.Phase(w.Phase), policy.Call{ABI: w.ABI, Nr: w.Nr}, w.Count, w.InFlight}
}

// takeLearned reads a frame's uses.
func (s *Session) takeLearned(ws []wireLearned) {
	uses := make([]learned, 0, min(len(ws), maxLearned))
	for _, w := range ws[:cap(uses)] {
		uses = append(uses, w.learned())
	}
	s.learn(uses)
}
