package bench

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"testing"
	"time"

	"speaker/policy"
)

// The dry run tells a call that a condition refuses for its arguments from one that
// passes, counts what came after it began alone, and says what it cannot know.
func TestDryRunJudgesConditions(t *testing.T) {
	needBPF(t)
	lonely(t)
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("without bash nothing here opens sockets:", err)
	}
	// Nobody listens on port 1: the socket is made all the same.
	cmd := exec.Command("bash", "-c", `while read x; do (exec 3<>/dev/tcp/127.0.0.1/1) 2>/dev/null; echo done; done`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	open := func() {
		t.Helper()
		fmt.Fprintln(in, "go")
		if _, err := fmt.Fscan(out, new(string)); err != nil {
			t.Fatal(err)
		}
	}
	w, err := New(Options{NoFile: true}).Watch(context.Background(), fmt.Sprintf("pid:%d", cmd.Process.Pid), false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	open() // before the dry run
	until(t, "something is recorded", func() bool { return w.SetSplit(time.Millisecond, 0) == nil })
	edit := func(text string) {
		t.Helper()
		e, err := policy.ParseEdit(text)
		if err == nil {
			err = w.Edit(e)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	edit("allow socket in run")
	edit("condition socket in run: arg0 == AF_UNIX")
	edit("condition close in run: arg0 < 100")
	if err := w.DryRun(true); err != nil {
		t.Fatal(err)
	}
	open()
	open()
	until(t, "both sockets are counted, and the first is not", func() bool {
		r := w.State().WouldRefuse
		return len(r) == 1 && r[0].String() == "socket(0x2, 0x1)" && r[0].Count == 2
	})
	if u := w.State().Unsure; !slices.Equal(u, []string{"close: its condition looks at arguments whose values are not counted"}) {
		t.Errorf("unsure: %q", u)
	}
	edit("condition socket in run: arg0 == AF_INET && arg1 & 0xf == SOCK_STREAM")
	until(t, "the new condition lets them through", func() bool { return len(w.State().WouldRefuse) == 0 })
	if err := w.DryRun(false); err != nil || w.State().Unsure != nil {
		t.Error(w.State().Unsure, err)
	}
}
