package session

import (
	"fmt"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// maxFrameEpochs bounds the epochs of one frame: an empty one takes more memory
// than it takes of the file.
const maxFrameEpochs = 4096

// wireEpochs is a run of epochs, kept by column, so that it packs well. An epoch
// is told by the time since the one before (the first: since the start of the
// recording) and its length; its rows follow those of the epoch before.
type wireEpochs struct {
	Keys  []wireKey `cbor:"1,keyasint"` // the calls that the columns below refer to
	Since []int64   `cbor:"2,keyasint"` // start, after the start before
	Took  []int64   `cbor:"3,keyasint"` // end, after the start
	Rows  []int     `cbor:"4,keyasint"` // how many rows

	Key   []uint32 `cbor:"5,keyasint"` // index into Keys
	Count []uint64 `cbor:"6,keyasint"`
	First []int64  `cbor:"7,keyasint"` // after the epoch's start
	Span  []int64  `cbor:"8,keyasint"` // from first to last

	// Asleep holds, for every epoch, 0 when nobody looked who is asleep, or one
	// more than the number of calls that follow in Sleeper (indexes into Keys).
	Asleep  []int      `cbor:"9,keyasint"`
	Sleeper []uint32   `cbor:"10,keyasint,omitempty"`
	Lost    []wireLost `cbor:"11,keyasint"` // totals, where they differ from the epoch before
	More    []wireMore `cbor:"12,keyasint,omitempty"`
}

type wireKey struct {
	_     struct{} `cbor:",toarray"`
	Group trace.Group
	ABI   policy.ABI
	Nr    uint32
}

type wireLost struct {
	_                                            struct{} `cbor:",toarray"`
	Epoch                                        int
	Table, Dropped, Skipped, Events, JudgedTable uint64
}

// wireMore is what wireLost, an array of fixed length, has no place for.
type wireMore struct {
	Epoch      int    `cbor:"1,keyasint"`
	Args       uint64 `cbor:"2,keyasint,omitempty"`
	Unfollowed uint64 `cbor:"3,keyasint,omitempty"`
}

// rowsOf is what an epoch adds to the columns of a frame.
func rowsOf(e Epoch) int { return len(e.Rows) + len(e.InFlight) }

// epochsFrame packs epochs.
func epochsFrame(epochs []Epoch) frame {
	var w wireEpochs
	index := map[wireKey]uint32{}
	keyOf := func(g trace.Group, c policy.Call) uint32 {
		k := wireKey{Group: g, ABI: c.ABI, Nr: c.Nr}
		i, ok := index[k]
		if !ok {
			i = uint32(len(w.Keys))
			index[k] = i
			w.Keys = append(w.Keys, k)
		}
		return i
	}
	prev, lost := time.Duration(0), trace.Lost{}
	for i, e := range epochs {
		w.Since = append(w.Since, int64(e.Start-prev))
		w.Took = append(w.Took, int64(e.End-e.Start))
		w.Rows = append(w.Rows, len(e.Rows))
		prev = e.Start
		for _, r := range e.Rows {
			w.Key = append(w.Key, keyOf(r.Group, r.Call))
			w.Count = append(w.Count, r.Count)
			w.First = append(w.First, int64(r.First-e.Start))
			w.Span = append(w.Span, int64(r.Last-r.First))
		}
		asleep := 0
		if e.InFlight != nil {
			asleep = 1 + len(e.InFlight)
		}
		w.Asleep = append(w.Asleep, asleep)
		for _, c := range e.InFlight {
			w.Sleeper = append(w.Sleeper, keyOf(trace.Main, c))
		}
		if i == 0 || e.Lost != lost {
			lost = e.Lost
			w.Lost = append(w.Lost, wireLost{
				Epoch: i, Table: lost.Table, Dropped: lost.SamplesDropped, Skipped: lost.SamplesSkipped,
				Events: lost.EventsDropped, JudgedTable: lost.JudgedDropped,
			})
			if lost.ArgsDropped+lost.Unfollowed > 0 {
				w.More = append(w.More, wireMore{i, lost.ArgsDropped, lost.Unfollowed})
			}
		}
	}
	return newFrame(kindEpochs, w)
}

// epochs unpacks w, calling add for each. Every index is checked: w comes from a
// file.
func (w wireEpochs) epochs(add func(Epoch) error) error {
	n := len(w.Since)
	rows := len(w.Key)
	if n > maxFrameEpochs {
		return fmt.Errorf("%w: %d epochs", errFrame, n)
	}
	if len(w.Took) != n || len(w.Rows) != n || len(w.Asleep) != n ||
		len(w.Count) != rows || len(w.First) != rows || len(w.Span) != rows {
		return fmt.Errorf("%w: columns of different lengths", errFrame)
	}
	var start time.Duration
	var lost trace.Lost
	row, sleeper, nextLost, nextMore := 0, 0, 0, 0
	for i := range n {
		start += time.Duration(w.Since[i])
		e := Epoch{Start: start, End: start + time.Duration(w.Took[i])}
		if w.Rows[i] < 0 || w.Rows[i] > rows-row {
			return fmt.Errorf("%w: rows out of range", errFrame)
		}
		for ; len(e.Rows) < w.Rows[i]; row++ {
			r, err := w.row(row, start)
			if err != nil {
				return err
			}
			e.Rows = append(e.Rows, r)
		}
		if k := w.Asleep[i] - 1; k >= 0 {
			if k > len(w.Sleeper)-sleeper {
				return fmt.Errorf("%w: sleepers out of range", errFrame)
			}
			e.InFlight = make([]policy.Call, 0, k)
			for _, x := range w.Sleeper[sleeper : sleeper+k] {
				if int(x) >= len(w.Keys) {
					return fmt.Errorf("%w: key out of range", errFrame)
				}
				e.InFlight = append(e.InFlight, policy.Call{ABI: w.Keys[x].ABI, Nr: w.Keys[x].Nr})
			}
			sleeper += k
		}
		for nextLost < len(w.Lost) && w.Lost[nextLost].Epoch <= i {
			l := w.Lost[nextLost]
			lost = trace.Lost{
				Table: l.Table, SamplesDropped: l.Dropped, SamplesSkipped: l.Skipped,
				EventsDropped: l.Events, JudgedDropped: l.JudgedTable,
				ArgsDropped: lost.ArgsDropped, Unfollowed: lost.Unfollowed,
			}
			nextLost++
		}
		for nextMore < len(w.More) && w.More[nextMore].Epoch <= i {
			lost.ArgsDropped, lost.Unfollowed = w.More[nextMore].Args, w.More[nextMore].Unfollowed
			nextMore++
		}
		e.Lost = lost
		if err := add(e); err != nil {
			return err
		}
	}
	return nil
}

func (w wireEpochs) row(i int, start time.Duration) (Row, error) {
	if int64(w.Key[i]) >= int64(len(w.Keys)) {
		return Row{}, fmt.Errorf("%w: key out of range", errFrame)
	}
	k := w.Keys[w.Key[i]]
	first := start + time.Duration(w.First[i])
	return Row{k.Group, policy.Call{ABI: k.ABI, Nr: k.Nr}, w.Count[i], first, first + time.Duration(w.Span[i])}, nil
}
