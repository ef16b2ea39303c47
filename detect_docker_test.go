package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/session"
	"speaker/tui/bench"
)

// detected is a real program, and where its boot ends: what it does itself at that
// instant is a mark, and the detectors must find it without looking at that mark.
type detected struct {
	name    string
	command []string // of a container; of a process on this host: with host
	flags   []string
	host    bool
	ready   []string
	// why argues for the split: it lies at the instant from, or at most within later.
	why    string
	from   func([]session.Mark) (time.Duration, bool)
	within time.Duration
	late   time.Duration // at most, of that mark: it is told by who asks now and then
	// find are the detectors that must have it there, first the one that is proposed.
	find       []string
	confidence string
	says       []string // by the proposal
}

const (
	byProbe = "readiness probe"
	byWait  = "listening wait"
	byFlat  = "flat curve"
)

// last finds the last mark of a kind whose text has a word.
func last(kind, word string) func([]session.Mark) (time.Duration, bool) {
	return func(all []session.Mark) (at time.Duration, ok bool) {
		for _, m := range all {
			if m.Kind == kind && strings.Contains(m.Text, word) && !strings.Contains(m.Text, "once more") {
				at, ok = m.At, true
			}
		}
		return at, ok
	}
}

func start([]session.Mark) (time.Duration, bool) { return 0, true }

var haproxyConfig = `global
  master-worker
defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend web
  bind :8080
  http-request return status 200
`

var detectedServers = []detected{
	{
		name: "nginx", command: nginx.command, flags: nginx.flags, ready: []string{"http://:80/"},
		why:  "a worker becomes its user as the last thing before its event loop, and the last worker is up then",
		from: last(session.MarkUID, ""), within: 1500 * time.Millisecond,
		find: []string{byProbe, byWait}, confidence: session.High, says: []string{"answers 200"},
	},
	{
		name: "redis", command: redis.command, flags: redis.flags, ready: []string{"log:Ready to accept connections"},
		why:  "redis writes this line just before its event loop",
		from: last(session.MarkReady, "Ready"), within: time.Second,
		find: []string{byProbe, byWait}, confidence: session.High,
	},
	{
		name: "postgres", command: postgres.command, flags: postgres.flags, ready: []string{"log:ready to accept connections"},
		why:  "postgres writes this line when its start-up process has ended; then its launchers are started",
		from: last(session.MarkReady, "ready"), within: 2 * time.Second,
		find: []string{byProbe, byWait}, confidence: session.High,
	},
	{
		name: "haproxy", command: []string{"sh", "-c", "printf '" + haproxyConfig + "' >/tmp/h.cfg; exec haproxy -f /tmp/h.cfg"},
		ready: []string{"http://:8080/"},
		why:   "it answers for the first time, and some of its threads are not up yet",
		from:  last(session.MarkReady, "answers"), within: 2 * time.Second,
		find: []string{byProbe, byWait}, confidence: session.High,
	},
	{
		name: "batch", command: []string{"bash", "-c", "while :; do head -c 2000000 /dev/urandom | gzip | sha256sum >/dev/null; sleep 0.3; done"},
		why:  "each round repeats what the first one called, which takes less than a second",
		from: start, within: 3 * time.Second,
		find: []string{byFlat}, confidence: session.Low, says: []string{"no thread was seen waiting on a listening socket"},
	},
}

// watchReady boots a container, or a command on this host, with readiness probes.
func watchReady(t *testing.T, x detected) bench.Work {
	t.Helper()
	o := bench.Options{NoFile: true, Tool: "speaker test", Ready: x.ready}
	ref := "run"
	if x.host {
		out, err := os.Create(filepath.Join(t.TempDir(), "output"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { out.Close() })
		o.Command, o.Output = x.command, out
	} else {
		name := "speaker-e2e-detect-" + x.name
		createContainer(t, name, server{flags: x.flags, command: x.command})
		ref = "docker:" + name
	}
	w, err := bench.New(o).Watch(soon(t), ref, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

// proposed waits for a proposal.
func proposed(t *testing.T, s *session.Session) session.Split {
	t.Helper()
	var sp session.Split
	eventually(t, "a proposal", func() (ok bool, _ string) {
		sp, ok = s.Propose(s.Length())
		return ok, sp.How
	})
	return sp
}

// check compares what was found in a recording with where it is.
func (x detected) check(t *testing.T, s *session.Session, sp session.Split) {
	t.Helper()
	from, ok := x.from(s.Marks())
	if !ok {
		t.Fatalf("what tells the end of boot is not among the marks (%s): %+v", x.why, s.Marks())
	}
	// A tick is as exact as a last use is known. And on a busy machine a thread is
	// seen to wait some time after it began to, by which a split may move in the quiet
	// stretch: nothing is new in that, so that boot is the same wherever in it.
	const tick, quiet = 20 * time.Millisecond, 3 * time.Second
	right := func(at time.Duration) bool { return at >= from-tick-x.late && at <= from+x.within+quiet }
	if !right(sp.At) || sp.Confidence != x.confidence {
		t.Errorf("proposed at %v (%s: %s), not within %v of %v (%s): %s", sp.At, sp.Confidence, sp.How, x.within, from, x.confidence, x.why)
	}
	for _, d := range x.find {
		var o session.Opinion
		eventually(t, "the "+d, func() (bool, string) {
			all := s.Opinions(s.Length())
			o = all[slices.IndexFunc(all, func(o session.Opinion) bool { return o.Detector == d })]
			return o.Found, o.How
		})
		if !right(o.At) {
			t.Errorf("the %s has it at %v, not within %v of %v: %s (%s)", d, o.At, x.within, from, o.How, x.why)
		}
	}
	said := sp.How
	for _, e := range sp.Evidence {
		said += "\n" + e.Text
	}
	for _, text := range x.says {
		if !strings.Contains(said, text) {
			t.Errorf("does not say %q:\n%s", text, said)
		}
	}
	t.Logf("at %v, %v after the instant; %s", sp.At, sp.At-from, said)
}

// The detectors find the end of boot of real servers.
func TestDetectors(t *testing.T) {
	needServers(t)
	for _, x := range detectedServers {
		t.Run(x.name, func(t *testing.T) {
			if x.name == "haproxy" && exec.Command("docker", "run", "--rm", image, "which", "haproxy").Run() != nil {
				t.Skip("the image is one from before haproxy was in it: .ci/images makes it anew")
			}
			w := watchReady(t, x)
			x.check(t, w.Session(), proposed(t, w.Session()))
		})
	}
}

// A target that was connected to is asked once more after the split: nginx, which
// nobody else asks anything here, is seen to accept and to answer in run.
func TestAskedOnceMore(t *testing.T) {
	needServers(t)
	w := watchReady(t, detected{name: "again", command: nginx.command, flags: nginx.flags, ready: []string{"http://:80/"}})
	s := w.Session()
	sp := proposed(t, s)
	eventually(t, "what answering takes in run", func() (bool, string) {
		run := s.Policy(sp).Narrow()
		for _, name := range []string{"accept4", "recvfrom", "writev"} {
			if c, err := policy.ParseCall(name); err != nil || !run.Has(c) {
				return false, name + " is missing"
			}
		}
		return true, ""
	})
	if now := proposed(t, s); now.At != sp.At {
		t.Errorf("the second asking moves the split from %v to %v", sp.At, now.At)
	}
}

// What comes of a probe is marked, whatever it is.
func TestReadinessProbes(t *testing.T) {
	needServers(t)
	healthy := []string{"--health-cmd", "true", "--health-interval", "1s"}
	sleeps := []string{"sleep", "1000"}
	for _, x := range []struct {
		detected
		end  bool // the probe is given up by hand
		kind string
		text string
	}{
		{detected{name: "health", flags: healthy, command: sleeps, ready: []string{"health"}}, false, session.MarkReady, "health is healthy"},
		{detected{name: "no-health", command: sleeps, ready: []string{"health"}}, false, session.MarkUnready, "health cannot be asked of this target: the container has no health check"},
		{detected{name: "no-port", command: sleeps, ready: []string{"tcp:81"}}, true, session.MarkUnready, "tcp 127.0.0.1:81 was not answered: it is asked no longer (connection refused)"},
		{detected{name: "no-line", command: sleeps, ready: []string{"log:up"}}, true, session.MarkUnready, `log "up" was not answered: it is asked no longer (no line held it)`},
		{detected{name: "no-notice", command: sleeps, ready: []string{"notify"}}, false, session.MarkUnready, "notify cannot be asked of this target"},
		{detected{name: "ends", command: []string{"true"}, ready: []string{"tcp:81"}}, false, session.MarkUnready, "tcp 127.0.0.1:81 was not answered: the target has ended"},
		{detected{name: "command", command: sleeps, ready: []string{`cmd:grep -q sleep /proc/$SPEAKER_PID/comm`}}, false, session.MarkReady, "ends well"},
		{detected{name: "notify", host: true, command: []string{"sh", "-c", "sleep 0.5; systemd-notify --ready; exec sleep 1000"}, ready: []string{"notify"}},
			false, session.MarkReady, "notify says READY=1"},
	} {
		t.Run(x.name, func(t *testing.T) {
			if _, err := exec.LookPath("systemd-notify"); x.name == "notify" && err != nil {
				t.Skip(err)
			}
			w := watchReady(t, x.detected)
			if x.end {
				eventually(t, "the program", func() (bool, string) {
					_, ok := last(session.MarkStart, "")(w.Session().Marks())
					return ok, "it has not begun"
				})
				time.Sleep(300 * time.Millisecond) // is asked a few times
				if err := w.Ready(nil); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, x.kind+": "+x.text, func() (bool, string) {
				_, ok := last(x.kind, x.text)(w.Session().Marks())
				return ok, fmt.Sprint(w.Session().Marks())
			})
		})
	}
}

// An entrypoint as that of the official image of postgres: a server of its own for
// the set-up, which takes longer than it takes to look quiet; then the real one.
// The set-up's server does not listen on tcp, so that who names a port is not
// fooled; who names nothing is told that a script is still there.
func TestDetectorsBehindAnEntrypoint(t *testing.T) {
	needServers(t)
	x := detected{
		name: "entrypoint", flags: postgres.flags, ready: []string{"tcp:5432", "log:ready to accept connections"},
		command: []string{"sh", "-c", `cd /usr/lib/postgresql/*/bin && D=/tmp/db && ./initdb -D $D --no-sync >/dev/null &&
			echo "host all all all trust" >>$D/pg_hba.conf &&
			./pg_ctl -D $D -o "-c listen_addresses='' -k /tmp" -w start && ./psql -q -h /tmp -c 'create table x (i int)' postgres && sleep 5 &&
			./pg_ctl -D $D -m fast -w stop && exec ./postgres -D $D -k /tmp -h '*' -c fsync=off`},
		why:  "the line that the second server writes is the last word of the boot; the first server was part of it",
		from: last(session.MarkReady, "ready"), within: 2 * time.Second,
		find: []string{byProbe, byWait}, confidence: session.High, says: []string{"taken for a server of the set-up"},
	}
	w := watchReady(t, x)
	s := w.Session()
	sp := proposed(t, s)
	x.check(t, s, sp)
	var ready []time.Duration
	for _, m := range s.Marks() {
		if m.Kind == session.MarkReady && strings.HasPrefix(m.Text, "log ") {
			ready = append(ready, m.At)
		}
	}
	if len(ready) != 2 || sp.At < ready[1]-20*time.Millisecond {
		t.Fatalf("the line was written at %v, and the split is at %v", ready, sp.At)
	}
	during := ready[0] + 4500*time.Millisecond // the set-up's server is quiet, and up
	if sp, ok := s.Propose(during); ok {
		t.Errorf("at %v a split is proposed at %v, while the port has not answered", during, sp.At)
	}
	for _, o := range s.Opinions(during) {
		if o.Detector == byWait && (!o.Found || o.Confidence != session.Medium || !strings.Contains(fmt.Sprint(o.Evidence), "a script may start a server for its own set-up")) {
			t.Errorf("the listening wait does not warn of the script: %+v", o)
		}
	}
}

// javaServer listens long before it serves, as Tomcat does.
const javaServer = `import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
public class Server {
  public static void main(String[] args) throws Exception {
    HttpServer s = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 0);
    System.out.println("listens");
    for (int i = 0; i < 8; i++) {
      Thread.sleep(500);
      java.nio.file.Files.writeString(java.nio.file.Path.of(args[1], "part" + i), "x".repeat(i));
    }
    s.createContext("/", e -> { e.sendResponseHeaders(200, -1); e.close(); });
    s.start();
    System.out.println("serves");
  }
}
`

// A Java server, on this host: it listens four seconds before a thread waits there.
func TestDetectorsOfJava(t *testing.T) {
	needRoot(t)
	java, err := exec.LookPath("java")
	if err != nil || exec.Command("javac", "-version").Run() != nil {
		t.Skip("needs java and javac (default-jdk-headless)")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "Server.java")
	if err := os.WriteFile(file, []byte(javaServer), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	x := detected{
		name: "java", host: true, command: []string{java, file, fmt.Sprint(port), dir},
		ready: []string{fmt.Sprintf("tcp:%d", port), "log:serves"},
		why:   "it writes the line when its dispatcher has been started",
		from:  last(session.MarkReady, `"serves"`), within: 4 * time.Second, late: time.Second,
		find: []string{byProbe, byWait}, confidence: session.High,
	}
	w := watchReady(t, x)
	s := w.Session()
	sp := proposed(t, s)
	x.check(t, s, sp)
	if at, ok := last(session.MarkReady, "tcp ")(s.Marks()); !ok || at > sp.At-3*time.Second {
		t.Errorf("a connection was accepted at %v, which is not long before the split at %v", at, sp.At)
	}
}
