package proc

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Mount is one mounted cgroup hierarchy.
type Mount struct {
	At   string // the directory it is mounted on
	Root string // the cgroup that stands there: "/" unless a part is mounted
	V2   bool
	// Controllers are those of a v1 hierarchy, as mountinfo has its options.
	Controllers []string
}

// Mounts lists the cgroup hierarchies that this process sees, as mounted.
func Mounts() ([]Mount, error) {
	b, err := readSome("/proc/self/mountinfo", maxTable)
	if err != nil {
		return nil, fmt.Errorf("find cgroup mounts: %w", err)
	}
	return parseMounts(string(b)), nil
}

// Has reports whether it is the v1 hierarchy of a controller.
func (m Mount) Has(controller string) bool { return slices.Contains(m.Controllers, controller) }

// Dir is the directory of a hierarchy's cgroup; "" if this mount does not show
// it (it lies outside of what is mounted, or of our cgroup namespace).
func (m Mount) Dir(cgroup string) string {
	if !strings.HasPrefix(cgroup, "/") || slices.Contains(strings.Split(cgroup, "/"), "..") {
		return ""
	}
	if m.Root != "/" {
		rest, ok := strings.CutPrefix(cgroup, m.Root)
		if !ok || rest != "" && rest[0] != '/' {
			return ""
		}
		cgroup = rest
	}
	return filepath.Join(m.At, filepath.Clean("/"+cgroup))
}

// parseMounts takes the cgroup mounts out of mountinfo (proc(5)).
func parseMounts(s string) []Mount {
	var out []Mount
	for line := range strings.Lines(s) {
		// 31 23 0:28 /root /at rw,relatime shared:1 - cgroup cgroup rw,pids
		left, right, ok := strings.Cut(line, " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(r) < 3 {
			continue
		}
		m := Mount{At: unescape(l[4]), Root: unescape(l[3])}
		switch r[0] {
		case "cgroup2":
			m.V2 = true
		case "cgroup":
			m.Controllers = strings.Split(r[2], ",")
		default:
			continue
		}
		if filepath.IsAbs(m.At) && filepath.IsAbs(m.Root) {
			out = append(out, m)
		}
	}
	return out
}

// unescape undoes mountinfo's octal escapes (\040 is a space).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Membership is which cgroup a process is in, per hierarchy, as seen from our
// cgroup namespace.
type Membership struct {
	V2 string            // "" if there is no v2 hierarchy
	V1 map[string]string // by controller
}

// Cgroups reads a process' membership. It wraps fs.ErrNotExist when there is no
// such process.
func Cgroups(pid int) (Membership, error) {
	b, err := readSome(fmt.Sprintf("/proc/%d/cgroup", pid), smallFile)
	if err != nil {
		return Membership{}, fmt.Errorf("find cgroup of process %d: %w", pid, err)
	}
	return parseMembership(string(b)), nil
}

// parseMembership reads "0::/path" and "9:cpu,cpuacct:/path". A cgroup's name
// may hold colons, but no line break.
func parseMembership(s string) Membership {
	m := Membership{V1: map[string]string{}}
	for line := range strings.Lines(s) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 || !strings.HasPrefix(f[2], "/") {
			continue
		}
		if f[0] == "0" && f[1] == "" {
			m.V2 = f[2]
			continue
		}
		for _, c := range strings.Split(f[1], ",") {
			if c != "" {
				m.V1[c] = f[2]
			}
		}
	}
	return m
}
