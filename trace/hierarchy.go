package trace

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/cilium/ebpf/btf"
)

// hierarchy is one of the host's cgroup hierarchies, as the kernel programs
// need to know it: a cgroup id is unique only within one.
type hierarchy struct {
	id     uint32 // its number in /proc/cgroups; 0: v2
	subsys int32  // index of a controller of it in the kernel's css_set; -1: v2
}

var unified = hierarchy{id: 0, subsys: -1}

// hierarchyOf finds the hierarchy that the cgroup directory path lies in, by the
// mount that holds it.
func hierarchyOf(path string) (hierarchy, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return hierarchy{}, err
	}
	defer f.Close()
	best, kind, options := -1, "", ""
	for in := bufio.NewScanner(f); in.Scan(); {
		// 31 23 0:28 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
		left, right, ok := strings.Cut(in.Text(), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if !ok || len(l) < 5 || len(r) < 3 {
			continue
		}
		at := unescapeMount(l[4])
		// Of two mounts on one place the later hides the earlier.
		if (path == at || strings.HasPrefix(path, strings.TrimSuffix(at, "/")+"/")) && len(at) >= best {
			best, kind, options = len(at), r[0], r[2]
		}
	}
	switch kind {
	case "cgroup2":
		return unified, nil
	case "cgroup":
		for _, name := range strings.Split(options, ",") {
			if h, err := hierarchyByController(name); err == nil && h.id != 0 {
				return h, nil
			}
		}
		return hierarchy{}, fmt.Errorf("%s: a cgroup v1 hierarchy without a controller cannot be watched; name the target's cgroup of another (pids, memory, ...)", path)
	}
	return hierarchy{}, fmt.Errorf("%s: not a cgroup directory", path)
}

// hierarchyByController finds the hierarchy of a v1 controller by name. "", or
// a controller that v2 has, is v2.
func hierarchyByController(name string) (hierarchy, error) {
	if name == "" {
		return unified, nil
	}
	b, err := os.ReadFile("/proc/cgroups")
	if err != nil {
		return hierarchy{}, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line) // name hierarchy cgroups enabled
		if len(f) < 2 || f[0] != name {
			continue
		}
		id, err := strconv.ParseUint(f[1], 10, 32)
		if err != nil {
			return hierarchy{}, fmt.Errorf("parse /proc/cgroups: %w", err)
		}
		if id == 0 {
			return unified, nil
		}
		index, err := subsysIndex(name)
		return hierarchy{id: uint32(id), subsys: index}, err
	}
	return hierarchy{}, fmt.Errorf("this kernel has no cgroup controller %q", name)
}

// subsysIndex reads a controller's index out of the kernel's BTF: it depends on
// how the kernel was configured.
func subsysIndex(name string) (int32, error) {
	if name == "blkio" { // the controller's v1 name
		name = "io"
	}
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		return 0, fmt.Errorf("load kernel BTF: %w", err)
	}
	var enum *btf.Enum
	if err := spec.TypeByName("cgroup_subsys_id", &enum); err != nil {
		return 0, fmt.Errorf("find cgroup controllers in kernel BTF: %w", err)
	}
	for _, v := range enum.Values {
		if v.Name == name+"_cgrp_id" {
			return int32(v.Value), nil
		}
	}
	return 0, fmt.Errorf("find cgroup controller %q in kernel BTF", name)
}

// cgroupIDs returns the ids of the cgroup at root and of all below it. The inode
// number of a cgroup's directory is its id.
func cgroupIDs(root string) ([]uint64, error) {
	var ids []uint64
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path != root && os.IsNotExist(err) {
				return nil // removed meanwhile
			}
			return err
		}
		if !d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if os.IsNotExist(err) && path != root {
			return nil
		}
		if err != nil {
			return err
		}
		ids = append(ids, info.Sys().(*syscall.Stat_t).Ino)
		return nil
	})
	return ids, err
}

// unescapeMount undoes mountinfo's octal escapes (\040 is a space).
func unescapeMount(s string) string {
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
