package export

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// answering is a policy whose denied calls get other answers than usual.
func answering(t *testing.T, denied, newer, mount policy.Action) policy.Policy {
	t.Helper()
	c, err := policy.ParseCall("mount")
	if err != nil {
		t.Fatal(err)
	}
	return policy.Derive(policy.Observed{policy.Run: saw(t, "read", "write", "socket")}, []policy.Edit{
		{Op: policy.OpDenied, Phase: policy.Run, Action: denied},
		{Op: policy.OpNewer, Phase: policy.Run, Action: newer},
		{Op: policy.OpAnswer, Call: c, Phase: policy.Run, Action: mount},
	})
}

// What denied calls get is in every form that has a place for it, as it is read back;
// where a form has none, a note says so.
func TestExportAnswers(t *testing.T) {
	eacces, eperm := policy.RefuseWith(unix.EACCES), policy.RefuseWith(unix.EPERM)
	for _, tt := range []struct {
		name                 string
		denied, newer, mount policy.Action
		told                 map[string]string // by format
	}{
		{"kill", policy.ActKillProcess, enosys, eacces, map[string]string{}},
		{"log", policy.ActLog, enosys, policy.ActKillProcess, map[string]string{"docker": "as all others", "systemd": "without a filter"}},
		{"errors", eacces, eperm, policy.ActTrap, map[string]string{"docker": "before 23.0 has no default error", "cri": "fail with ENOSYS", "spo": "EACCES is left out", "systemd": "is killed: the format has no trap"}},
		{"trap", policy.ActTrap, policy.ActKillProcess, enosys, map[string]string{"systemd": "no default trap"}},
	} {
		p := answering(t, tt.denied, tt.newer, tt.mount)
		spec := SpecOf(p, policy.Run)
		for _, format := range Formats() {
			var b bytes.Buffer
			notes, err := Write(&b, format, p, Options{Phase: policy.Run, Runtime: true})
			if err != nil {
				t.Fatal(tt.name, format, err)
			}
			if want := tt.told[format]; want != "" && !slices.ContainsFunc(notes, func(s string) bool { return strings.Contains(s, want) }) {
				t.Errorf("%s as %s: no note says %q: %q", tt.name, format, want, notes)
			}
			if format == "pfc" || format == "systemd" || format == "spo" && tt.name == "errors" {
				continue
			}
			back, _ := readString(t, b.String(), format)
			rules, _, err := back.Resolve(here())
			if err != nil {
				t.Fatal(tt.name, format, err)
			}
			for _, c := range policy.Calls(policy.Native()) {
				if got, want := rules.Want(c, policy.Args{}), spec.Want(c); got != want {
					t.Errorf("%s as %s: %s gets %s, should %s", tt.name, format, c, got, want)
					break
				}
			}
		}
	}
}
