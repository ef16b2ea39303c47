package export

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"speaker/policy"
)

// readsAs has libseccomp write a filter both as text and as a program, and holds
// what is read of the text against what the program answers.
func readsAs(t *testing.T, p Profile, h Host) {
	t.Helper()
	f, _, err := asEngine(p, h)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	text, err := memory(f.ExportPFC)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := memory(f.ExportBPF)
	if err != nil {
		t.Fatal(err)
	}
	insns, err := policy.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	back, warnings := readString(t, string(text), "")
	if back.Format != "pfc" || len(warnings) > 0 {
		t.Errorf("read as %s, %q", back.Format, warnings)
	}
	rules, _, err := back.Resolve(here())
	if err != nil {
		t.Fatal(err)
	}
	compareFilter(t, insns, rules)
	if t.Failed() {
		t.Logf("%.6000s", text)
	}
}

func TestReadPFC(t *testing.T) {
	if policy.Native() != policy.X86_64 {
		t.Skip("the filters are for an x86_64 machine")
	}
	for _, file := range []string{"docker-20.10.json", "docker-latest.json", "podman.json"} {
		t.Run(file, func(t *testing.T) {
			data, err := os.ReadFile("testdata/" + file)
			if err != nil {
				t.Fatal(err)
			}
			p, _ := readString(t, string(data), "")
			p, _ = p.decided(here())
			readsAs(t, p, here())
		})
	}
	t.Run("rich", func(t *testing.T) {
		p, _ := readString(t, rich, "text")
		readsAs(t, p, here())
	})
	for i := range uint64(40) {
		t.Run(fmt.Sprint("random ", i), func(t *testing.T) {
			text := randomText(rand.New(rand.NewPCG(i, 7)))
			p, _ := readString(t, text, "text")
			saysAs(t, p)
			if t.Failed() {
				t.Log(text)
			}
		})
	}
}

// saysAs has libseccomp write a filter as text, and holds that against what the
// profile answers. With conditions like these libseccomp's programs are not always
// what its text says (seen with 2.5.4).
func saysAs(t *testing.T, p Profile) {
	t.Helper()
	f, _, err := asEngine(p, here())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	text, err := memory(f.ExportPFC)
	if err != nil {
		t.Fatal(err)
	}
	insns, _, err := pfcProgram(text)
	if err != nil {
		t.Fatal(err)
	}
	rules, _, err := p.Resolve(here())
	if err != nil {
		t.Fatal(err)
	}
	compareFilter(t, insns, rules)
}

// randomText is a profile with many conditions. Where several rules are about one
// call they ask for values and masks alone: of others libseccomp makes a wrong tree,
// or none in any time (seen with 2.5.4).
func randomText(r *rand.Rand) string {
	abis := []string{"x86_64", "x86_64 i386", "x86_64 i386 x32", "x86_64 x32"}
	text := fmt.Sprintf("@default: EPERM\n@abis: %s\nread\n", abis[r.IntN(len(abis))])
	for _, name := range []string{"socket", "ioctl", "fcntl", "prctl", "clone", "semop"} {
		answer := []string{"allow", "EACCES", "kill process", "trap", "log", "trace 3"}[r.IntN(6)]
		ops, count := []string{"==", "&", "!=", "<", "<=", ">", ">="}, 1
		if r.IntN(2) == 0 {
			ops, count = ops[:2], 1+r.IntN(3)
		}
		for range count {
			var tests []string
			for arg := range 1 + r.IntN(3) {
				value := r.Uint64N(4) | r.Uint64N(3)<<32
				op := ops[r.IntN(len(ops))]
				switch {
				case op == "&":
					mask := value | r.Uint64N(1<<34)
					op, value = fmt.Sprintf("& %#x ==", mask), value&mask
				case op == "<":
					value++
				}
				tests = append(tests, fmt.Sprintf("arg%d %s %#x", arg, op, value))
			}
			text += fmt.Sprintf("%s: %s if %s\n", name, answer, strings.Join(tests, " and "))
		}
	}
	return text
}

// What is wrong with a text is one line, with the number of the line of the text.
func TestReadPFCRefuses(t *testing.T) {
	p, _ := readString(t, rich, "text")
	var b bytes.Buffer
	if _, err := WriteProfile(&b, "pfc", p); err != nil {
		t.Fatal(err)
	}
	good := b.String()
	deep := "# pseudo filter code start\n# filter for arch x86_64 (3221225534)\nif ($arch == 3221225534)\n"
	for i := range 200 {
		deep += strings.Repeat("  ", i+1) + "if ($a0 == 1)\n"
	}
	for _, tt := range []struct{ name, text, want string }{
		{"cut", good[:len(good)/2], ""},
		{"no end", strings.Replace(good, "\naction KILL;", "", 1), "it is cut off"},
		{"unknown action", strings.Replace(good, "action TRAP;", "action MAYBE\x1b;", 1), `"action MAYBE\x1b;" is no test and no action`},
		{"unknown test", strings.Replace(good, "if ($syscall == 0)", "if ($syscall ??? 0)", 1), "is no test and no action"},
		{"number", strings.Replace(good, "$a0.lo32 == 2)", "$a0.lo32 == 4294967296)", 1), "4294967296 is no number of 32 bits"},
		{"arch number", strings.Replace(good, "if ($arch == 1073741827)", "if ($arch == 1)", 1), "is no test for the architecture x86"},
		{"twice", strings.ReplaceAll(good, "arch x86 (1073741827)\nif ($arch == 1073741827)", "arch x86_64 (3221225534)\nif ($arch == 3221225534)"), "a second part for x86_64"},
		{"call in call", strings.Replace(good, "    if ($a0.hi32 == 0)", "    if ($syscall == 1)", 1), "where arguments are looked at"},
		{"indent", strings.Replace(good, "      action", "          action", 1), "no test is before it"},
		{"behind the end", good + "action KILL;\n", "something after the end"},
		{"deep", deep, "deeper than 64"},
		{"no part", "# pseudo filter code start\n# filter for arch mips (8)\nif ($arch == 8)\n  action KILL;\naction KILL;\n", "no part for an architecture"},
		{"empty", "# pseudo filter code start\n", "it is cut off"},
		{"long", "# pseudo filter code start\n# filter for arch x86_64 (3221225534)\nif ($arch == 3221225534)\n" +
			strings.Repeat("  if ($a0.lo32 == 1)\n    action ALLOW;\n", 3000), "more than 4096 instructions"},
	} {
		_, _, err := Read([]byte(tt.text), "")
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

// Parts for architectures that have no name here are told of.
func TestReadPFCOther(t *testing.T) {
	text := "#\n# pseudo filter code start\n#\n# filter for arch mips (8)\nif ($arch == 8)\n  action KILL;\n" +
		"# filter for arch x86_64 (3221225534)\nif ($arch == 3221225534)\n  if ($syscall > 10)\n    if ($syscall == 16)\n      if ($a1.lo32 == 5)\n        action LOG;\n    if ($syscall == 41)\n      action 0x7fc00000;\n" +
		"  else # ($syscall <= 10)\n    if ($syscall == 0)\n      action ALLOW;\n  action ERRNO(1);\naction KILL_PROCESS;\n"
	p, warnings := readString(t, text, "")
	if len(warnings) != 1 || !strings.Contains(warnings[0], "mips") {
		t.Errorf("warnings: %q", warnings)
	}
	rules, _, err := p.Resolve(Host{ABI: policy.X86_64})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		call string
		args policy.Args
		want string
	}{{"read", policy.Args{}, "allow"}, {"ioctl", policy.Args{1: 5}, "log"}, {"ioctl", policy.Args{1: 6}, "EPERM"}, {"socket", policy.Args{}, "notify"}, {"write", policy.Args{}, "EPERM"}} {
		if got := rules.Want(call(t, "x86_64:"+tt.call), tt.args); got.String() != tt.want {
			t.Errorf("%s%v: %s, want %s", tt.call, tt.args, got, tt.want)
		}
	}
}
