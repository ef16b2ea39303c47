package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/policy/export"
)

// profileFlags say how a profile is read, and what it is decided for.
type profileFlags struct {
	format, kernel string
	caps           []string
}

func (f *profileFlags) add(to *pflag.FlagSet) {
	to.StringVar(&f.format, "format", "", "format of the profile, one of "+strings.Join(export.ReadFormats(), ", ")+" (default: as it looks)")
	to.StringSliceVar(&f.caps, "caps", export.DefaultCaps(), "capabilities of the container, for profiles whose rules depend on them")
	to.StringVar(&f.kernel, "kernel", "", "version of the kernel, for the same (default: this one's)")
}

// host is what the flags describe.
func (f *profileFlags) host() export.Host {
	h := export.Host{ABI: policy.Native(), Kernel: f.kernel}
	for _, c := range f.caps {
		if c = strings.ToUpper(strings.TrimSpace(c)); c != "" && !strings.HasPrefix(c, "CAP_") {
			c = "CAP_" + c
		}
		h.Caps = append(h.Caps, c)
	}
	var u unix.Utsname
	if h.Kernel == "" && unix.Uname(&u) == nil {
		h.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return h
}

// read reads a profile from a file, and what its filter answers.
func (f *profileFlags) read(path string) (p export.Profile, r policy.Rules, notes []string, err error) {
	data, err := readBounded(path)
	if err != nil {
		return p, r, nil, err
	}
	p, notes, err = export.Read(data, f.format)
	if err != nil {
		return p, r, nil, fmt.Errorf("%s: %w", path, err)
	}
	r, more, err := p.Resolve(f.host())
	if err != nil {
		return p, r, nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, r, append(notes, more...), nil
}

// readBounded reads a file that is no larger than a profile may be, and no pipe or
// device that never ends.
func readBounded(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read profile: %s: %w", path, errors.Join(err, errors.New("not a file")))
	}
	data, err := io.ReadAll(io.LimitReader(f, export.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	return data, nil
}
