package trace

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// barrier waits until every kernel program that is running now has ended. The
// kernel does exactly that when user space changes a map of maps
// (maybe_wait_bpf_programs, Linux 4.20), so that user space may then rely on
// the old inner map being unused. membarrier(2) would do as well, but refuses
// on hosts with nohz_full CPUs.
type barrier struct {
	outer, inner *ebpf.Map
}

func newBarrier() (*barrier, error) {
	cell := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	inner, err := ebpf.NewMap(cell)
	if err != nil {
		return nil, fmt.Errorf("make map for the barrier: %w", err)
	}
	outer, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ArrayOfMaps, KeySize: 4, MaxEntries: 1, InnerMap: cell})
	if err != nil {
		inner.Close()
		return nil, fmt.Errorf("make map of maps for the barrier: %w", err)
	}
	return &barrier{outer: outer, inner: inner}, nil
}

func (b *barrier) wait() error {
	if err := b.outer.Put(uint32(0), b.inner); err != nil {
		return fmt.Errorf("wait for running eBPF programs: %w", err)
	}
	return nil
}

func (b *barrier) close() error { return errors.Join(b.outer.Close(), b.inner.Close()) }
