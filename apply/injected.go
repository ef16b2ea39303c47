package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"speaker/policy"
	"speaker/trace/proc"
)

// Subject tells a target from all others on this host, also from those that get
// its cgroup's path or its process' number after its end.
type Subject struct {
	Cgroup     string // "": it is the tree of a process
	Dev, Inode uint64 // of the cgroup
	Pid        int    // of the tree's first process
	Began      uint64 // when that was started, in clock ticks since the host's boot
}

// SubjectOf finds the subject of a cgroup, or where that is "" of the tree of a
// process.
func SubjectOf(cgroup string, pid int) (Subject, error) {
	if cgroup == "" {
		began, _, ok := proc.Began(pid)
		if !ok {
			return Subject{}, fmt.Errorf("find process %d: %w", pid, fs.ErrNotExist)
		}
		return Subject{Pid: pid, Began: began}, nil
	}
	info, err := os.Stat(cgroup)
	if err != nil {
		return Subject{}, fmt.Errorf("find cgroup: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return Subject{}, fmt.Errorf("find cgroup %s: it has no number", cgroup)
	}
	return Subject{Cgroup: cgroup, Dev: st.Dev, Inode: st.Ino}, nil
}

// lives says whether the target is still there.
func (s Subject) lives() bool {
	now, err := SubjectOf(s.Cgroup, s.Pid)
	return err == nil && now == s || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// file is the name of its record: no name of a container's is in it.
func (s Subject) file() string {
	if s.Cgroup == "" {
		return fmt.Sprintf("process-%d-%d.json", s.Pid, s.Began)
	}
	return fmt.Sprintf("cgroup-%d-%d.json", s.Dev, s.Inode)
}

// Injection is what speaker put into the running processes of a target. It is
// kept on disk, for root alone and until the target is gone, so that a later
// speaker can prove it.
type Injection struct {
	Subject
	Spec policy.Spec // what all filters that were injected let through together
	At   time.Time   // of the last one
	// Whole says that every process had the filter in the end. If not, speaker was
	// killed on the way, or could not serve them all.
	Whole bool
}

// injectedDir is where injections are kept.
func injectedDir() string { return filepath.Join(keeperDir, "injected") }

// ExpectInjection keeps, before an injection, what it is to bring. The injection
// is then told to settle.
func ExpectInjection(s Subject, spec policy.Spec, now time.Time) (settle func(Report, error) error, err error) {
	before, had, err := FindInjection(s)
	if err != nil {
		return nil, err
	}
	// Filters stack, and the strictest wins. Where conditions play a part it is left
	// at the last one: that others deny more is no difference.
	if had && before.Whole && len(spec.When)+len(before.Spec.When) == 0 {
		spec.Allow = spec.Allow.Intersect(before.Spec.Allow)
	}
	i := Injection{Subject: s, Spec: spec, At: now}
	if err := i.write(); err != nil {
		return nil, err
	}
	return func(r Report, failed error) error {
		switch {
		case r.Applied():
			i.Whole = failed == nil
			return i.write()
		case had:
			return before.write()
		}
		return i.remove()
	}, nil
}

// FindInjection reads what was injected into a target, if anything was. Records of
// targets that are gone are cleared away.
func FindInjection(s Subject) (i Injection, found bool, err error) {
	sweepInjections()
	b, err := os.ReadFile(filepath.Join(injectedDir(), s.file()))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return i, false, nil
	case err != nil:
		return i, false, fmt.Errorf("read what was injected: %w", err)
	}
	if err := json.Unmarshal(b, &i); err != nil || i.Subject != s {
		return i, false, fmt.Errorf("read what was injected: %s is damaged", filepath.Join(injectedDir(), s.file()))
	}
	return i, true, nil
}

// write makes or replaces the record, whole.
func (i Injection) write() error {
	b, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("keep what is injected: %w", err)
	}
	if err := os.MkdirAll(injectedDir(), 0o700); err != nil {
		return fmt.Errorf("keep what is injected: %w", err)
	}
	path := filepath.Join(injectedDir(), i.file())
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return fmt.Errorf("keep what is injected: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("keep what is injected: %w", err)
	}
	return nil
}

func (i Injection) remove() error { return os.Remove(filepath.Join(injectedDir(), i.file())) }

// sweepInjections removes the records of targets that are gone.
func sweepInjections() {
	files, _ := os.ReadDir(injectedDir())
	for _, f := range files {
		path := filepath.Join(injectedDir(), f.Name())
		b, err := os.ReadFile(path)
		var i Injection
		if err == nil && json.Unmarshal(b, &i) == nil && !i.lives() {
			_ = os.Remove(path)
		}
	}
}
