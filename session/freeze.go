package session

import "time"

// freezeLook is how often the freezer is asked.
const freezeLook = 500 * time.Millisecond

// freezer knows whether the target is frozen. Of cgroup v2 the kernel tells when
// that changes; the v1 freezer (docker pause on such hosts) must be asked.
type freezer struct {
	probe  Probe
	frozen bool
	next   time.Time
}

// told takes what the kernel says.
func (f *freezer) told(frozen bool) { f.frozen = frozen }

// look asks about the processes, and reports a change that nobody told.
func (f *freezer) look(pids []int) (changed bool) {
	now := time.Now()
	if f.probe == nil || len(pids) == 0 || now.Before(f.next) {
		return false
	}
	f.next = now.Add(freezeLook)
	frozen := f.probe.Frozen(pids[0])
	changed = frozen != f.frozen
	f.frozen = frozen
	return changed
}

// kind is the mark of what it is now.
func (f *freezer) kind() string {
	if f.frozen {
		return MarkFrozen
	}
	return MarkThawed
}
