package target

import (
	"os"
	"os/exec"
	"testing"
)

func TestCapabilities(t *testing.T) {
	for _, x := range []struct {
		eff  uint64
		want string
	}{
		{0, "none"},
		{1<<41 - 1, "all"},
		{dockerCaps, "default 14"},
		{podmanCaps, "default 11"},
		{1 << 10, "1"},
		{1<<41 - 1 - 1<<21, "40 with sys_ptrace sys_module sys_rawio +8"},
		{dockerCaps | 1<<12, "15 with net_admin"},
	} {
		if got := (Facts{CapEff: x.eff, LastCap: 40}).Capabilities(); got != x.want {
			t.Errorf("%x: got %q, want %q", x.eff, got, x.want)
		}
	}
}

func TestFilterWords(t *testing.T) {
	for want, f := range map[string]Facts{
		"none": {}, "strict": {Seccomp: 1}, "filters": {Seccomp: 2}, "1 filter": {Seccomp: 2, Filters: 1}, "3 filters": {Seccomp: 2, Filters: 3},
	} {
		if got := f.Filter(); got != want {
			t.Errorf("%+v: got %q, want %q", f, got, want)
		}
	}
}

func TestFactsOf(t *testing.T) {
	f := factsOf(os.Getpid(), 3, "")
	if f == nil || f.Processes != 3 || f.CgroupVersion != 0 || f.LastCap < 37 {
		t.Errorf("got %+v", f)
	}
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if f := factsOf(cmd.Process.Pid, 1, ""); f != nil {
		t.Errorf("of a process that is gone: %+v", f)
	}
}
