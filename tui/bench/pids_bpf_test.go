package bench

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"speaker/apply"
)

// A process of a tree whose parent ended is still one of the target's.
func TestPidsOfATree(t *testing.T) {
	needBPF(t)
	lonely(t)
	cmd := exec.Command("/bin/sh", "-c", `read x; sh -c 'sleep 60 & echo $!'; read x`)
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
	w, err := New(Options{NoFile: true}).Watch(context.Background(), fmt.Sprintf("pid:%d", cmd.Process.Pid), false)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	fmt.Fprintln(in, "go")
	orphan := 0
	if _, err := fmt.Fscan(out, &orphan); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { exec.Command("kill", fmt.Sprint(orphan)).Run() })
	l := w.(*live)
	until(t, "the orphan alone is left of those between", func() bool {
		got, err := l.pids()
		return err == nil && slices.Equal(got, sorted(cmd.Process.Pid, orphan))
	})
	tree, err := l.target.Pids()
	if err != nil || slices.Contains(tree, orphan) {
		t.Errorf("the tree shows it, so that this test says nothing: %v, %v", tree, err)
	}
	proof := l.scope(apply.Proof{Text: []string{"Proved."}})
	if len(proof.Text) != 2 || !strings.Contains(proof.Text[1], "before the watch began") {
		t.Errorf("%q", proof.Text)
	}
}

func sorted(pids ...int) []int {
	slices.Sort(pids)
	return pids
}
