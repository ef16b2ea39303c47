package export

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"speaker/policy"
)

// Conditions of which libseccomp makes another filter are told of where engines get
// the profile, and others are not.
func TestEngineDiffers(t *testing.T) {
	if policy.Native() != policy.X86_64 {
		t.Skip("the answers of libseccomp are those for x86_64")
	}
	for _, tt := range []struct {
		name, text string
		told       bool
	}{
		{"no conditions", "read\n", false},
		{"values of one argument", "socket: allow if arg0 == 0x1\nsocket: allow if arg0 == 0x2\nsocket: allow if arg0 == 0x10\n", false},
		{"one rule", "socket: allow if arg0 == 0x1 and arg1 != 0x3 and arg2 < 0x100000000\n", false},
		{"rich", rich, false},
		{"values of several arguments", `ioctl: allow if arg0 == 0x0
ioctl: allow if arg0 == 0x2 and arg1 == 0x200000000
fcntl: allow if arg0 == 0x0
fcntl: allow if arg0 == 0x1
fcntl: allow if arg0 == 0x100000000 and arg1 == 0x200000002 and arg2 == 0x200000001
`, true},
	} {
		p, _ := readString(t, "@default: EPERM\n"+tt.text, "text")
		for _, format := range []string{"docker", "podman", "oci", "cri", "kubernetes", "spo"} {
			var b bytes.Buffer
			warnings, err := WriteProfile(&b, format, p)
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(warnings, func(s string) bool { return strings.Contains(s, "engines answer ") })
			if at >= 0 != tt.told {
				t.Errorf("%s as %s: %q", tt.name, format, warnings)
			}
			if at >= 0 && !strings.Contains(warnings[at], "ioctl with [0x2 0x0 ") {
				t.Errorf("%s as %s: %s", tt.name, format, warnings[at])
			}
		}
	}
}
