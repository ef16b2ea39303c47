package trace

import (
	"sync"
	"sync/atomic"
	"time"
)

// Tick is the resolution of Row.Last. Reading the clock for every call would
// cost more than counting it, so the kernel side reads it once a tick.
const Tick = 10 * time.Millisecond

const ticksPerSecond = int(time.Second / Tick)

// maxBorders bounds the borders that are kept while nobody takes a snapshot.
const maxBorders = 4096

// ticks counts control.tick up, and knows when it did. A tick that comes late,
// because this process had to wait for its turn, is a longer tick: what its
// borders say of the calls stays true. So is one whose border was forgotten.
type ticks struct {
	control *bpfControl
	quit    chan struct{}
	done    sync.WaitGroup

	mu   sync.Mutex
	past []border // of the current epoch, oldest first
}

// border is the beginning of a tick: a call that saw it was made after before,
// one that did not was made before after.
type border struct{ before, after uint64 }

func (t *ticks) begin(c *bpfControl) {
	t.control, t.quit = c, make(chan struct{})
	t.done.Go(func() {
		every := time.NewTicker(Tick)
		defer every.Stop()
		for {
			select {
			case <-every.C:
				t.hurry()
			case <-t.quit:
				return
			}
		}
	})
}

// stop may be called without begin.
func (t *ticks) stop() {
	if t.quit != nil {
		close(t.quit)
		t.done.Wait()
	}
}

// hurry begins a tick now: what is wanted of calls besides their number is looked
// up at a tick's first call.
func (t *ticks) hurry() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next()
}

// next begins a tick. Locked by the caller.
func (t *ticks) next() {
	b := t.border(func() {})
	if len(t.past) >= maxBorders {
		t.past = thin(t.past)
	}
	t.past = append(t.past, b)
}

// border begins a tick, and does what belongs to its very beginning.
func (t *ticks) border(also func()) border {
	b := border{before: now()}
	atomic.AddUint32(&t.control.Tick, 1)
	also()
	b.after = now()
	return b
}

// thin forgets every second border, for an epoch that nobody ends: an armed tracer
// may wait for days.
func thin(past []border) []border {
	for i := range len(past) / 2 {
		past[i] = past[2*i+1]
	}
	return past[:len(past)/2]
}

// flip begins a tick and an epoch with it, and returns the old epoch's number and
// its borders: the last of them is its end.
func (t *ticks) flip() (epoch uint32, past []border) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.border(func() { epoch = atomic.AddUint32(&t.control.Epoch, 1) - 1 })
	past = append(t.past, b)
	t.past = []border{b}
	return epoch, past
}

// unflip takes a flip back; the borders go on counting for the epoch.
func (t *ticks) unflip(past []border) {
	t.mu.Lock()
	defer t.mu.Unlock()
	atomic.AddUint32(&t.control.Epoch, ^uint32(0))
	t.past = append(past, t.past[1:]...)
}

// end is the latest time at which a call can have been made that carries the
// time at: the end of its tick. Of the last one that is the end of the epoch,
// even if the call was held up before it looked at the clock.
func end(past []border, at uint64) uint64 {
	for _, b := range past {
		if b.before > at {
			return b.after
		}
	}
	return past[len(past)-1].after
}
