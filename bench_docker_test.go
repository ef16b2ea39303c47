package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/trace"
	"speaker/tui/bench"
)

// The whole street on real servers: found in the list, booted and seen from
// the first call, split, judged, narrowed under load, proved, denied; the session
// opened by a user without privilege, and its profile given to a new container.
func TestServers(t *testing.T) {
	needServers(t)
	for _, x := range []struct {
		name string
		server
		// fresh: the container that is booted is new. At its first start nginx
		// makes folders, which a start again would not show.
		fresh bool
		// provoke has the server itself make calls that only boot, or nobody,
		// needed, and checks that it felt the refusal. It may harm the server.
		provoke func(t *testing.T, name, addr string)
		denied  []string // at least one of these is then refused
	}{
		{"nginx", nginx, true, reloadNginx, []string{"uname", "socketpair", "clone"}},
		{"redis", redis, false, forkRedis, []string{"clone"}},
		{"postgres", postgres, false, programOfPostgres, []string{"pipe2"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			name := "speaker-e2e-" + x.name
			createContainer(t, name, x.server)
			if !x.fresh {
				docker(t, "start", name)
				address(t, name, x.server)
			}
			dir := t.TempDir()
			w := boot(t, name, dir)
			addr := address(t, name, x.server)
			l := startLoad(t, x.server, addr)
			accept(t, w)
			dryRun(t, w)
			narrow(t, w, l)
			x.provoke(t, name, addr)
			seeDenied(t, w, x.denied)
			file := filepath.Join(dir, "saved.speaker")
			if err := w.SaveAs(file); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			docker(t, "rm", "-f", name)
			profile := reopen(t, file, name)
			startContainer(t, name+"-profile", x.server, "--security-opt", "seccomp="+profile)
			l = startLoad(t, x.server, address(t, name+"-profile", x.server))
			l.more(t, 200)
			l.check(t, "under the exported profile")
		})
	}
}

// boot picks a container from the list and boots it.
func boot(t *testing.T, name, dir string) bench.Work {
	t.Helper()
	b := bench.New(bench.Options{SessionDir: dir, Tool: "speaker test"})
	items, problems := b.Targets(soon(t))
	i := slices.IndexFunc(items, func(i bench.Item) bool { return i.Name == name })
	if i < 0 {
		t.Fatalf("%s is not in the list %v (%v)", name, items, problems)
	}
	if it := items[i]; it.Engine != "docker" || it.Image != image || !it.CanBoot {
		t.Errorf("got %+v", it)
	}
	before := inspect(t, name).Pid
	w, err := b.Watch(soon(t), items[i].Ref, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if now := inspect(t, name).Pid; now == before || now != w.State().Item.Pid {
		t.Errorf("process %d before, %d after the boot, and %d watched", before, now, w.State().Item.Pid)
	}
	return w
}

// accept waits for a split, and looks whether it and the sets make sense.
func accept(t *testing.T, w bench.Work) {
	t.Helper()
	eventually(t, "a split to accept", func() (bool, string) {
		err := w.Accept()
		return err == nil, errText(err)
	})
	sp, _ := w.Session().Split()
	p := w.Session().Policy(sp)
	t.Logf("split at %v of %v: %s; %d calls, %d in run", sp.At, w.Session().Length(), sp.How, p.Wide().Len(), p.Narrow().Len())
	if !w.Session().Meta().StartSeen {
		t.Error("the start was not seen")
	}
	for _, s := range w.Session().Completeness() {
		t.Log("note:", s)
	}
	if lost := w.Session().Lost(); lost.Table > 0 {
		t.Errorf("%d calls were lost", lost.Table)
	}
	for _, name := range []string{"bind", "listen"} {
		c := call(t, name)
		if !p.Wide().Has(c) || p.Narrow().Has(c) {
			t.Errorf("%s: in the whole life %v, in run %v", name, p.Wide().Has(c), p.Narrow().Has(c))
		}
	}
}

func call(t *testing.T, name string) policy.Call {
	t.Helper()
	c, err := policy.ParseCall(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// dryRun judges until nothing would have been denied for a while. What would
// have been is then known to belong to run; anything else is a fault.
func dryRun(t *testing.T, w bench.Work) {
	t.Helper()
	narrow := runSet(w)
	if err := w.DryRun(true); err != nil {
		t.Fatal(err)
	}
	quiet := time.Now()
	eventually(t, "a second and a half without a call outside run", func() (bool, string) {
		would := w.State().WouldDeny
		if len(would) == 0 {
			return time.Since(quiet) > 1500*time.Millisecond, ""
		}
		for _, r := range would {
			if c := bench.CallOf(r); narrow.Has(c) {
				t.Fatalf("dry run counts %v, which run has", c)
			}
		}
		t.Logf("new in run while judged:%s", rows(would))
		eventually(t, "the recording of it", func() (bool, string) {
			return !slices.ContainsFunc(would, func(r trace.ProcRow) bool { return !runSet(w).Has(bench.CallOf(r)) }), ""
		})
		quiet, narrow = time.Now(), runSet(w)
		if err := w.DryRun(true); err != nil {
			t.Fatal(err)
		}
		return false, rows(would)
	})
	if err := w.DryRun(false); err != nil {
		t.Fatal(err)
	}
}

// runSet is the run set as it stands.
func runSet(w bench.Work) policy.Set {
	sp, _ := w.Session().Split()
	return w.Session().Policy(sp).Narrow()
}

func rows(list []trace.ProcRow) string {
	var b strings.Builder
	for _, r := range list {
		fmt.Fprintf(&b, " %s[%d] %v %d times (errno %d);", r.Comm, r.Pid, bench.CallOf(r), r.Count, r.Errno)
	}
	return b.String()
}

// narrow injects the run filter under load.
func narrow(t *testing.T, w bench.Work, l *load) {
	t.Helper()
	l.more(t, 20)
	report, proof, err := w.Inject(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if !proof.OK || report.Processes == 0 || proof.Processes == 0 || len(report.Failed) > 0 {
		t.Fatalf("report %+v, proof %v", report, proof.Text)
	}
	t.Logf("%d processes in %d passes, stopped for %v; %v", report.Processes, report.Passes, report.Stops, proof.Text)
	if w.State().Applied != bench.Injected {
		t.Errorf("applied: %s", w.State().Applied)
	}
	l.more(t, 200)
	l.stop()
	l.check(t, "around the injection")
	t.Logf("%d requests, none lost", l.asked)
}

// seeDenied waits for the tracer to tell of a refusal that is among names, and
// checks that nothing was refused that the filter lets through.
func seeDenied(t *testing.T, w bench.Work, names []string) {
	t.Helper()
	eventually(t, fmt.Sprint("a refusal among ", names), func() (bool, string) {
		denied := w.State().Denied
		return slices.ContainsFunc(denied, func(r trace.ProcRow) bool {
			return slices.Contains(names, bench.CallOf(r).String()) && unix.Errno(r.Errno) == unix.EPERM
		}), rows(denied)
	})
	denied := w.State().Denied
	t.Logf("denied:%s", rows(denied))
	sp, _ := w.Session().Split()
	spec := w.Session().Policy(sp).NarrowSpec()
	for _, r := range denied {
		if !spec.Want(bench.CallOf(r)).Denies() {
			t.Errorf("%v was denied, which run has", bench.CallOf(r))
		}
	}
	if proof, err := w.Prove(soon(t)); err != nil || !proof.OK {
		t.Errorf("afterwards: %v, %v", proof.Text, err)
	}
}

// reloadNginx has the master read its settings again and start new workers.
func reloadNginx(t *testing.T, name, _ string) {
	t.Helper()
	docker(t, "kill", "-s", "HUP", name)
}

// forkRedis asks for a snapshot, which a child of the server writes.
func forkRedis(t *testing.T, _, addr string) {
	t.Helper()
	w := &wire{addr: addr}
	defer w.close()
	if got, err := redisCall(w, "BGSAVE"); err != nil || !strings.HasPrefix(got, "-ERR") {
		t.Errorf("BGSAVE answered %q, %v; want an error", got, err)
	}
	c := redisClient(addr)
	defer c.close()
	if err := c.ask(); err != nil {
		t.Errorf("after the refusal: %v", err)
	}
}

// programOfPostgres has a backend start a program.
func programOfPostgres(t *testing.T, _, addr string) {
	t.Helper()
	w := &wire{addr: addr, hello: postgresHello}
	defer w.close()
	if got, err := postgresQuery(w, "COPY (SELECT 1) TO PROGRAM 'true'"); err == nil {
		t.Errorf("the program was started: %q", got)
	} else {
		t.Logf("postgres: %v", err)
	}
	c := postgresClient(addr)
	defer c.close()
	if err := c.ask(); err != nil {
		t.Errorf("after the refusal: %v", err)
	}
}

// reopen has a user without privilege show and export a session, and returns
// the path of the profile.
func reopen(t *testing.T, file, name string) string {
	t.Helper()
	path, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(filepath.Dir(path), name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	readable, profile := filepath.Join(dir, "session.speaker"), filepath.Join(dir, "profile.json")
	if err := os.WriteFile(readable, data, 0o444); err != nil {
		t.Fatal(err)
	}
	shown := output(t, nobody(speaker(t, "show", readable)))
	for _, want := range []string{name, image, "tried     inject", "tried     prove", "proved in"} {
		if !strings.Contains(shown, want) {
			t.Errorf("show lacks %q:\n%s", want, shown)
		}
	}
	text := output(t, nobody(speaker(t, "export", "--format", "docker", "--phase", "boot", readable)))
	if err := os.WriteFile(profile, []byte(text), 0o444); err != nil {
		t.Fatal(err)
	}
	return profile
}
