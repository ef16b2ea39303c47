package proc

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestDir(t *testing.T) {
	tests := []struct{ name, mount, cgroup, want string }{
		{"plain", "/ /sys/fs/cgroup", "/a/b", "/sys/fs/cgroup/a/b"},
		{"root", "/ /sys/fs/cgroup", "/", "/sys/fs/cgroup"},
		{"a part of a hierarchy", "/outer /sys/fs/cgroup", "/outer/in", "/sys/fs/cgroup/in"},
		{"the part itself", "/outer /sys/fs/cgroup", "/outer", "/sys/fs/cgroup"},
		{"another part of it", "/outer /sys/fs/cgroup", "/outerly/in", ""},
		{"outside of our namespace", "/ /sys/fs/cgroup", "/../../etc", ""},
		{"dots that are a name", "/ /sys/fs/cgroup", "/..a/...", "/sys/fs/cgroup/..a/..."},
		{"a space", `/ /c\040g`, "/a b", "/c g/a b"},
		{"not a path", "/ /sys/fs/cgroup", "a", ""},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			m := parseMounts("30 1 0:26 " + x.mount + " rw shared:7 - cgroup2 cgroup2 rw\n")
			if len(m) != 1 || !m[0].V2 {
				t.Fatalf("got %+v", m)
			}
			if got := m[0].Dir(x.cgroup); got != x.want {
				t.Errorf("got %q, want %q", got, x.want)
			}
		})
	}
}

func FuzzMounts(f *testing.F) {
	f.Add("30 1 0:26 / /c\\040g rw - cgroup cgroup rw,pids\n", "/a/b")
	f.Add("30 1 0:26 /x /c\\04 rw - cgroup2 x y", "/x/../../etc")
	f.Fuzz(func(t *testing.T, mounts, cgroup string) {
		for _, m := range parseMounts(mounts) {
			dir := m.Dir(cgroup)
			if dir != "" && dir != filepath.Clean(m.At) && !strings.HasPrefix(dir, strings.TrimSuffix(filepath.Clean(m.At), "/")+"/") {
				t.Errorf("%q of %+v is %q, outside of the mount", cgroup, m, dir)
			}
		}
	})
}

func FuzzMembership(f *testing.F) {
	f.Add("8:pids:/docker/abc\n4:cpu,cpuacct:/a:b\n1:name=systemd:/\n0::/x\n")
	f.Add(":::\n0::\n")
	f.Fuzz(func(t *testing.T, s string) {
		m := parseMembership(s)
		for c, path := range m.V1 {
			if c == "" || path[0] != '/' {
				t.Errorf("%q: %+v", s, m)
			}
		}
	})
}

func TestParseMembership(t *testing.T) {
	m := parseMembership("8:pids:/docker/abc\n4:cpu,cpuacct:/a:b\n1:name=systemd:/\n0::/x y\n")
	if m.V2 != "/x y" || m.V1["pids"] != "/docker/abc" || m.V1["cpu"] != "/a:b" || m.V1["cpuacct"] != "/a:b" {
		t.Errorf("got %+v", m)
	}
}
