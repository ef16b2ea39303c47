package trace

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

func TestPermitted(t *testing.T) {
	for name, c := range map[string]struct {
		caps uint64
		want string // "": it may
	}{
		"nothing":     {0, "both are missing"},
		"BPF alone":   {1 << capBPF, "CAP_PERFMON is missing"},
		"perf alone":  {1 << capPerfmon, "CAP_BPF is missing"},
		"both":        {1<<capBPF | 1<<capPerfmon, ""},
		"admin":       {1 << capSysAdmin, ""},
		"all the old": {1<<38 - 1, ""}, // Linux 5.7 knows no others
	} {
		one(t, name, permitted(c.caps), c.want)
	}
}

// What the kernel lacks is said with the version that has it.
func TestRefusal(t *testing.T) {
	lacks := fmt.Errorf("probe: %w", ebpf.ErrNotSupported)
	for _, n := range needs {
		one(t, n.what, refusal(n.what, n.why, lacks), ": "+n.what+" "+n.why)
		one(t, n.what, refusal(n.what, n.why, nil), "")
	}
	one(t, "not let in", refusal("x", "", fmt.Errorf("probe: %w", os.ErrPermission)), "does not let")
	one(t, "else", refusal("x", "", errors.New("out of memory")), "ask the kernel for x: out of memory")
}

// one wants an error of one line that contains want, or none.
func one(t testing.TB, name string, err error, want string) {
	t.Helper()
	switch {
	case err == nil && want == "":
	case err == nil || want == "" || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n"):
		t.Errorf("%s: %v, want %q", name, err, want)
	}
}
