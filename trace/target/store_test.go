package target

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParseStore(t *testing.T) {
	id := func(s string) string { return strings.Repeat(s, 32) }
	list, err := parseStore(fmt.Appendf(nil, `[
		{"id":"%s","names":["web"],"metadata":"{\"image-name\":\"nginx:1\"}","created":"2026-11-24T19:02:57.8Z"},
		{"id":"%s","names":["k8s_app_web-0_prod_0123-45_0"]},
		{"id":"%s","names":["k8s_POD_web-0_prod_0123-45_0"]},
		{"id":"%s","names":[]},
		{"id":"short","names":["x"]}]`, id("01"), id("02"), id("03"), id("04")), "unix:///s")
	if err != nil || len(list) != 2 {
		t.Fatalf("got %+v, %v", list, err)
	}
	if c := list[0]; c.Engine != "podman" || c.Name != "web" || c.Image != "nginx:1" || !c.CanStart() || c.Created.Year() != 2026 {
		t.Errorf("got %+v", c)
	}
	if c := list[1]; c.Engine != "cri" || c.Name != "web-0/app" || c.Namespace != "prod" {
		t.Errorf("got %+v", c)
	}
	for _, bad := range []string{"", "{}", `[{"id":1}]`} {
		if _, err := parseStore([]byte(bad), ""); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func FuzzParseStore(f *testing.F) {
	f.Add([]byte(`[{"id":"` + strings.Repeat("0a", 32) + `","names":["k8s_a_b_c_d_0"],"metadata":"{}"}]`))
	f.Fuzz(func(t *testing.T, b []byte) { parseStore(b, "") })
}

// Only what comes into a list is told, once, however the list is replaced.
func TestHearStores(t *testing.T) {
	dir := t.TempDir()
	s := storesIn(dir, "../overlay", "") // a driver's name is no path
	if s[0].path != filepath.Join(dir, "overlay-containers/containers.json") {
		t.Fatalf("got %+v", s)
	}
	if err := os.Mkdir(filepath.Dir(s[0].path), 0o755); err != nil {
		t.Fatal(err)
	}
	text := ""
	put := func(name, id string) {
		t.Helper()
		text += fmt.Sprintf(`{"id":"%s","names":["%s"]},`, strings.Repeat(id, 32), name)
		tmp := filepath.Join(dir, "tmp")
		if err := os.WriteFile(tmp, []byte("["+strings.TrimSuffix(text, ",")+"]"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, s[0].path); err != nil {
			t.Fatal(err)
		}
	}
	put("old", "01")
	ctx, cancel := context.WithCancel(context.Background())
	told, ready, done := make(chan string, 10), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		hearStores(ctx, func() []store { return s }, func() { close(ready) }, func(t Target) { told <- t.Name })
	}()
	<-ready
	for i, name := range []string{"a", "b"} {
		put(name, fmt.Sprintf("1%d", i))
		select {
		case got := <-told:
			if got != name {
				t.Errorf("told of %q, not %q", got, name)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("nothing is told of %s", name)
		}
	}
	cancel()
	<-done
	if len(told) > 0 {
		t.Errorf("told of %q too", <-told)
	}
}

// What a user may have put where a list is expected is not waited for.
func TestStoreIsNoFile(t *testing.T) {
	dir := t.TempDir()
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.Symlink("/etc/passwd", link)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, link, dir, "/dev/zero"} {
		if list, err := (store{path: path}).read(); err == nil {
			t.Errorf("%s was read: %v", path, list)
		}
	}
}
