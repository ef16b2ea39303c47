package trace

import (
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// mapped is a kernel array map as memory shared with the kernel's programs.
// T must have the map's value type, whose size must be a multiple of 8.
type mapped[T any] struct {
	raw  []byte
	elem []T
}

func mapMemory[T any](m *ebpf.Map) (mapped[T], error) {
	n := int(m.MaxEntries())
	size := int(unsafe.Sizeof(*new(T)))
	if size != int(m.ValueSize()) || size%8 != 0 {
		return mapped[T]{}, fmt.Errorf("map %s has values of %d bytes, not of %d", m, m.ValueSize(), size)
	}
	page := unix.Getpagesize()
	raw, err := unix.Mmap(m.FD(), 0, (n*size+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return mapped[T]{}, fmt.Errorf("map %s into memory: %w", m, err)
	}
	return mapped[T]{raw, unsafe.Slice((*T)(unsafe.Pointer(&raw[0])), n)}, nil
}

func (m *mapped[T]) unmap() error {
	if m.raw == nil {
		return nil
	}
	raw := m.raw
	m.raw, m.elem = nil, nil
	return unix.Munmap(raw)
}
