package trace

import (
	"bytes"
	"errors"
	"sync"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// ring drains a kernel ring buffer without ever waiting for it. The kernel side
// wakes nobody: a wake-up is dearer than all else it does.
type ring struct {
	mu  sync.Mutex
	r   *ringbuf.Reader
	rec ringbuf.Record
}

func newRing(m *ebpf.Map) (*ring, error) {
	r, err := ringbuf.NewReader(m)
	if err != nil {
		return nil, err
	}
	r.SetDeadline(time.Unix(1, 0)) // long past: reading ends where the ring does
	return &ring{r: r}, nil
}

func (r *ring) close() error { return r.r.Close() }

// drain hands each record to f, at most as many as the ring can hold, so that a
// fast writer cannot keep it here.
func (r *ring) drain(f func([]byte)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for left := r.r.AvailableBytes(); left > 0; {
		if err := r.r.ReadInto(&r.rec); err != nil {
			return // the end of the ring
		}
		left -= len(r.rec.RawSample) + 8
		f(r.rec.RawSample)
	}
}

// Samples appends the samples that came since the last call to dst. It never
// blocks.
func (t *Tracer) Samples(dst []Sample) []Sample {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return dst
	}
	t.samples.drain(func(raw []byte) {
		s, err := view[bpfSample](raw)
		if err != nil {
			return
		}
		dst = append(dst, Sample{
			Time: s.Time, Pid: s.Pid, Tid: s.Tid, Group: Group(s.Group), ABI: abiOf(int(s.Abi)), Nr: s.Nr,
			Args: s.Args, Comm: cString(s.Comm[:]), Path: cString(s.Path[:]),
		})
	})
	return dst
}

// Events appends the events that came since the last call to dst, roughly in
// the order of time. It never blocks.
func (t *Tracer) Events(dst []Event) []Event {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return dst
	}
	t.events.drain(func(raw []byte) {
		if e, ok := eventOf(raw); ok {
			dst = append(dst, e)
		}
	})
	return dst
}

// eventOf reads a record of the ring of events.
func eventOf(raw []byte) (Event, bool) {
	e, err := view[bpfEvent](raw)
	if err != nil {
		return Event{}, false
	}
	out := Event{
		Time: e.Time, Kind: EventKind(e.Kind), Pid: e.Pid, Tid: e.Tid, Group: Group(e.Group),
		Args: e.Args, Comm: cString(e.Comm[:]),
	}
	if x, err := view[bpfExecEvent](raw); err == nil && out.Kind == EventExec {
		out.Path = cString(x.Path[:])
	}
	return out, true
}

// view takes a record's bytes for a T. The bytes are 8-aligned, as the kernel's
// records and Go's allocations of that size are.
func view[T any](raw []byte) (*T, error) {
	if len(raw) < int(unsafe.Sizeof(*new(T))) {
		return nil, errors.New("record is too short")
	}
	return (*T)(unsafe.Pointer(&raw[0])), nil
}

func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
