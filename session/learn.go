package session

import (
	"cmp"
	"slices"
	"time"

	"speaker/policy"
)

// maxLearned bounds what one recording takes over from others.
const maxLearned = 20_000

// Learn takes over what another recording of the same program saw in each
// phase, cut at that one's own split. Observed counts it in whatever the split
// here is; its times are offsets of the other recording.
func (s *Session) Learn(obs policy.Observed) {
	s.change(func() {
		var uses []learned
		for ph, list := range obs {
			for _, u := range list {
				uses = append(uses, learned{ph, u})
			}
		}
		slices.SortFunc(uses, func(a, b learned) int {
			return cmp.Or(cmp.Compare(a.phase, b.phase), compareCalls(a.use.Call, b.use.Call))
		})
		s.learn(uses)
		s.put(learnedFrame(s.learned))
	})
}

// learned is one use that another recording saw.
type learned struct {
	phase policy.Phase
	use   policy.Use
}

// learn replaces what was taken over.
func (s *Session) learn(uses []learned) { s.learned = uses[:min(len(uses), maxLearned)] }

// addLearned adds to obs what was taken over. Where both saw a call, the counts
// are added, and the times stay this recording's.
func (s *Session) addLearned(obs policy.Observed) {
	for _, l := range s.learned {
		list := obs[l.phase]
		i := slices.IndexFunc(list, func(u policy.Use) bool { return u.Call == l.use.Call })
		switch {
		case i < 0:
			obs[l.phase] = append(list, l.use)
		case list[i].Count == 0: // only seen asleep here
			asleep := list[i].InFlight || l.use.InFlight
			list[i] = l.use
			list[i].InFlight = asleep
		default:
			list[i].Count += l.use.Count
			list[i].InFlight = list[i].InFlight || l.use.InFlight
		}
	}
}

type wireLearned struct {
	Phase    uint8      `cbor:"1,keyasint"`
	ABI      policy.ABI `cbor:"2,keyasint"`
	Nr       uint32     `cbor:"3,keyasint"`
	Count    uint64     `cbor:"4,keyasint"`
	First    int64      `cbor:"5,keyasint"`
	Last     int64      `cbor:"6,keyasint"`
	InFlight bool       `cbor:"7,keyasint,omitempty"`
}

func learnedFrame(uses []learned) frame {
	w := make([]wireLearned, len(uses))
	for i, l := range uses {
		w[i] = wireLearned{uint8(l.phase), l.use.Call.ABI, l.use.Call.Nr, l.use.Count,
			int64(l.use.First), int64(l.use.Last), l.use.InFlight}
	}
	return newFrame(kindLearned, w)
}

func (w wireLearned) learned() learned {
	return learned{policy.Phase(w.Phase), policy.Use{Call: policy.Call{ABI: w.ABI, Nr: w.Nr}, Count: w.Count,
		First: time.Duration(w.First), Last: time.Duration(w.Last), InFlight: w.InFlight}}
}

// takeLearned reads a frame's uses.
func (s *Session) takeLearned(ws []wireLearned) {
	uses := make([]learned, 0, min(len(ws), maxLearned))
	for _, w := range ws[:cap(uses)] {
		uses = append(uses, w.learned())
	}
	s.learn(uses)
}
