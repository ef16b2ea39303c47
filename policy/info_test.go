package policy

import (
	"bufio"
	"compress/gzip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every call of every ABI is known: in words, by age and by kin.
func TestInfoCovers(t *testing.T) {
	never := regexp.MustCompile(`never implemented`)
	source := regexp.MustCompile(`^(CVE-[0-9]{4}-[0-9]{4,}|[a-z_]+\([0-9]\)|[a-z]+(\.[a-z]+)+/\S+)$`)
	for a := range abis {
		for _, c := range Calls(a) {
			i, ok := c.Info()
			if !ok || i.Words == "" || len(i.Words) > 80 {
				t.Errorf("%s: got %+v, %v", c, i, ok)
			}
			if (i.Since == "") != never.MatchString(i.Words) {
				t.Errorf("%s is there since %q and %q", c, i.Since, i.Words)
			}
			for _, cause := range i.Risk.Causes {
				if cause.Level == RiskNone || cause.Level > i.Risk.Level || cause.Text == "" || !source.MatchString(cause.Source) || (cause.Kind == CauseCVE) != strings.HasPrefix(cause.Source, "CVE-") && cause.Kind != CauseEscape {
					t.Errorf("%s: %+v", c, cause)
				}
			}
			if f := c.Family(); !f.Has(c) || f.Of(a).Len() != f.Len() {
				t.Errorf("the family of %s is %s", c, f)
			}
		}
	}
	for _, c := range []Call{{X86_64, 335 + 20}, {I386, 4095}, {X32, 511}, {abis, 0}} {
		if i, ok := c.Info(); ok || c.Family().Len() != 1 {
			t.Errorf("%s is known as %+v, of the family %s", c, i, c.Family())
		}
	}
}

func TestInfo(t *testing.T) {
	for _, tt := range []struct {
		call                        string
		since, family, docker, risk string
		groups, needs               string
	}{
		{call: "x86_64:read", since: "1.0", family: "pread64 preadv preadv2 read readv", docker: "allowed", groups: "@basic-io @system-service", risk: "none known"},
		{call: "x86_64:accept4", since: "2.6.28", family: "accept accept4", docker: "allowed", groups: "@network-io @system-service", risk: "none known"},
		{call: "i386:accept4", since: "4.3", family: "accept4", docker: "allowed", groups: "@network-io @system-service", risk: "none known"},
		{call: "x32:accept4", since: "3.4", family: "accept accept4", docker: "allowed", groups: "@network-io @system-service", risk: "none known"},
		{call: "arm64:openat", since: "3.7", family: "openat openat2", docker: "allowed", groups: "@file-system @system-service", risk: "none known"},
		{call: "arm64:clone", since: "3.7", family: "clone clone3", docker: "allowed with CAP_SYS_ADMIN, or some arguments without CAP_SYS_ADMIN", groups: "@process @system-service", risk: "medium", needs: "CAP_SYS_ADMIN for namespaces other than a user namespace"},
		{call: "x86_64:clone", since: "1.0", family: "clone clone3 fork vfork", docker: "allowed with CAP_SYS_ADMIN, or some arguments without CAP_SYS_ADMIN", groups: "@process @system-service", risk: "medium", needs: "CAP_SYS_ADMIN for namespaces other than a user namespace"},
		{call: "i386:socketcall", since: "1.0", family: "socketcall", docker: "allowed", groups: "@network-io @system-service", risk: "medium"},
		{call: "x86_64:recvmmsg", since: "2.6.33", family: "recvfrom recvmmsg recvmsg", docker: "allowed", groups: "@network-io @system-service", risk: "none known"},
		{call: "x32:recvmmsg", since: "3.4", family: "recvfrom recvmmsg recvmsg", docker: "allowed", groups: "@network-io @system-service", risk: "medium"},
		{call: "x86_64:modify_ldt", since: "1.0", family: "modify_ldt", docker: "allowed", groups: "@cpu-emulation", risk: "low"},
		{call: "x86_64:ptrace", since: "1.0", family: "ptrace", docker: "allowed since Linux 4.8, or with CAP_SYS_PTRACE", groups: "@debug", risk: "high", needs: "CAP_SYS_PTRACE for processes of others"},
		{call: "x86_64:io_uring_setup", since: "5.1", family: "io_uring_enter io_uring_register io_uring_setup", docker: "denied", groups: "@aio @system-service", risk: "high"},
		{call: "x86_64:init_module", since: "1.0", family: "finit_module init_module", docker: "allowed with CAP_SYS_MODULE", groups: "@module @privileged", risk: "high", needs: "CAP_SYS_MODULE"},
		{call: "arm64:kexec_file_load", since: "5.0", family: "kexec_file_load kexec_load", docker: "denied", groups: "@privileged @reboot", risk: "high", needs: "CAP_SYS_BOOT"},
		{call: "x86_64:tuxcall", family: "tuxcall", docker: "denied", groups: "@obsolete", risk: "none known"},
		{call: "x86_64:rseq_slice_yield", since: "7.0", family: "rseq_slice_yield", docker: "denied", risk: "none known"},
	} {
		t.Run(tt.call, func(t *testing.T) {
			c := call(tt.call)
			i, ok := c.Info()
			var family []string
			for m := range c.Family().All() {
				family = append(family, m.Name())
			}
			slices.Sort(family)
			if !ok || i.Since != tt.since || strings.Join(family, " ") != tt.family || i.DockerText() != tt.docker ||
				i.Risk.Level.String() != tt.risk || strings.Join(i.Groups, " ") != tt.groups || i.Needs != tt.needs {
				t.Errorf("got %+v, family %s, docker %s", i, family, i.DockerText())
			}
		})
	}
}

// The table's ages are those of the manual, as far as that goes.
func TestInfoAgainstManual(t *testing.T) {
	ages := manualAges(t)
	// The calls' own pages correct the list of all.
	ages["membarrier"], ages["pkey_alloc"], ages["pkey_free"], ages["pkey_mprotect"] = "4.3", "4.9", "4.9", "4.9"
	seen := 0
	for a := range abis {
		for _, c := range Calls(a) {
			age, listed := ages[c.Name()]
			i, _ := c.Info()
			if !listed || a != X86_64 && a != I386 || age == "" {
				continue
			}
			seen++
			agrees := slices.Contains(strings.Split(age, "; "), i.Since)
			if later := map[string]bool{"4.3": true, "5.1": true, "4.12": true}[i.Since] && a == I386; !agrees && !later {
				t.Errorf("%s is there since %s, the manual says %s", c, i.Since, age)
			}
		}
	}
	if seen < 600 {
		t.Errorf("the manual has the age of %d calls", seen)
	}
}

// manualAges reads the table of syscalls(2).
func manualAges(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open("/usr/share/man/man2/syscalls.2.gz")
	if err != nil {
		t.Skipf("needs the manual pages of system calls: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`^\\fB([a-z0-9_]+)\\fP\(2\)\t([^\t]*)`)
	ages := map[string]string{}
	s := bufio.NewScanner(z)
	for s.Scan() {
		if m := row.FindStringSubmatch(s.Text()); m != nil {
			ages[m[1]] = m[2]
		}
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return ages
}

func TestDockerDefault(t *testing.T) {
	d := DockerDefault()
	for _, name := range []string{"read", "clone", "socket", "chroot", "ptrace", "personality"} {
		if !d.Has(call(name)) {
			t.Errorf("it lacks %s", name)
		}
	}
	for _, name := range []string{"mount", "clone3", "bpf", "io_uring_setup", "keyctl", "setns", "reboot", "open_by_handle_at"} {
		if d.Has(call(name)) {
			t.Errorf("it has %s", name)
		}
	}
}

func BenchmarkInfo(b *testing.B) {
	c := call("openat")
	for b.Loop() {
		if i, ok := c.Info(); !ok || i.Words == "" {
			b.Fatal("not known")
		}
	}
}
