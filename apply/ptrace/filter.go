package ptrace

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxFilters bounds a chain; the kernel allows 32768 instructions in all.
const maxFilters = 8192

// Filters dumps the thread's filters, oldest first. None is no error.
func (t *Thread) Filters() ([][]unix.SockFilter, error) {
	var chain [][]unix.SockFilter
	for i := range maxFilters {
		f, err := t.filter(i)
		if err != nil {
			return nil, err
		}
		if f == nil {
			return chain, nil
		}
		chain = append(chain, f)
	}
	return nil, fmt.Errorf("dump filters of thread %d: more than %d", t.Tid, maxFilters)
}

// filter dumps the i-th oldest filter; nil when there are fewer.
func (t *Thread) filter(i int) ([]unix.SockFilter, error) {
	n, err := t.filterLen(i)
	if n == 0 || err != nil {
		return nil, err
	}
	f := make([]unix.SockFilter, n)
	if _, err := ptraceMem(unix.PTRACE_SECCOMP_GET_FILTER, t.Tid, uintptr(i), unsafe.Pointer(&f[0])); err != nil {
		return nil, t.undumped(i, err)
	}
	return f, nil
}

// undumped words why a filter could not be dumped. No such thread means that it
// was killed while it was stopped.
func (t *Thread) undumped(i int, err error) error {
	if errors.Is(err, unix.ESRCH) {
		err = ErrGone
	}
	return fmt.Errorf("dump filter %d of thread %d: %w", i, t.Tid, err)
}

// filterLen is the length of the i-th oldest filter; 0 when there are fewer.
func (t *Thread) filterLen(i int) (int, error) {
	n, err := ptraceMem(unix.PTRACE_SECCOMP_GET_FILTER, t.Tid, uintptr(i), nil)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EINVAL) && i == 0:
		return 0, nil
	case err != nil:
		return 0, t.undumped(i, err)
	case n == 0:
		return 0, fmt.Errorf("dump filter %d of thread %d: it is empty", i, t.Tid)
	}
	return n, nil
}

// area is memory in the process that holds a filter for seccomp(2).
type area struct {
	t    *Thread
	addr uint64
	size uint64
}

// place maps memory in the process and writes the filter there. The head, which
// alone makes it a filter, comes last.
func (t *Thread) place(f []unix.SockFilter) (area, error) {
	const head = 16 // struct sock_fprog
	page := uint64(unix.Getpagesize())
	a := area{t: t, size: (head + 8*uint64(len(f)) + page - 1) &^ (page - 1)}
	addr, err := t.Call(unix.SYS_MMAP, 0, a.size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uint64(0), 0)
	if err != nil {
		return a, fmt.Errorf("map memory in thread %d: %w", t.Tid, err)
	}
	a.addr = addr
	OnStep()
	if err := writeMem(t.Tid, addr+head, unsafe.Slice((*byte)(unsafe.Pointer(&f[0])), 8*len(f))); err != nil {
		a.free()
		return a, err
	}
	OnStep()
	h := struct {
		n  uint16
		_  [6]byte
		at uint64
	}{n: uint16(len(f)), at: addr + head}
	if err := writeMem(t.Tid, addr, (*[head]byte)(unsafe.Pointer(&h))[:]); err != nil {
		a.free()
		return a, err
	}
	return a, nil
}

// free unmaps it; when the thread is gone, so is the memory. The filter that was
// just loaded may deny munmap, or ask a supervisor who does not answer yet.
func (a area) free() {
	a.t.suspend = true
	_, _ = a.t.Call(unix.SYS_MUNMAP, a.addr, a.size)
}

// errDiverged is TSYNC's answer when threads have different filters.
var errDiverged = errors.New("its threads have different filters")

// load puts the placed filter into the process, with no_new_privs only when the
// kernel asks for it. It says whether it had to set that.
func (a area) load(flags uint64) (nnp bool, err error) {
	r, err := a.t.Call(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, a.addr)
	if errors.Is(err, unix.EACCES) {
		if nnp, err = a.t.noNewPrivs(); err != nil {
			return nnp, err
		}
		r, err = a.t.Call(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, a.addr)
	}
	if err != nil {
		return nnp, fmt.Errorf("load filter in thread %d: %w", a.t.Tid, err)
	}
	if r != 0 {
		return nnp, errDiverged
	}
	return nnp, nil
}

// loadListener is load for a filter with a listener. took gets the descriptor's
// number in the process, copies it, and the process' own is closed.
func (a area) loadListener(flags uint64, took func(fd int) error) (nnp bool, err error) {
	call := func() error {
		return a.t.callForFD(took, unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags|unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, a.addr)
	}
	if err = call(); errors.Is(err, unix.EACCES) {
		if nnp, err = a.t.noNewPrivs(); err != nil {
			return nnp, err
		}
		err = call()
	}
	if err != nil {
		return nnp, fmt.Errorf("load filter with listener in thread %d: %w", a.t.Tid, err)
	}
	return nnp, nil
}

func (t *Thread) noNewPrivs() (bool, error) {
	if _, err := t.Call(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return false, fmt.Errorf("set no_new_privs in thread %d: %w", t.Tid, err)
	}
	return true, nil
}

// has says whether f is among the filters of the thread.
func (t *Thread) has(f []unix.SockFilter) (bool, error) {
	for i := range maxFilters {
		n, err := t.filterLen(i)
		if n == 0 || err != nil {
			return false, err
		}
		if n != len(f) {
			continue
		}
		got, err := t.filter(i)
		if err != nil || slices.Equal(got, f) {
			return err == nil, err
		}
	}
	return false, nil
}

// newestIs says whether the newest filter of the thread is f, and how many
// filters there are.
func (t *Thread) newestIs(f []unix.SockFilter) (bool, int, error) {
	count := 0
	for ; count < maxFilters; count++ {
		n, err := t.filterLen(count)
		if err != nil {
			return false, 0, err
		}
		if n == 0 {
			break
		}
	}
	if count == 0 {
		return false, 0, nil
	}
	newest, err := t.filter(count - 1)
	return slices.Equal(newest, f), count, err
}
