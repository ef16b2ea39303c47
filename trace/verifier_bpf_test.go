package trace

import (
	"os"
	"reflect"
	"testing"

	"github.com/cilium/ebpf"
)

// The kernel follows every path through a program, a million instructions at
// most, and each kernel version follows others. A program that is near the limit
// here is refused elsewhere, and takes seconds to load.
func TestVerifierHasLittleToDo(t *testing.T) {
	needBPF(t)
	const most = 20_000
	tr := open(t, Config{Pid: os.Getpid()})
	progs := reflect.ValueOf(tr.objs.bpfPrograms)
	for i := range progs.NumField() {
		name, p := progs.Type().Field(i).Name, progs.Field(i).Interface().(*ebpf.Program)
		info, err := p.Info()
		if err != nil {
			t.Fatal(err)
		}
		n, ok := info.VerifiedInstructions()
		if !ok {
			t.Skip("this kernel does not tell (before Linux 5.16)")
		}
		if n > most {
			t.Errorf("%s: the verifier followed %d instructions, want at most %d", name, n, most)
		}
		t.Logf("%s: %d", name, n)
	}
}
