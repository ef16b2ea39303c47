package export

import (
	"errors"
	"fmt"
	"strings"
)

// Bounds on what is read: a file may come from anywhere.
const (
	MaxSize  = 8 << 20 // bytes of a file
	maxCalls = 1 << 16 // rules about single calls
	maxNames = 1 << 14 // names in all rules, and entries of other lists
	maxTests = 64      // conditions of one rule
)

// errEmpty is a profile that says nothing at all: engines would load no filter.
var errEmpty = errors.New("no default action: this is no seccomp profile, or one that engines take for none")

// readers are the forms that Read knows, in the order in which they are tried.
var readers = []struct {
	name  string
	looks func([]byte) bool // is it this form?
	read  func([]byte) (Profile, []string, error)
}{
	{"oci", looksOCI, readOCI},
	{"podman", looksPodman, readDocker},
	{"docker", looksDocker, readDocker},
	{"cri", never, readDocker},
	{"gadget", looksGadget, readGadget},
	{"spo", looksSPO, readSPO},
	{"kubernetes", looksKubernetes, readKubernetes},
	{"systemd", looksSystemd, readSystemd},
	{"pfc", looksPFC, readPFC},
	{"bpf", looksBPF, readBPF},
	{"strace", looksStrace, readStrace},
	{"text", looksText, readText},
}

// never is for forms that look like another that is read alike.
func never([]byte) bool { return false }

// ReadFormats returns the names that Read takes.
func ReadFormats() []string {
	var names []string
	for _, r := range readers {
		names = append(names, r.name)
	}
	return names
}

// Read reads a profile in the named format, or in the one that it looks like for
// "". The sentences say what of the file is not in the profile. Any input is safe;
// an error is one line that says what is wrong.
func Read(data []byte, format string) (Profile, []string, error) {
	if len(data) > MaxSize {
		return Profile{}, nil, fmt.Errorf("read profile: %d bytes, at most %d are taken", len(data), MaxSize)
	}
	for _, r := range readers {
		if format != r.name && (format != "" || !r.looks(data)) {
			continue
		}
		p, warnings, err := r.read(data)
		if err == nil {
			err = p.check()
		}
		if err != nil {
			return Profile{}, nil, fmt.Errorf("read %s profile: %w", r.name, err)
		}
		p.Format = r.name
		return p, warnings, nil
	}
	if format != "" {
		return Profile{}, nil, fmt.Errorf("read profile: no format %q, there are %s", shorten(format), strings.Join(ReadFormats(), ", "))
	}
	return Profile{}, nil, fmt.Errorf("read profile: not recognised as one of %s", strings.Join(ReadFormats(), ", "))
}

// check finds what no reader may let through.
func (p Profile) check() error {
	names := len(p.Arches) + len(p.ArchMap) + len(p.Flags)
	for i, r := range p.Rules {
		if len(r.Names) == 0 {
			return fmt.Errorf("rule %d names no call", i+1)
		}
		names += len(r.Names) + len(r.Includes.Caps) + len(r.Includes.Arches) + len(r.Excludes.Caps) + len(r.Excludes.Arches)
		if len(r.When) > maxTests {
			return fmt.Errorf("rule %d has %d conditions, at most %d are taken", i+1, len(r.When), maxTests)
		}
		for _, name := range r.Names {
			if !plain(name) {
				return fmt.Errorf("rule %d: %q is no name of a call", i+1, shorten(name))
			}
		}
		for _, c := range r.When {
			if err := c.Check(); err != nil {
				return fmt.Errorf("rule %d, about %s: %w", i+1, r.Names[0], err)
			}
		}
	}
	if names > maxNames {
		return fmt.Errorf("%d names, at most %d are taken", names, maxNames)
	}
	return nil
}

// plain reports whether a name is one that a call could have, of some ABI or as a
// number.
func plain(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == ':', r == '#':
		default:
			return false
		}
	}
	return true
}

// shorten keeps hostile input from flooding an error message.
func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
