package session

import (
	"fmt"
	"time"

	"speaker/policy"
)

// wireRun is one recording of a merged session. What it saw is kept by column.
type wireRun struct {
	ID       string    `cbor:"1,keyasint"`
	Name     string    `cbor:"2,keyasint,omitempty"`
	Meta     wireMeta  `cbor:"3,keyasint"`
	Length   int64     `cbor:"4,keyasint"`
	Split    wireSplit `cbor:"5,keyasint"`
	Proposed bool      `cbor:"6,keyasint,omitempty"`
	Notes    []string  `cbor:"7,keyasint,omitempty"`

	Phase    []uint8  `cbor:"8,keyasint"`
	ABI      []uint8  `cbor:"9,keyasint"`
	Nr       []uint32 `cbor:"10,keyasint"`
	Count    []uint64 `cbor:"11,keyasint"`
	First    []int64  `cbor:"12,keyasint"` // after the split
	Span     []int64  `cbor:"13,keyasint"` // from first to last
	InFlight []uint8  `cbor:"14,keyasint"` // 1: a thread was asleep in it

	Values []wireRunValue `cbor:"15,keyasint,omitempty"`
	Whole  bool           `cbor:"16,keyasint,omitempty"` // the values are all that were used
}

func runFrame(r Run) frame {
	w := wireRun{ID: r.ID, Name: r.Name, Meta: wireMetaOf(r.Meta), Length: int64(r.Length),
		Split: wireSplitOf(splitAdd, r.Split), Proposed: r.Proposed, Notes: r.Notes, Values: wireRunValues(r.Values), Whole: r.ValuesWhole}
	for _, ph := range sortedPhases(r.Seen) {
		for _, u := range r.Seen[ph] {
			asleep := uint8(0)
			if u.InFlight {
				asleep = 1
			}
			w.Phase, w.ABI, w.Nr = append(w.Phase, uint8(ph)), append(w.ABI, uint8(u.Call.ABI)), append(w.Nr, u.Call.Nr)
			w.Count, w.First, w.Span = append(w.Count, u.Count), append(w.First, int64(u.First)), append(w.Span, int64(u.Last-u.First))
			w.InFlight = append(w.InFlight, asleep)
		}
	}
	return newFrame(kindRun, w)
}

// run checks and unpacks w: it comes from a file.
func (w wireRun) run() (Run, error) {
	n := len(w.Phase)
	if w.ID == "" || len(w.ID) > maxWord || n > maxRunUses || len(w.ABI) != n || len(w.Nr) != n || len(w.Count) != n ||
		len(w.First) != n || len(w.Span) != n || len(w.InFlight) != n || !inRange(time.Duration(w.Length)) {
		return Run{}, fmt.Errorf("%w: run of %d uses", errFrame, n)
	}
	r := Run{ID: w.ID, Name: w.Name, Meta: w.Meta.meta(), Length: time.Duration(w.Length),
		Split: w.Split.split(), Proposed: w.Proposed, Notes: w.Notes, Seen: policy.Observed{}, ValuesWhole: w.Whole}
	var err error
	if r.Values, err = runValues(w.Values); err != nil {
		return Run{}, err
	}
	for i := range n {
		first := time.Duration(w.First[i])
		u := policy.Use{Call: policy.Call{ABI: policy.ABI(w.ABI[i]), Nr: w.Nr[i]}, Count: w.Count[i],
			First: first, Last: first + time.Duration(w.Span[i]), InFlight: w.InFlight[i] != 0}
		if w.Phase[i] > uint8(policy.Admin) || u.Call.ABI > policy.ARM64 || u.Last < u.First || !inRange(u.First) || !inRange(u.Last) {
			return Run{}, fmt.Errorf("%w: use %+v", errFrame, u)
		}
		ph := policy.Phase(w.Phase[i])
		r.Seen[ph] = append(r.Seen[ph], u)
	}
	for ph, uses := range r.Seen {
		r.Seen[ph] = joinLists(uses, nil)
	}
	return r.clipped(), nil
}
