package session

import (
	"fmt"
	"math/bits"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// firstUnit is how long an interval of a young recording is.
const firstUnit = time.Second

// visits are the intervals in which the program used each call, for the estimate
// of what is still unseen, see Learning. They are counted as the epochs come, for
// epochs that were put together no longer tell. A recording is cut into at most 64
// equal intervals: when it grows out of them, each two become one.
//
// Each column has its own visits, a bit per interval.
type visits struct {
	unit time.Duration // length of an interval: (i*unit, (i+1)*unit] is number i
	upTo time.Duration // end of the last epoch that was counted
	kept time.Duration // upTo as the file has it
}

// grow makes room for a time: until it lies in one of the intervals.
func (t *table) grow(to time.Duration) {
	if t.visits.unit == 0 {
		t.visits.unit = firstUnit
	}
	for to > 64*t.visits.unit {
		t.visits.unit *= 2
		for _, c := range t.order {
			c.visits = pairs(c.visits)
		}
	}
}

// pairs makes one interval of each two.
func pairs(m uint64) uint64 {
	m = (m | m>>1) & 0x5555555555555555
	m = (m | m>>1) & 0x3333333333333333
	m = (m | m>>2) & 0x0f0f0f0f0f0f0f0f
	m = (m | m>>4) & 0x00ff00ff00ff00ff
	m = (m | m>>8) & 0x0000ffff0000ffff
	return (m | m>>16) & 0x00000000ffffffff
}

// interval is the number of the interval that a time lies in.
func (v visits) interval(at time.Duration) int {
	return int(max(0, min(63, (at-1)/v.unit)))
}

// visit notes the uses of a call in an epoch. Where that is longer than an
// interval, the uses between the first and the last are taken to be spread, if
// there are enough of them.
func (t *table) visit(c *column, u use) {
	if c.group != trace.Main {
		return
	}
	a, b := t.visits.interval(u.first), t.visits.interval(u.last)
	c.visits |= 1<<a | 1<<b
	if u.count > uint64(b-a) {
		c.visits |= between(a, b)
	}
}

// between has the bits a to b.
func between(a, b int) uint64 { return (^uint64(0) >> (63 - b + a)) << a }

// occasions is how many times something came up, by the intervals that it was
// seen in. Two neighbouring ones count as one: what happens does not keep to
// their borders.
func occasions(m uint64) (n int) {
	for m != 0 {
		m >>= bits.TrailingZeros64(m)
		run := bits.TrailingZeros64(^m)
		n += (run + 1) / 2
		m >>= run // by 64: nothing is left
	}
	return n
}

// keepVisitsEvery is how much of a recording the file may have whose visits it
// does not have.
const keepVisitsEvery = 5 * time.Minute

// keepVisits puts the visits into the file.
func (s *Session) keepVisits() {
	if v := &s.table.visits; s.log != nil && v.upTo > v.kept {
		v.kept = v.upTo
		s.log.putBehindEpochs(s.table.visitsFrame())
	}
}

// endVisits puts them there at the end of a recording.
func (s *Session) endVisits() { s.change(s.keepVisits) }

// wireVisits is what a file knows of the visits: of the program's calls, by column.
type wireVisits struct {
	Unit int64        `cbor:"1,keyasint"`
	UpTo int64        `cbor:"2,keyasint"`
	ABI  []policy.ABI `cbor:"3,keyasint"`
	Nr   []uint32     `cbor:"4,keyasint"`
	In   []uint64     `cbor:"5,keyasint"`
}

func (t *table) visitsFrame() frame {
	w := wireVisits{Unit: int64(max(t.visits.unit, firstUnit)), UpTo: int64(t.visits.upTo)}
	for _, c := range t.order {
		if c.group == trace.Main {
			w.ABI, w.Nr, w.In = append(w.ABI, c.call.ABI), append(w.Nr, c.call.Nr), append(w.In, c.visits)
		}
	}
	return newFrame(kindVisits, w)
}

// takeVisits takes over what a file knows, in place of what its epochs tell.
func (t *table) takeVisits(w wireVisits) error {
	unit, upTo := time.Duration(w.Unit), time.Duration(w.UpTo)
	steps := uint64(w.Unit) / uint64(firstUnit)
	if w.Unit <= 0 || unit%firstUnit != 0 || bits.OnesCount64(steps) != 1 || !inRange(upTo) || upTo > 64*unit ||
		len(w.Nr) != len(w.ABI) || len(w.In) != len(w.ABI) || len(w.ABI) > maxColumns {
		return fmt.Errorf("%w: visits", errFrame)
	}
	if upTo < t.visits.upTo { // older than what is known
		return nil
	}
	for _, c := range t.order {
		c.visits = 0
	}
	t.visits = visits{unit, upTo, upTo}
	for i, in := range w.In {
		if c := t.columns[key{trace.Main, policy.Call{ABI: w.ABI[i], Nr: w.Nr[i]}}]; c != nil {
			c.visits = in
		}
	}
	return nil
}
