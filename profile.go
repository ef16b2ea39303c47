package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
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

// capabilities are all that Linux has, by their names after CAP_.
var capabilities = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID
SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE
SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM
BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`)

var kernelVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+([.+-]|$)`)

// check finds what names no capability and no version: taken as they are, they
// would only make rules not count.
func (f *profileFlags) check() error {
	for _, c := range f.caps {
		if name := strings.TrimPrefix(capability(c), "CAP_"); name != "" && !slices.Contains(capabilities, name) {
			return usageError{fmt.Errorf("--caps %q: Linux has no such capability: say names like CAP_SYS_ADMIN, or \"\" for none", c)}
		}
	}
	if f.kernel != "" && !kernelVersion.MatchString(f.kernel) {
		return usageError{fmt.Errorf("--kernel %q: say a version like 6.1 or 6.1.0-39-amd64", f.kernel)}
	}
	return nil
}

// capability is how profiles write a capability that a user names.
func capability(c string) string {
	if c = strings.ToUpper(strings.TrimSpace(c)); c != "" && !strings.HasPrefix(c, "CAP_") {
		c = "CAP_" + c
	}
	return c
}

// host is what the flags describe.
func (f *profileFlags) host() export.Host {
	h := export.Host{ABI: policy.Native(), Kernel: f.kernel}
	for _, c := range f.caps {
		h.Caps = append(h.Caps, capability(c))
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
