package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
)

// record is what a hold leaves on disk, for speakers to come: it tells what
// stands on the target when no keeper does any more, because it was killed or
// because the hold was sealed.
type record struct {
	Name   string
	Label  string // see Config
	Pid    int    // of the program
	Began  uint64 // when that began, where the target ends with it: a later life has a cgroup of the same name
	Cgroup string // of the target; "": its processes are Pid alone
	Own    bool   // see Config
	Runs   bool   // see Config
	Keeper int
	Mode   Mode
	Specs
}

// read reads the record of a hold.
func read(dir, name string) (record, error) {
	var r record
	b, err := os.ReadFile(recordPath(dir, name))
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil || r.Name != name {
		return r, fmt.Errorf("read record of hold %s: it is damaged", name)
	}
	return r, nil
}

// write makes or replaces the record, whole.
func (r record) write(dir string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write record of hold: %w", err)
	}
	path := recordPath(dir, r.Name)
	_ = os.Remove(path + ".new") // not through a link, should that be one
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write record of hold: %w", err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write record of hold: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write record of hold: %w", err)
	}
	return nil
}

// Forget removes what a keeper left behind that was killed before it held anything.
func Forget(dir, name string) {
	removeRecord(dir, name)
	_ = os.Remove(socketPath(dir, name))
}

func removeRecord(dir, name string) { _ = os.Remove(recordPath(dir, name)) }

// lives says whether any process of the target does.
func (r record) lives() bool {
	if r.Began != 0 {
		began, _, ok := proc.Began(r.Pid)
		return ok && began == r.Began && proc.Runs(r.Pid)
	}
	if r.Cgroup == "" {
		return proc.Runs(r.Pid)
	}
	return len(r.pids(1)) > 0
}

// pids are processes of the target, at most that many.
func (r record) pids(most int) (out []int) {
	if r.Cgroup == "" {
		return []int{r.Pid}
	}
	_ = filepath.WalkDir(r.Cgroup, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return nil
		}
		b, _ := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		for s := range strings.FieldsSeq(string(b)) {
			if len(out) == most {
				return fs.SkipAll
			}
			if pid, err := strconv.Atoi(s); err == nil {
				out = append(out, pid)
			}
		}
		return nil
	})
	return out
}

// cgroupGoes is how long the last process of a target may take to leave its
// cgroup: it does a little after its end.
const cgroupGoes = time.Second

// removeCgroup removes the cgroup of a target that has ended. It fails, rightly,
// while anybody is in it.
func (r record) removeCgroup(patience time.Duration) {
	if r.Cgroup == "" || !r.Own {
		return
	}
	for end := time.Now().Add(patience); errors.Is(unix.Rmdir(r.Cgroup), unix.EBUSY) && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}

// keeps says whether a process is a keeper: numbers of processes are given anew.
func keeps(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && string(b) == comm+"\n" && proc.Runs(pid)
}

// Why no keeper answers for a hold.
var (
	ErrSealed = errors.New("it is sealed: that is permanent, only the end of its processes takes the filter away")
	ErrBereft = errors.New("its keeper was killed: removed calls fail with ENOSYS, for good; boot the target again")
	ErrEnded  = errors.New("it is not in place: its target has ended, and its keeper with it")
)

// absence says why nobody answered; heard is how that was met with.
func absence(dir, name string, heard error) error {
	r, err := read(dir, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("hold %s: %w", name, ErrEnded)
	case err != nil:
		return err
	case !r.lives():
		return fmt.Errorf("hold %s: %w", name, ErrEnded)
	case keeps(r.Keeper): // it is just leaving, or hangs
		return heard
	case r.Mode == Sealed:
		return fmt.Errorf("hold %s: %w", name, ErrSealed)
	}
	return fmt.Errorf("hold %s: %w", name, ErrBereft)
}

// Found is a hold that stands on a target.
type Found struct {
	Status Status
	Cgroup string // "": not known
	Specs
	// Dead says that the keeper was killed: removed calls fail with ENOSYS.
	// That of a sealed hold has left, which is not this.
	Dead bool
	// Silent is why a keeper that is there does not answer; "" when it does.
	Silent string
}

// ErrPrivate says that holds can be seen by root alone.
var ErrPrivate = errors.New("only root can list holds")

// Find lists holds. Traces of one whose keeper and target are both gone are
// cleared away.
func Find(dir string) ([]Found, error) {
	names, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, ErrPrivate
	case err != nil:
		return nil, fmt.Errorf("list holds: %w", err)
	}
	var out []Found
	for _, e := range names {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			clearJournal(dir, e)
			continue
		}
		r, err := read(dir, name)
		if err != nil {
			continue
		}
		f := Found{Cgroup: r.Cgroup, Status: Status{Name: r.Name, Label: r.Label, Pid: r.Pid, Mode: r.Mode}, Specs: r.Specs}
		st, err := (Client{dir, name}).Status()
		switch {
		case err == nil:
			f.Status = st
		case errors.Is(err, ErrSealed):
		case errors.Is(err, ErrBereft):
			f.Dead = true
		case errors.Is(err, ErrEnded):
			removeRecord(dir, name)
			_ = os.Remove(socketPath(dir, name))
			r.removeCgroup(0)
			continue
		case keeps(r.Keeper):
			f.Silent = err.Error()
		default:
			continue // it has just left
		}
		out = append(out, f)
	}
	return out, nil
}
