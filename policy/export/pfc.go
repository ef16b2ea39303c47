package export

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// libseccomp's text of a filter is a tree of tests, one a line, two spaces a level:
//
//	# filter for arch x86_64 (3221225534)
//	if ($arch == 3221225534)
//	  # filter for syscall "ioctl" (16) [priority: 65532]
//	  if ($syscall == 16)
//	    if ($a1.hi32 > 0)
//	      action ALLOW;
//	    else
//	      if ($a1.lo32 & 0x000000ff == 1)
//	        action ALLOW;
//	  # default action
//	  action ERRNO(1);
//	# invalid architecture action
//	action KILL;
//
// It is turned into the program that it tells of, and read as that is: what of the
// text is in no branch goes on behind it.

const (
	maxDepth = 64   // levels of tests in each other
	maxInsns = 4096 // of a program: the kernel takes no more
)

// pfcArches are libseccomp's names in the text, and what its filter knows the
// architecture by. x32 is x86_64 with other numbers.
var pfcArches = map[string]struct {
	abi   policy.ABI
	token uint32
}{
	"x86_64":  {policy.X86_64, unix.AUDIT_ARCH_X86_64},
	"x86":     {policy.I386, unix.AUDIT_ARCH_I386},
	"x32":     {policy.X32, unix.AUDIT_ARCH_X86_64},
	"aarch64": {policy.ARM64, unix.AUDIT_ARCH_AARCH64},
}

var (
	pfcArch   = regexp.MustCompile(`^# filter for arch (\S+) \((\d+)\)`)
	pfcTest   = regexp.MustCompile(`^if \(\$(arch|syscall|a[0-5](?:\.hi32|\.lo32)?)(?: & (0x[0-9a-f]{1,8}))? (==|>=|>) (\d+)\)$`)
	pfcAction = regexp.MustCompile(`^action ([A-Z_]+|0x[0-9a-f]{1,8})(?:\((\d+)\))?;$`)
	pfcElse   = regexp.MustCompile(`^else(?: #.*)?$`)
)

func looksPFC(data []byte) bool {
	head := string(data[:min(len(data), 4096)])
	return strings.Contains(head, "# pseudo filter code start") || strings.Contains(head, "\nif ($arch == ")
}

func readPFC(data []byte) (Profile, []string, error) {
	insns, other, err := pfcProgram(data)
	if err != nil {
		return Profile{}, nil, err
	}
	p, warnings, err := OfFilters([][]unix.SockFilter{insns}, policy.Native())
	if len(other) > 0 {
		warnings = append(warnings, "left out architectures that have no name here: "+few(other))
	}
	return p, warnings, err
}

// pfcProgram makes the program of a text. Other are the architectures that are left
// out.
func pfcProgram(data []byte) (insns []unix.SockFilter, other []string, err error) {
	r := pfcReader{parts: map[string][]unix.SockFilter{}}
	for line := range strings.Lines(string(data)) {
		r.number++
		text := strings.TrimRight(line, " \r\n")
		bare := strings.TrimLeft(text, " ")
		indent := len(text) - len(bare)
		if m := pfcArch.FindStringSubmatch(bare); m != nil {
			bare = "arch " + m[1]
		} else if bare == "" || bare[0] == '#' {
			continue
		}
		r.lines = append(r.lines, pfcLine{r.number, indent, bare})
	}
	insns, err = r.program()
	return insns, r.other, err
}

type pfcLine struct {
	number int
	indent int // spaces
	text   string
}

// pfcReader turns lines into instructions, from the first on.
type pfcReader struct {
	number int
	lines  []pfcLine
	parts  map[string][]unix.SockFilter // by the name of the architecture
	other  []string                     // architectures that are none of ours
}

// next is the next line, of no text at the end.
func (r *pfcReader) next() pfcLine {
	if len(r.lines) == 0 {
		return pfcLine{number: r.number}
	}
	return r.lines[0]
}

// take returns the next line and goes on.
func (r *pfcReader) take() pfcLine {
	l := r.next()
	if len(r.lines) > 0 {
		r.lines = r.lines[1:]
	}
	return l
}

// program reads all of the text.
func (r *pfcReader) program() ([]unix.SockFilter, error) {
	foreign := policy.Action(0)
	answered := false
	for len(r.lines) > 0 {
		l := r.take()
		if a, err := pfcAnswer(l.text); err == nil && l.indent == 0 {
			foreign, answered = a, true
			break
		}
		name, ok := strings.CutPrefix(l.text, "arch ")
		if !ok || l.indent != 0 {
			return nil, fmt.Errorf("line %d: %q where a part for an architecture should begin", l.number, shorten(l.text))
		}
		if err := r.part(name); err != nil {
			return nil, err
		}
	}
	switch {
	case len(r.lines) > 0:
		return nil, fmt.Errorf("line %d: something after the end", r.next().number)
	case !answered:
		return nil, errors.New("it is cut off: no action for other architectures at its end")
	case len(r.parts) == 0:
		return nil, errors.New("it has no part for an architecture that has a name here")
	}
	return r.join(foreign)
}

// part reads what is said about one architecture.
func (r *pfcReader) part(name string) error {
	l := r.take()
	arch, known := pfcArches[name]
	m := pfcTest.FindStringSubmatch(l.text)
	if m == nil || m[1] != "arch" || m[3] != "==" || m[2] != "" || known && m[4] != fmt.Sprint(arch.token) {
		return fmt.Errorf("line %d: %q is no test for the architecture %s", l.number, shorten(l.text), shorten(name))
	}
	body, err := r.block(2, 1, false)
	if err != nil {
		return err
	}
	if !known {
		r.other = append(r.other, shorten(name))
		return nil
	}
	if r.parts[name] != nil {
		return fmt.Errorf("line %d: a second part for %s", l.number, name)
	}
	r.parts[name] = append([]unix.SockFilter{pfcLoad(0)}, body...)
	return nil
}

// block reads the lines of one level. The accumulator has the number of the call at
// its begin, and where arguments are looked at (call) nobody needs it any more.
func (r *pfcReader) block(indent, depth int, call bool) (out []unix.SockFilter, err error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("line %d: tests in each other deeper than %d", r.next().number, maxDepth)
	}
	hasNr := true
	for len(r.lines) > 0 && r.next().indent == indent && !pfcElse.MatchString(r.next().text) {
		l := r.take()
		if a, err := pfcAnswer(l.text); err == nil {
			out = append(out, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(a)})
			continue
		}
		m := pfcTest.FindStringSubmatch(l.text)
		switch {
		case m == nil || m[1] == "arch":
			return nil, fmt.Errorf("line %d: %q is no test and no action", l.number, shorten(l.text))
		case m[1] == "syscall" && (call || m[2] != ""):
			return nil, fmt.Errorf("line %d: %q where arguments are looked at", l.number, shorten(l.text))
		case m[1] != "syscall":
			out = append(out, pfcLoad(pfcOffset(m[1])))
		case !hasNr:
			out = append(out, pfcLoad(0))
		}
		test, err := r.test(l, m, depth, m[1] != "syscall" || m[3] == "==")
		if err != nil {
			return nil, err
		}
		hasNr = m[1] == "syscall" && !slices.ContainsFunc(test, func(in unix.SockFilter) bool { return in.Code&7 == unix.BPF_LD })
		if out = append(out, test...); len(out) > maxInsns {
			return nil, fmt.Errorf("line %d: the program would have more than %d instructions", l.number, maxInsns)
		}
	}
	if n := r.next(); len(r.lines) > 0 && n.indent > indent {
		return nil, fmt.Errorf("line %d: indented by %d spaces, and no test is before it", n.number, n.indent)
	}
	return out, nil
}

// test reads the branches of a test of what is in the accumulator.
func (r *pfcReader) test(l pfcLine, m []string, depth int, call bool) (out []unix.SockFilter, err error) {
	k, err := strconv.ParseUint(m[4], 10, 32)
	if err != nil {
		return nil, fmt.Errorf("line %d: %s is no number of 32 bits", l.number, shorten(m[4]))
	}
	yes, err := r.block(l.indent+2, depth+1, call)
	if err != nil {
		return nil, err
	}
	var no []unix.SockFilter
	if n := r.next(); n.indent == l.indent && pfcElse.MatchString(n.text) {
		r.take()
		if no, err = r.block(l.indent+2, depth+1, call); err != nil {
			return nil, err
		}
	}
	if len(no) > 0 {
		yes = append(yes, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(no))})
	}
	if m[2] != "" {
		mask, err := strconv.ParseUint(m[2], 0, 32)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s is no mask of 32 bits", l.number, m[2])
		}
		out = append(out, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: uint32(mask)})
	}
	op := map[string]uint16{"==": unix.BPF_JEQ, ">": unix.BPF_JGT, ">=": unix.BPF_JGE}[m[3]]
	out = append(out, over(unix.BPF_JMP|op|unix.BPF_K, uint32(k), yes)...)
	return append(append(out, yes...), no...), nil
}

// over is a test that goes on behind a body where it does not hold.
func over(code uint16, k uint32, body []unix.SockFilter) []unix.SockFilter {
	if len(body) < 256 {
		return []unix.SockFilter{{Code: code, K: k, Jf: uint8(len(body))}}
	}
	return []unix.SockFilter{{Code: code, K: k, Jt: 1}, {Code: unix.BPF_JMP | unix.BPF_JA, K: uint32(len(body))}}
}

// join puts the parts together.
func (r *pfcReader) join(foreign policy.Action) ([]unix.SockFilter, error) {
	end := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: uint32(foreign)}
	part := func(name string) []unix.SockFilter {
		return append(slices.Clone(r.parts[name]), end) // if it should not answer all by itself
	}
	const x32 = 1 << 30 // of the numbers of x32
	wide := slices.Concat([]unix.SockFilter{pfcLoad(0)}, over(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, x32, part("x32")), part("x32"), part("x86_64"))
	out := []unix.SockFilter{pfcLoad(4)}
	for _, x := range []struct {
		token uint32
		body  []unix.SockFilter
	}{{unix.AUDIT_ARCH_X86_64, wide}, {unix.AUDIT_ARCH_I386, part("x86")}, {unix.AUDIT_ARCH_AARCH64, part("aarch64")}} {
		out = append(append(out, over(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, x.token, x.body)...), x.body...)
	}
	if out = append(out, end); len(out) > maxInsns {
		return nil, fmt.Errorf("a program of %d instructions, at most %d are taken", len(out), maxInsns)
	}
	return out, nil
}

func pfcLoad(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

// pfcOffset is where an argument, or one half of it, is in struct seccomp_data.
func pfcOffset(name string) uint32 {
	offset := 16 + 8*uint32(name[1]-'0')
	if strings.HasSuffix(name, ".hi32") {
		offset += 4
	}
	return offset
}

// pfcAnswer reads an action.
func pfcAnswer(text string) (policy.Action, error) {
	m := pfcAction.FindStringSubmatch(text)
	if m == nil {
		return 0, errors.New("no action")
	}
	n, err := strconv.ParseUint("0"+m[2], 10, 16)
	if err != nil || m[2] != "" && m[1] != "ERRNO" && m[1] != "TRACE" {
		return 0, errors.New("no action with that number")
	}
	switch m[1] {
	case "KILL_PROCESS":
		return policy.ActKillProcess, nil
	case "KILL":
		return policy.ActKillThread, nil
	case "TRAP":
		return policy.ActTrap, nil
	case "ERRNO":
		return policy.ActErrno | policy.Action(n), nil
	case "TRACE":
		return policy.ActTrace | policy.Action(n), nil
	case "LOG":
		return policy.ActLog, nil
	case "ALLOW":
		return policy.ActAllow, nil
	}
	raw, err := strconv.ParseUint(m[1], 0, 32)
	if a := policy.Action(raw); err == nil && a == policy.ActNotify {
		return a, nil
	}
	return 0, errors.New("no action of that name")
}
