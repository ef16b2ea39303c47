package apply

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A keeper that somebody stops goes on by itself, and says so; nobody's call waits for
// longer than that takes.
func TestKeeperStopped(t *testing.T) {
	s, h := held(t, "stopped")
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	k := status(t, h).Keeper
	rounds := 1
	if os.Getenv("SPEAKER_TEST_LONG") != "" {
		rounds = 4
	}
	for range rounds {
		stand(t, k, unix.SIGSTOP)
		begin := time.Now()
		s.wants("mkdir", "EPERM")
		t.Log("it waited for ", time.Since(begin))
	}
	eventually(t, "the journal says so", func() bool {
		list, err := HoldJournal("stopped")
		return err == nil && slices.ContainsFunc(list, func(e JournalEntry) bool { return strings.Contains(e.Why, "the keeper stood still for about") })
	})
	if st := status(t, h); st.Mode != "deny" || st.Keeper != k {
		t.Errorf("%+v", st)
	}
}

// One that is frozen cannot: whoever asks is told, and once it is thawed all is as it was.
func TestKeeperFrozen(t *testing.T) {
	needRoot(t)
	dir := filepath.Join("/sys/fs/cgroup/freezer", fmt.Sprint("speaker-apply-test-frozen-", os.Getpid()))
	state, frozen, thawed := filepath.Join(dir, "freezer.state"), "FROZEN", "THAWED"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		dir = filepath.Join("/sys/fs/cgroup", filepath.Base(dir))
		state, frozen, thawed = filepath.Join(dir, "cgroup.freeze"), "1", "0"
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("needs a cgroup that can be frozen: ", err)
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0); err != nil {
			t.Fatal(err)
		}
	}
	s, h := held(t, "frozen")
	defer func() { // its keeper goes with it
		_ = unix.Kill(s.l.Pid, unix.SIGKILL)
		eventually(t, "the cgroup goes", func() bool { return unix.Rmdir(dir) == nil })
	}()
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	k := status(t, h).Keeper
	write(filepath.Join(dir, "cgroup.procs"), fmt.Sprint(k))
	write(state, frozen)
	defer write(state, thawed)
	want := fmt.Sprintf("its keeper (process %d) is frozen, and removed calls wait for it: thaw its cgroup", k)
	list, err := FindHolds()
	if err != nil || len(list) != 1 || !strings.Contains(list[0].Silent, want) || !list[0].Alive {
		t.Errorf("%+v %v", list, err)
	}
	got := s.later()
	write(state, thawed)
	if a := <-got; a != "EPERM" {
		t.Error(a)
	}
	if st := status(t, h); st.Mode != "deny" {
		t.Errorf("%+v", st)
	}
}
