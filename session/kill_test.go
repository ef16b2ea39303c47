package session

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestMain also runs the test binary as the programs that the tests start.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case "_write":
			writeForever(os.Args[2], false)
		case "_anew":
			writeForever(os.Args[2], true)
		case "_gate":
			gate(os.Args[2])
		case "_stress-gate":
			stressGate(os.Args[2])
		case "_stress":
			stress(os.Args[2])
		case "_look":
			look(os.Args[2])
		case "_serve":
			serve(os.Args[2])
		}
	}
	os.Exit(m.Run())
}

// writeForever records an epoch a millisecond and tells each on its output. Anew
// means that its file is written anew all the time.
func writeForever(path string, anew bool) {
	w, err := Create(path, Meta{Tool: "test"})
	if err != nil {
		panic(err)
	}
	s := New(Meta{Tool: "test"})
	s.Attach(w)
	s.AddMark(Mark{Kind: MarkUser, Text: "first"})
	go func() {
		for anew {
			if err := w.writeAnew(); err != nil {
				panic(err)
			}
		}
	}()
	for i := time.Duration(0); ; i++ {
		if err := s.AddEpoch(Epoch{Start: i * ms, End: (i + 1) * ms}); err != nil {
			panic(err)
		}
		fmt.Println(int64(i))
		time.Sleep(ms)
	}
}

func TestKilledWriterLosesAtMostTheLastSecond(t *testing.T) {
	for i, after := range []time.Duration{1200 * ms, 2300 * ms, 1200 * ms, 1333 * ms, 2300 * ms} {
		path, mode := tempPath(t), "_write"
		if i > 1 {
			mode = "_anew"
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, "/proc/self/exe", mode, path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// added[i] is when epoch i was told.
		var added []time.Time
		for in := bufio.NewScanner(out); in.Scan(); {
			added = append(added, time.Now())
			if len(added) > 1 && time.Since(added[0]) > after {
				break
			}
		}
		if err := cmd.Process.Kill(); err != nil { // SIGKILL
			t.Fatal(err)
		}
		killed := time.Now()
		cmd.Wait() // it was killed: the error says no more
		s, damage, err := Open(path)
		if err != nil || damage.Any() || !damage.Unclosed {
			t.Fatal(damage, err)
		}
		if m := s.Marks(); len(m) != 1 {
			t.Errorf("marks %+v", m)
		}
		n := int(s.Length() / ms)
		if n == 0 || n < len(added) && killed.Sub(added[n]) > flushEvery+500*ms {
			t.Errorf("%d epochs of %d are there", n, len(added))
		}
		a, w, _, err := OpenAppend(path) // the lock died with the writer
		if err != nil {
			t.Fatal(err)
		}
		if err := a.AddEpoch(Epoch{Start: a.Length(), End: a.Length() + ms}); err != nil {
			t.Error(err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if got := names(t, filepath.Dir(path)); len(got) != 1 {
			t.Errorf("after the next writer the folder holds %q", got)
		}
	}
}
