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

	// Of epochs that are several in one: how long before the epoch's end each
	// Sleeper was seen first and last (noLooks, as when both are left out: once,
	// at the end), and which rows are lone.
	SleptFirst []int64  `cbor:"13,keyasint,omitempty"`
	SleptLast  []int64  `cbor:"14,keyasint,omitempty"`
	Lone       []uint32 `cbor:"15,keyasint,omitempty"`
}

// noLooks in SleptFirst stands for an epoch without Looks.
const noLooks int64 = -1

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
	prev, lost, late := time.Duration(0), trace.Lost{}, false
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
		for _, n := range e.Lone {
			w.Lone = append(w.Lone, uint32(len(w.Key)-len(e.Rows)+n))
		}
		asleep := 0
		if e.InFlight != nil {
			asleep = 1 + len(e.InFlight)
		}
		w.Asleep = append(w.Asleep, asleep)
		for k, c := range e.InFlight {
			w.Sleeper = append(w.Sleeper, keyOf(trace.Main, c))
			first := noLooks
			if e.Looks != nil {
				first, late = int64(e.End-e.Looks[k].First), true
			}
			w.SleptFirst = append(w.SleptFirst, first)
			w.SleptLast = append(w.SleptLast, int64(e.End-e.look(k).Last))
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
	if !late {
		w.SleptFirst, w.SleptLast = nil, nil
	}
	return newFrame(kindEpochs, w)
}

// epochs unpacks w, calling add for each. Every index is checked: w comes from a
// file.
func (w wireEpochs) epochs(add func(Epoch) error) error {
	if err := w.check(); err != nil {
		return err
	}
	r := wireReader{w: w}
	for i := range w.Since {
		e, err := r.epoch(i)
		if err == nil {
			err = add(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// check reports columns that do not belong together.
func (w wireEpochs) check() error {
	n, rows, asleep := len(w.Since), len(w.Key), len(w.Sleeper)
	if n > maxFrameEpochs {
		return fmt.Errorf("%w: %d epochs", errFrame, n)
	}
	if len(w.Took) != n || len(w.Rows) != n || len(w.Asleep) != n ||
		len(w.Count) != rows || len(w.First) != rows || len(w.Span) != rows ||
		len(w.SleptFirst) != len(w.SleptLast) || w.SleptFirst != nil && len(w.SleptFirst) != asleep {
		return fmt.Errorf("%w: columns of different lengths", errFrame)
	}
	return nil
}

// wireReader goes through the columns of w.
type wireReader struct {
	w                  wireEpochs
	start              time.Duration
	row, sleeper, lone int
	nextLost, nextMore int
	lost               trace.Lost
}

func (r *wireReader) epoch(i int) (Epoch, error) {
	w := &r.w
	r.start += time.Duration(w.Since[i])
	e := Epoch{Start: r.start, End: r.start + time.Duration(w.Took[i])}
	if w.Rows[i] < 0 || w.Rows[i] > len(w.Key)-r.row {
		return e, fmt.Errorf("%w: rows out of range", errFrame)
	}
	for len(e.Rows) < w.Rows[i] {
		x, lone, err := r.nextRow()
		if err != nil {
			return e, err
		}
		if lone {
			e.Lone = append(e.Lone, len(e.Rows))
		}
		e.Rows = append(e.Rows, x)
	}
	if err := r.sleepers(i, &e); err != nil {
		return e, err
	}
	for ; r.nextLost < len(w.Lost) && w.Lost[r.nextLost].Epoch <= i; r.nextLost++ {
		l := w.Lost[r.nextLost]
		r.lost = trace.Lost{
			Table: l.Table, SamplesDropped: l.Dropped, SamplesSkipped: l.Skipped,
			EventsDropped: l.Events, JudgedDropped: l.JudgedTable,
			ArgsDropped: r.lost.ArgsDropped, Unfollowed: r.lost.Unfollowed,
		}
	}
	for ; r.nextMore < len(w.More) && w.More[r.nextMore].Epoch <= i; r.nextMore++ {
		r.lost.ArgsDropped, r.lost.Unfollowed = w.More[r.nextMore].Args, w.More[r.nextMore].Unfollowed
	}
	e.Lost = r.lost
	return e, nil
}

// sleepers reads who was asleep in epoch i.
func (r *wireReader) sleepers(i int, e *Epoch) error {
	w, k := &r.w, r.w.Asleep[i]-1
	if k < 0 {
		return nil
	}
	if k > len(w.Sleeper)-r.sleeper {
		return fmt.Errorf("%w: sleepers out of range", errFrame)
	}
	e.InFlight = make([]policy.Call, 0, k)
	for ; k > 0; k-- {
		x := w.Sleeper[r.sleeper]
		if int64(x) >= int64(len(w.Keys)) {
			return fmt.Errorf("%w: key out of range", errFrame)
		}
		e.InFlight = append(e.InFlight, policy.Call{ABI: w.Keys[x].ABI, Nr: w.Keys[x].Nr})
		if w.SleptFirst != nil && w.SleptFirst[r.sleeper] != noLooks {
			e.Looks = append(e.Looks, Look{e.End - time.Duration(w.SleptFirst[r.sleeper]), e.End - time.Duration(w.SleptLast[r.sleeper])})
		}
		r.sleeper++
	}
	return nil
}

func (r *wireReader) nextRow() (x Row, lone bool, err error) {
	w, i := &r.w, r.row
	if int64(w.Key[i]) >= int64(len(w.Keys)) {
		return Row{}, false, fmt.Errorf("%w: key out of range", errFrame)
	}
	for r.lone < len(w.Lone) && int64(w.Lone[r.lone]) < int64(i) {
		r.lone++
	}
	lone = r.lone < len(w.Lone) && int64(w.Lone[r.lone]) == int64(i)
	k, first := w.Keys[w.Key[i]], r.start+time.Duration(w.First[i])
	r.row++
	return Row{k.Group, policy.Call{ABI: k.ABI, Nr: k.Nr}, w.Count[i], first, first + time.Duration(w.Span[i])}, lone, nil
}
