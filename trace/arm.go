package trace

import (
	"fmt"
	"sync/atomic"

	"github.com/cilium/ebpf"
)

// Arm adds leaf names of cgroups that will be made soon to a Tracer of a cgroup,
// or one that was opened with ArmLater. They all are names of one candidate, whose number, from
// 1 up, the caller chooses: the first candidate of which a cgroup is made is the
// target, from its first call on, and the names of the others no longer count.
// It takes some microseconds.
func (t *Tracer) Arm(candidate uint32, leafs ...string) error {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return ErrClosed
	}
	if err := checkLeafs(leafs); err != nil {
		return err
	}
	return t.arm(candidate, leafs)
}

func (t *Tracer) arm(candidate uint32, leafs []string) error {
	return armNames(t.objs.Armed, candidate, leafs)
}

func armNames(m *ebpf.Map, candidate uint32, leafs []string) error {
	for _, name := range leafs {
		var leaf bpfLeaf
		copy(leaf.Name[:], name)
		if err := m.Put(leaf, candidate); err != nil {
			return fmt.Errorf("arm cgroup name %q: %w", name, err)
		}
	}
	return nil
}

// Disarm takes names back: nothing that is made under them becomes the target.
// What has become it stays it.
func (t *Tracer) Disarm(leafs ...string) {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return
	}
	for _, name := range leafs {
		var leaf bpfLeaf
		copy(leaf.Name[:], name)
		_ = t.objs.Armed.Delete(leaf) // it may never have been armed
	}
}

// Taken returns the candidate that is the target; 0: none yet. After Close it
// is 0.
func (t *Tracer) Taken() uint32 {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return 0
	}
	return atomic.LoadUint32(&t.control.Taken)
}
