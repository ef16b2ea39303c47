package policy

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	seccomp "github.com/seccomp/libseccomp-golang"
)

func TestCallString(t *testing.T) {
	for _, tt := range []struct {
		call Call
		want string
	}{
		{Call{X86_64, 0}, "read"},
		{Call{X86_64, 257}, "openat"},
		{Call{X86_64, 435}, "clone3"},
		{Call{X86_64, 999}, "#999"},
		{Call{I386, 5}, "i386:open"},
		{Call{I386, 119}, "i386:sigreturn"},
		{Call{I386, 222}, "i386:#222"},
		{Call{X32, 257}, "x32:openat"},
		{Call{X32, 513}, "x32:rt_sigreturn"},
		{Call{X32, 15}, "x32:#15"},
		{Call{ARM64, 56}, "arm64:openat"},
		{Call{ARM64, 244}, "arm64:#244"}, // where a range begins, not a call
		{Call{ABI(9), 1}, "?:#1"},
	} {
		if Native() != X86_64 {
			t.Skip("the names in this table are those of an x86_64 machine")
		}
		if got := tt.call.String(); got != tt.want {
			t.Errorf("%v: got %q, want %q", [2]uint32{uint32(tt.call.ABI), tt.call.Nr}, got, tt.want)
		}
	}
}

func TestParseCall(t *testing.T) {
	native := Native()
	nr := numbers()[native]["openat"]
	for _, tt := range []struct {
		in   string
		want Call
		err  string
	}{
		{in: "openat", want: Call{native, nr}},
		{in: native.String() + ":openat", want: Call{native, nr}},
		{in: "i386:open", want: Call{I386, 5}},
		{in: "x32:openat", want: Call{X32, 257}},
		{in: "arm64:openat", want: Call{ARM64, 56}},
		{in: "#257", want: Call{native, 257}},
		{in: "i386:#4095", want: Call{I386, 4095}},
		{in: "", err: "no such call"},
		{in: "i386:", err: "no such call"},
		{in: "Openat", err: "no such call"},
		{in: "i386:openat2000", err: "no such call"},
		{in: "mips:open", err: "unknown abi"},
		{in: "i386:x32:open", err: "no such call"},
		{in: "#4096", err: "not a call number"},
		{in: "#-1", err: "not a call number"},
		{in: "#007", err: "not a call number"},
		{in: "#", err: "not a call number"},
		{in: "#18446744073709551616", err: "not a call number"},
		{in: strings.Repeat("a", 1<<16), err: "no such call"},
	} {
		got, err := ParseCall(tt.in)
		switch {
		case tt.err == "" && (err != nil || got != tt.want):
			t.Errorf("%q: got %v, %v, want %v", tt.in, got, err, tt.want)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%.20q: got error %v, want %q", tt.in, err, tt.err)
		case err != nil && len(err.Error()) > 200:
			t.Errorf("%.20q: error of %d bytes", tt.in, len(err.Error()))
		}
	}
}

func TestParseCallIsInverse(t *testing.T) {
	for abi := range abis {
		for nr := range uint32(maxNr + 1) {
			c := Call{abi, nr}
			if got, err := ParseCall(c.String()); err != nil || got != c {
				t.Fatalf("%s: got %v, %v", c, got, err)
			}
			text, err := c.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			var got Call
			if err := got.UnmarshalText(text); err != nil || got != c {
				t.Fatalf("%s: got %v, %v", text, got, err)
			}
		}
	}
}

// libseccomp's tables were made by other people from the kernel's sources.
func TestNamesAgreeWithLibseccomp(t *testing.T) {
	arches := map[ABI]seccomp.ScmpArch{
		X86_64: seccomp.ArchAMD64, I386: seccomp.ArchX86, X32: seccomp.ArchX32, ARM64: seccomp.ArchARM64,
	}
	for abi, arch := range arches {
		checked := 0
		for _, c := range Calls(abi) {
			name, err := seccomp.ScmpSyscall(c.Register()).GetNameByArch(arch)
			if errors.Is(err, seccomp.ErrSyscallDoesNotExist) {
				// uretprobe and uprobe are as new as what comes from 424 on.
				if c.Nr < 400 && !strings.HasPrefix(c.Name(), "u") {
					t.Errorf("%s %d: libseccomp knows no such call", c, c.Nr)
				}
				continue // newer than libseccomp
			}
			if err != nil {
				t.Fatal(err)
			}
			if name != c.Name() {
				t.Errorf("%s number %d: libseccomp says %q, the table %q", abi, c.Nr, name, c.Name())
			}
			checked++
		}
		if checked < 250 {
			t.Errorf("%s: only %d names were checked", abi, checked)
		}
	}
}

func TestCallsAscend(t *testing.T) {
	for abi := range abis {
		calls := Calls(abi)
		if len(calls) < 300 {
			t.Errorf("%s: only %d calls", abi, len(calls))
		}
		for i, c := range calls {
			if c.ABI != abi || !c.Known() {
				t.Errorf("%s: %v is not a known call of it", abi, c)
			}
			if i > 0 && c.Nr <= calls[i-1].Nr {
				t.Errorf("%s: %d comes after %d", abi, c.Nr, calls[i-1].Nr)
			}
		}
	}
	if got := Calls(abis); got != nil {
		t.Errorf("unknown abi: got %v", got)
	}
}

func TestRegister(t *testing.T) {
	if got := (Call{X32, 1}).Register(); got != 0x40000001 {
		t.Errorf("x32: got %#x", got)
	}
	if got := (Call{I386, 1}).Register(); got != 1 {
		t.Errorf("i386: got %#x", got)
	}
}

func TestCallJSON(t *testing.T) {
	out, err := json.Marshal(Call{I386, 5})
	if err != nil || string(out) != `"i386:open"` {
		t.Errorf("got %s, %v", out, err)
	}
	// A file of one machine means the same on another: native calls have a prefix too.
	if out, _ = json.Marshal(Call{X86_64, 0}); string(out) != `"x86_64:read"` {
		t.Errorf("got %s", out)
	}
	if _, err := json.Marshal(Call{ABI: 9}); err == nil {
		t.Error("an unknown abi was written")
	}
	var c Call
	if err := json.Unmarshal([]byte(`"mips:read"`), &c); err == nil {
		t.Errorf("read %v", c)
	}
}
