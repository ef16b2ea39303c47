package target

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// alone are hosts of which none is there, so that the machine's own engines stay
// out of a test.
func alone(t *testing.T) Hosts {
	t.Helper()
	at := filepath.Join(t.TempDir(), "none")
	return Hosts{Docker: "unix://" + at, Podman: "unix://" + at, Containerd: at, CRI: at}
}

// server answers on a socket of its own, to each that connects.
func server(t *testing.T, answer func(net.Conn)) (socket string) {
	t.Helper()
	l := listen(t)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answer(c)
		}
	}()
	return l.Addr().String()
}

// emulated says that this machine is not one of today.
func emulated() bool { return os.Getenv("SPEAKER_TEST_SLOW") != "" }

func hangs(c net.Conn) { io.Copy(io.Discard, c) }

func garbage(c net.Conn) {
	io.WriteString(c, "220 mail ready \x1b]0;evil\x07\r\n\r\n")
	c.Close()
}

func floods(c net.Conn) {
	go io.Copy(io.Discard, c)
	for junk := make([]byte, 1<<20); ; {
		if _, err := c.Write(junk); err != nil {
			return
		}
	}
}

// Whatever stands behind an engine's address, the others' containers are listed
// within its time, and one line tells of each that failed.
func TestListWithBadEngines(t *testing.T) {
	docker := fakeDaemon(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `[{"Id":"%s","Names":["/web"],"State":"exited"}]`, strings.Repeat("0a", 32))
	}).place.at
	for name, x := range map[string]struct {
		answer func(net.Conn)
		podman string // what is said of it, by each client
		grpc   string
	}{
		"hangs":   {hangs, "does not answer in time", "does not answer in time"},
		"garbage": {garbage, "does not speak as a podman service does", "does not speak as a"},
		"floods":  {floods, "does not ", "does not "}, // speak as one does; or answer in time, where memory is slow
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := server(t, x.answer)
			began := time.Now()
			list, problems := Find(Hosts{Docker: docker, Podman: "unix://" + bad, Containerd: bad, CRI: bad}).List(context.Background())
			if took := time.Since(began); took > engineTime+engineTime/2 {
				t.Errorf("took %v", took)
			}
			if !slices.ContainsFunc(list, func(t Target) bool { return t.Name == "web" }) {
				t.Errorf("got %v", list)
			}
			if len(problems) != 3 {
				t.Fatalf("got %q", problems)
			}
			for i, want := range []string{x.podman, x.grpc, x.grpc} {
				expectError(t, fmt.Errorf("%s", problems[i]), want)
			}
			// Who has less patience has the others' all the same.
			hurry := 300 * time.Millisecond
			if emulated() {
				hurry = engineTime / 2
			}
			hurried, cancel := context.WithTimeout(context.Background(), hurry)
			defer cancel()
			began = time.Now()
			list, problems = Find(Hosts{Docker: docker, Podman: "unix://" + bad, Containerd: bad, CRI: bad}).List(hurried)
			if took := time.Since(began); took > engineTime || len(problems) != 3 {
				t.Errorf("took %v; %q", took, problems)
			}
			if !slices.ContainsFunc(list, func(t Target) bool { return t.Name == "web" }) {
				t.Errorf("got %v in a hurry", list)
			}
		})
	}
}

// An engine that the user did not name and whose socket does not exist is not
// there, and nothing is said of it. One that was named is missed.
func TestListWithoutEngines(t *testing.T) {
	list, problems := Find(alone(t)).List(context.Background())
	if len(problems) != 4 {
		t.Errorf("got %v, %q", list, problems)
	}
	for _, p := range problems {
		expectError(t, fmt.Errorf("%s", p), "there is no such socket")
	}
	e := &Engines{}
	e.add("podman", "", []string{"unix:///nonexistent/x.sock", "/nonexistent/y.sock"}, func(at string) listFunc { t.Fatal(at); return nil })
	if len(e.all) != 0 {
		t.Errorf("got %v", e.all)
	}
}

// A container of which several tell is listed once, as the first tells it, and
// what an engine keeps in containerd is its own to tell.
func TestMerge(t *testing.T) {
	id := func(s string) string { return strings.Repeat(s, 32) }
	named := func(name string, list ...Target) answer { return answer{engine: engine{name: name}, list: list} }
	got := merge([]answer{
		named("docker", Target{Engine: "docker", ID: id("01"), Name: "web"}),
		named("cri", Target{Engine: "cri", ID: id("02"), Name: "pod/app"}, Target{Engine: "cri", ID: id("03"), Name: "pod", sandbox: true}),
		named("containerd",
			Target{Engine: "containerd", Namespace: "moby", ID: id("01"), Name: id("01")},
			Target{Engine: "containerd", Namespace: "moby", ID: id("04"), Name: id("04")},
			Target{Engine: "containerd", Namespace: "k8s.io", ID: id("03"), Name: id("03")},
			Target{Engine: "containerd", Namespace: "a", ID: "web", Name: "web"},
			Target{Engine: "containerd", Namespace: "b", ID: "web", Name: "web"},
			Target{Engine: "containerd", Namespace: "b", ID: "liar", Name: "liar", Pid: os.Getpid()}),
	}, nil)
	var refs []string
	for _, t := range got {
		refs = append(refs, t.Ref())
		if t.Pid != 0 {
			refs = append(refs, "runs")
		}
	}
	if want := "containerd:a/web containerd:b/liar containerd:b/web cri:020202020202 docker:web"; strings.Join(refs, " ") != want {
		t.Errorf("got %v, want %s", refs, want)
	}
}

// A hundred containers are listed within a second, and what they are called
// comes through as it is: cleaning is the screen's work.
func TestListMany(t *testing.T) {
	const evil = "\x1b[31mred\x1b]0;t\x07\n"
	docker := fakeDaemon(t, func(w http.ResponseWriter, _ *http.Request) {
		var out []map[string]any
		for i := range 100 {
			out = append(out, map[string]any{"Id": fmt.Sprintf("%064x", i+1), "Names": []string{fmt.Sprintf("/%s%d", evil, i)}, "State": "exited"})
		}
		json.NewEncoder(w).Encode(out)
	}).place.at
	h := alone(t)
	h.Docker = docker
	began := time.Now()
	list, _ := Find(h).List(context.Background())
	list = slices.DeleteFunc(list, func(t Target) bool { return !strings.HasPrefix(t.Name, evil) })
	if took := time.Since(began); len(list) != 100 || took > time.Second {
		t.Errorf("%d in %v", len(list), took)
	}
}
