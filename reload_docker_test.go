package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/session"
	"speaker/tui/bench"
)

// reloaded is a real server, and what an administrator asks of it.
type reloaded struct {
	name string
	server
	ask func(t *testing.T, name, addr string)
	how string // what it is recognised by begins so; %d is the first process
	// needs are calls that it needs and serving does not.
	needs []string
	idle  bool // nobody asks for anything else meanwhile
}

// forks is what a worker that is started anew takes of nginx.
var forks = []string{"clone", "socketpair"}

// job starts nginx from a script, which runs a program when it is told to.
var job = server{nil, []string{"sh", "-c", `mkfifo /tmp/told; nginx -g "daemon off;" & read x </tmp/told; tar -cf /tmp/etc.tar /etc; wait`}, 80, httpClient}

var reloads = []reloaded{
	{"nginx-exec", nginx, func(t *testing.T, name, _ string) { docker(t, "exec", name, "nginx", "-s", "reload") }, "nginx (pid %d) is sent SIGHUP from outside (nginx, pid ", forks, false},
	{"nginx-kill", nginx, reloadNginx, "nginx (pid %d) is sent SIGHUP from outside (runc, pid ", forks, false},
	{"postgres-kill", postgres, reloadNginx, "postgres (pid %d) is sent SIGHUP from outside (runc, pid ", []string{"kill"}, true},
	{"child", job, func(t *testing.T, name, _ string) { docker(t, "exec", name, "sh", "-c", "echo >/tmp/told") }, "tar (pid ", []string{"getdents64", "execve"}, false},
}

// reloadPostgres has a backend ask the first process to read its settings again.
func reloadPostgres(t *testing.T, _, addr string) {
	t.Helper()
	w := &wire{addr: addr, hello: postgresHello}
	defer w.close()
	if got, err := postgresQuery(w, "SELECT pg_reload_conf()"); err != nil || got != "t" {
		t.Fatalf("pg_reload_conf answered %q, %v", got, err)
	}
}

// A real reload under load is recognised by itself. Taken as administration its
// calls are a group of their own; without that group run shrinks by them, and the
// rehearsal says that the reload would be denied.
func TestReloadIsRecognised(t *testing.T) {
	needServers(t)
	for _, x := range reloads {
		t.Run(x.name, func(t *testing.T) {
			name := "speaker-e2e-reload-" + x.name
			createContainer(t, name, x.server)
			w := boot(t, name, t.TempDir())
			s := w.Session()
			addr := address(t, name, x.server)
			var l *load
			if !x.idle {
				l = startLoad(t, x.server, addr)
			}
			accept(t, w)
			sp, _ := s.Split()
			lasts(t, s, sp.At+8*time.Second) // what serving takes is seen
			if found := s.Recognise(sp); len(found) > 0 {
				t.Errorf("recognised before anything was asked: %+v", found)
			}
			asked := s.Length()
			x.ask(t, name, addr)
			found := x.recognised(t, w, asked)
			if l != nil {
				l.stop()
				l.check(t, "around the reload")
			}
			x.leftOut(t, w, found)
		})
	}
}

// Where each connection is a process of its own, and logged, a reload calls nothing
// that serving does not: it is marked, and there is nothing to decide on.
func TestReloadThatCostsNothing(t *testing.T) {
	needServers(t)
	const name = "speaker-e2e-reload-nothing"
	logs := postgres
	logs.command = append(slices.Clone(postgres.command[:2]), postgres.command[2]+" -c log_connections=on")
	createContainer(t, name, logs)
	w := boot(t, name, t.TempDir())
	s := w.Session()
	addr := address(t, name, postgres)
	l := startLoad(t, postgres, addr)
	accept(t, w)
	sp, _ := s.Split()
	lasts(t, s, sp.At+8*time.Second)
	reloadPostgres(t, name, addr)
	mark := session.Mark{}
	eventually(t, "the mark of the reload", func() (bool, string) {
		i := slices.IndexFunc(s.Marks(), func(m session.Mark) bool { return m.Kind == session.MarkReload })
		if i >= 0 {
			mark = s.Marks()[i]
		}
		return i >= 0, ""
	})
	if mark.Comm != "postgres" || !strings.HasPrefix(mark.Text, "SIGHUP from inside (postgres, pid ") {
		t.Errorf("marked %+v", mark)
	}
	lasts(t, s, mark.At+5*time.Second)
	l.stop()
	for _, r := range s.Recognise(sp) {
		t.Errorf("recognised %v to %v, %s: %v", r.From, r.To, r.How, policy.NewSet(r.Calls...))
	}
}

// lasts waits until a recording is so long.
func lasts(t *testing.T, s *session.Session, d time.Duration) {
	t.Helper()
	eventually(t, fmt.Sprint("a recording of ", d), func() (bool, string) { return s.Length() >= d, fmt.Sprint(s.Length()) })
}

// recognised waits for the reload to be recognised, and checks what as.
func (x reloaded) recognised(t *testing.T, w bench.Work, asked time.Duration) session.Recognised {
	t.Helper()
	s := w.Session()
	sp, _ := s.Split()
	var found []session.Recognised
	eventually(t, "the reload to be recognised", func() (bool, string) {
		found = s.Recognise(sp)
		return len(found) > 0, fmt.Sprint(s.Marks())
	})
	lasts(t, s, s.Length()+3*time.Second) // it stays what it is
	if found = s.Recognise(sp); len(found) != 1 {
		t.Fatalf("%d recognised: %+v", len(found), found)
	}
	r := found[0]
	t.Logf("asked at %v: %v to %v, %s: %v", asked, r.From, r.To, r.How, policy.NewSet(r.Calls...))
	if r.From < asked-time.Second || r.From > asked+2*time.Second || r.To-r.From > 11*time.Second {
		t.Errorf("asked at %v, and recognised from %v to %v", asked, r.From, r.To)
	}
	if how := strings.Replace(x.how, "%d", fmt.Sprint(w.State().Item.Pid), 1); !strings.HasPrefix(r.How, how) {
		t.Errorf("recognised by %q, which does not begin with %q", r.How, how)
	}
	for _, name := range x.needs {
		if !slices.Contains(r.Calls, call(t, name)) {
			t.Errorf("%s is not among its calls: %v", name, policy.NewSet(r.Calls...))
		}
	}
	return r
}

// leftOut accepts the reload, leaves administration out, and holds the sets and the
// rehearsal against the calls that were told before.
func (x reloaded) leftOut(t *testing.T, w bench.Work, r session.Recognised) {
	t.Helper()
	s := w.Session()
	sp, _ := s.Split()
	before := s.Policy(sp)
	do(t, func() error { return w.ChangeAdmin(session.AdminChange{Op: session.AdminAdd, Admin: r.Admin}) })
	if again := s.Recognise(sp); len(again) > 0 {
		t.Errorf("accepted, and still recognised: %+v", again)
	}
	obs := s.Observed(sp)
	has := func(ph policy.Phase, c policy.Call) bool {
		return slices.ContainsFunc(obs[ph], func(u policy.Use) bool { return u.Call == c })
	}
	for _, c := range r.Calls {
		if !has(policy.Admin, c) || has(policy.Run, c) {
			t.Errorf("%v: in admin %v, in run %v", c, has(policy.Admin, c), has(policy.Run, c))
		}
	}
	if in := s.Policy(sp); !in.Narrow().Equal(before.Narrow()) {
		t.Errorf("run changes by the mark alone, from %v to %v", before.Narrow(), in.Narrow())
	}
	do(t, func() error { return w.Edit(policy.Edit{At: time.Now(), Op: policy.OpLeaveOut, Phase: policy.Admin}) })
	p := s.Policy(sp)
	gone := before.Narrow().Minus(p.Narrow())
	want := policy.NewSet(r.Calls...).Minus(p.Narrow()) // but for the essential ones
	if !gone.Equal(want) || gone.Len() == 0 {
		t.Errorf("run lost %v, want %v", gone, want)
	}
	denied := policy.Set{}
	for _, d := range session.Rehearse(s, sp, p).Denied {
		if d.Phase == policy.Admin {
			denied = denied.Union(policy.NewSet(d.Call))
		}
	}
	if !denied.Equal(gone) {
		t.Errorf("rehearsed, %v is denied in admin, and run lost %v", denied, gone)
	}
	t.Logf("run %d, without administration %d", before.Narrow().Len(), p.Narrow().Len())
}
