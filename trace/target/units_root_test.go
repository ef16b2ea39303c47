package target

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Units are the services and scopes in slices that run something; a container's
// scope, an empty unit and what lies in no slice are none.
func TestUnits(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: makes cgroups")
	}
	slice, remove, err := NewCgroup("speaker-target-test.slice")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove() })
	id := strings.Repeat("0a", 32)
	for _, name := range []string{
		"speaker-target-test-a.service", "speaker-target-test-b.slice/speaker-target-test-b.scope",
		"user@1000.service/app.slice/speaker-target-test-c.service",
		"docker-" + id + ".scope", "other/speaker-target-test-d.service",
	} {
		path := filepath.Join(slice, name)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := Enter(path, sleeper(t).Process.Pid); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(slice, "speaker-target-test-empty.service"), 0o755); err != nil {
		t.Fatal(err)
	}
	list, err := Units()
	if err != nil {
		t.Fatal(err)
	}
	list = slices.DeleteFunc(list, func(u Target) bool { return !strings.HasPrefix(u.CgroupPath, slice) })
	var names []string
	for _, u := range list {
		names = append(names, u.Name)
	}
	slices.Sort(names)
	if want := "speaker-target-test-a.service speaker-target-test-b.scope speaker-target-test-c.service"; strings.Join(names, " ") != want {
		t.Errorf("got %v, want %s", names, want)
	}
	for _, ref := range []string{"unit:speaker-target-test-a.service", "speaker-target-test-b.scope"} {
		u, err := Find(alone(t)).Resolve(context.Background(), ref)
		if err != nil || u.Engine != "unit" || u.Pid == 0 || u.Ref() != "unit:"+u.Name || !u.SameMountNS || u.Facts == nil || u.Facts.Processes != 1 {
			t.Errorf("%s: got %+v, %v", ref, u, err)
		}
	}
	_, err = Find(alone(t)).Resolve(context.Background(), "unit:speaker-target-test-empty.service")
	expectError(t, err, "no unit")
	if c, ok := mustScan(t)[id]; !ok || c.engine != "docker" || c.n != 1 {
		t.Errorf("the container is %+v", c)
	}
}

func mustScan(t *testing.T) map[string]*found {
	t.Helper()
	out, err := scan()
	if err != nil {
		t.Fatal(err)
	}
	return out
}
