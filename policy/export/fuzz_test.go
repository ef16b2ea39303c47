package export

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"speaker/policy"
)

// FuzzRead reads any bytes in any format, and asks what they mean.
func FuzzRead(f *testing.F) {
	for _, file := range []string{"docker-20.10.json", "podman.json"} {
		data, err := os.ReadFile("testdata/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint8(0))
	}
	f.Add([]byte(`{"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86"],"syscalls":[{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":1,"value":9,"valueTwo":1,"op":"SCMP_CMP_MASKED_EQ"}]}]}}}`), uint8(1))
	for i, text := range []string{rich, "read\nsocket: allow if arg0 == 0x2\n"} {
		p, _, err := Read([]byte(text), "text")
		if err != nil {
			f.Fatal(err)
		}
		for _, format := range Formats() {
			var b bytes.Buffer
			if _, err := WriteProfile(&b, format, p); err != nil {
				f.Fatal(i, format, err)
			}
			if at := slices.Index(ReadFormats(), format); at >= 0 {
				f.Add(b.Bytes(), uint8(at))
			}
		}
	}
	formats := append(ReadFormats(), "")
	f.Fuzz(func(t *testing.T, data []byte, format uint8) {
		p, warnings, err := Read(data, formats[int(format)%len(formats)])
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("not one clean line: %q", err)
			}
			return
		}
		for _, text := range warnings {
			if strings.ContainsAny(text, "\n\x1b") {
				t.Errorf("not one clean line: %q", text)
			}
		}
		rules, _, err := p.Resolve(Host{ABI: policy.Native(), Caps: DefaultCaps()})
		if err != nil {
			return
		}
		for _, r := range rules.All() {
			if args, ok := policy.Witness(r.When); !ok || rules.Want(r.Call, args) != r.Action {
				t.Errorf("%s never holds, or not alone: %s", r, rules.Want(r.Call, args))
			}
		}
	})
}
