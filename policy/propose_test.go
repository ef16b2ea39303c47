package policy

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func seenOf(t *testing.T, name string, values ...[]uint64) (out []Seen) {
	t.Helper()
	c, err := ParseCall(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		out = append(out, Seen{c, v, 3})
	}
	return out
}

func TestPropose(t *testing.T) {
	const threads = 0x3d0f00 // what pthread_create asks for
	many := [][]uint64{}
	for i := range uint64(17) {
		many = append(many, []uint64{i})
	}
	for _, tt := range []struct {
		name  string
		seen  []Seen
		rules string
		why   string
		warn  string
	}{
		{"threads", seenOf(t, "clone", []uint64{threads}, []uint64{0x1200011}), "clone: allow if arg0 & 0x7e020000 == 0x0", "of 6 calls none set a flag", "clone3 does the same"},
		{"a namespace", seenOf(t, "clone", []uint64{unix.CLONE_NEWUSER | 17}), "clone: allow if arg0 & 0x6e020000 == 0x0", "", "clone3"},
		{"sockets", seenOf(t, "socket", []uint64{2, 1 | unix.SOCK_CLOEXEC}, []uint64{2, 1}, []uint64{1, 2}),
			"socket: allow if arg0 == 0x1 and arg1 & 0xf == 0x2; socket: allow if arg0 == 0x2 and arg1 & 0xf == 0x1", "9 calls had no other value than these 2", ""},
		{"options", seenOf(t, "prctl", []uint64{15}), "prctl: allow if arg0 == 0xf", "3 calls all had this value", ""},
		{"requests", seenOf(t, "ioctl", []uint64{0x5401}, []uint64{0x5413}), "ioctl: allow if arg1 == 0x5401; ioctl: allow if arg1 == 0x5413", "", ""},
		{"personality", seenOf(t, "personality", []uint64{0xffffffff}), "personality: allow if arg0 == 0xffffffff", "", ""},
		{"no code", seenOf(t, "mprotect", []uint64{1}, []uint64{3}), "mprotect: allow if arg2 & 0x4 == 0x0", "", "loader"},
		{"code", seenOf(t, "mprotect", []uint64{5}), "", "", "every flag"},
		{"pointer", seenOf(t, "clone3", []uint64{0}), "", "", "a filter never sees them"},
		{"path", seenOf(t, "openat", []uint64{0}), "", "", "in its path"},
		{"too many", seenOf(t, "ioctl", many...), "", "", "17 different values"},
		{"no value", seenOf(t, "socket", []uint64{2}), "", "", "no value"},
	} {
		got := Propose(tt.seen)
		if len(got) != 1 {
			t.Fatalf("%s: %d proposals", tt.name, len(got))
		}
		var texts []string
		for _, r := range got[0].Rules {
			texts = append(texts, r.String())
		}
		if rules := strings.Join(texts, "; "); rules != tt.rules || !strings.Contains(got[0].Why, tt.why) || !strings.Contains(got[0].Warn, tt.warn) || tt.warn == "" && got[0].Warn != "" {
			t.Errorf("%s: got %q, %q, %q", tt.name, rules, got[0].Why, got[0].Warn)
		}
	}
	if got := Propose(seenOf(t, "read", []uint64{1})); len(got) != 0 {
		t.Errorf("read: got %+v", got)
	}
}

// What was seen is always allowed by what is proposed, also once it is compiled.
func TestProposeAllowsSeen(t *testing.T) {
	seen := append(append(seenOf(t, "clone", []uint64{0x3d0f00}, []uint64{0x12000000}), seenOf(t, "socket", []uint64{2, 0x80001}, []uint64{16, 3})...),
		seenOf(t, "ioctl", []uint64{0x5401}, []uint64{0x80047601})...)
	var rules []Rule
	for _, p := range Propose(seen) {
		rules = append(rules, p.Rules...)
	}
	r := rulesFrom(t, rules...)
	insns, err := CompileRules(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range seen {
		d := DataOf(s.Call)
		for i, arg := range decidings[s.Call.Name()].args {
			d.Args[arg] = s.Values[i]
		}
		if got, err := Eval(insns, d); err != nil || got != ActAllow {
			t.Errorf("%s with %#x: %s, %v", s.Call, d.Args, got, err)
		}
	}
	if v, err := Verify(insns, r); err != nil || !v.OK() {
		t.Errorf("got %+v, %v", v.Differ, err)
	}
}
