package target

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestMatching(t *testing.T) {
	id := func(s string) string { return strings.Repeat(s, 32) }
	list := []Target{
		{Engine: "docker", ID: id("ab"), Name: "web", Pid: 1},
		{Engine: "podman", ID: id("cd"), Name: "web"},
		{Engine: "podman", ID: id("c0"), Name: "abab"},
		{Engine: "containerd", Namespace: "default", ID: "one", Name: "one"},
		{Engine: "containerd", Namespace: "other", ID: "one", Name: "one"},
		{Engine: "cri", Namespace: "prod", ID: id("e1"), Name: "pod/app"},
		{Engine: "cri", Namespace: "prod", ID: id("e2"), Name: "pod/app", Pid: 7},
		{Engine: "cri", Namespace: "prod", ID: id("e3"), Name: "pod/side"},
	}
	for _, x := range []struct{ name, want string }{
		{"web", "docker:web podman:web"},
		{"abab", "podman:abab"}, // a name, though it begins an id
		{"ababab", "docker:web"},
		{id("cd"), "podman:web"},
		{"c0c", ""}, // too short
		{"one", "containerd:default/one containerd:other/one"},
		{"other/one", "containerd:other/one"},
		{"pod/app", "cri:e2e2e2e2e2e2"}, // the attempt that runs
		{"prod/pod/side", "cri:e3e3e3e3e3e3"},
		{"side", "cri:e3e3e3e3e3e3"},
		{"nosuch", ""},
	} {
		var refs []string
		for _, t := range matching(list, x.name) {
			refs = append(refs, t.Ref())
		}
		if got := strings.Join(refs, " "); got != x.want {
			t.Errorf("%s: got %q, want %q", x.name, got, x.want)
		}
	}
}

// A name that fits several, or none, is answered with those that there are, in
// one line; so is one whose engine is not there.
func TestResolveContainers(t *testing.T) {
	answer := func(id, name string) string {
		return fakeDaemon(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/containers/json") {
				fmt.Fprintf(w, `[{"Id":"%s","Names":["/%s"],"State":"exited"},{"Id":"%s","Names":["/web"],"State":"exited"}]`, strings.Repeat(id, 32), name, strings.Repeat(id+id[1:]+"0", 21)+"f")
				return
			}
			fmt.Fprintf(w, `{"Id":"%s","Name":"/%s","State":{"Status":"exited","StartedAt":"2026-01-01T00:00:00Z"}}`, strings.Repeat(id, 32), name)
		}).place.at
	}
	h := alone(t)
	h.Docker, h.Podman = answer("a1", "one"), answer("b2", "two")
	e := Find(h)
	for _, x := range []struct{ ref, want string }{
		{"web", `"web" is ambiguous: say which of docker:web, podman:web`},
		{"nosuch", `no container "nosuch": there is `},
		{"podman:one", `no container "one": there is two, web`},
		{"containerd:default/x", "no containerd answers at"},
		{"cri:x/y", "no CRI runtime answers at"},
		{"unit:speaker-nosuch.service", `no unit "speaker-nosuch.service" runs`},
		{"speaker-nosuch.scope", `no unit "speaker-nosuch.scope" runs`},
		{"container:nosuch", `no container "nosuch"`},
	} {
		_, err := e.Resolve(context.Background(), x.ref)
		expectError(t, err, x.want)
	}
	for ref, want := range map[string]string{"one": "docker:one", "two": "podman:two", "docker:one": "docker:one", strings.Repeat("b2", 5): "podman:two"} {
		c, err := e.Resolve(context.Background(), ref)
		if err != nil || c.Ref() != want || !c.RanBefore || !c.CanStart() {
			t.Errorf("%s: got %+v, %v", ref, c, err)
			continue
		}
		d, err := e.Starter(c)
		if err != nil || d.place.engine != c.Engine {
			t.Errorf("%s is started by %+v, %v", ref, d, err)
		}
		d.Close()
	}
	for _, c := range []Target{{Engine: "cri", Name: "pod/app"}, {Engine: "docker", Name: "x"}, {Engine: "cgroup", CgroupPath: "/x"}} {
		_, err := e.Starter(c)
		expectError(t, err, "be booted from here")
	}
}

// Two engines of one kind may each have a container of that name: then its id tells.
func TestAmbiguousTwins(t *testing.T) {
	twin := func(id string) Target { return Target{Engine: "podman", Name: "web", ID: strings.Repeat(id, 32)} }
	err := ambiguous("web", []Target{twin("a1"), twin("b2"), {Engine: "docker", Name: "web", ID: strings.Repeat("c3", 32)}}, Target.Ref)
	expectError(t, err, `"web" is ambiguous: say which of podman:a1a1a1a1a1a1, podman:b2b2b2b2b2b2, docker:web`)
}

func TestMatches(t *testing.T) {
	id := strings.Repeat("ab", 32)
	for _, x := range []struct {
		t       Target
		pattern string
		want    bool
	}{
		{Target{Name: "web-1", ID: id}, "web-*", true},
		{Target{Name: "web-1", ID: id}, "web", false},
		{Target{Name: "web-1", ID: id}, "abab*", true},
		{Target{Name: "pod/app", Namespace: "prod"}, "app", true},
		{Target{Name: "pod/app", Namespace: "prod"}, "pod/*", true},
		{Target{Name: "pod/app", Namespace: "prod"}, "prod/pod/a??", true},
		{Target{Name: "pod/app", Namespace: "prod"}, "prod/*", false}, // a star is one name
		{Target{Name: "a"}, "[", false},
	} {
		if got := x.t.Matches(x.pattern); got != x.want {
			t.Errorf("%s of %+v: got %v", x.pattern, x.t, got)
		}
	}
	for _, p := range []string{"", "[", "a["} {
		expectError(t, CheckPattern(p), "no pattern for names")
	}
}
