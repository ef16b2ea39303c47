package export

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// systemdArches are systemd's names of architectures, for SystemCallArchitectures=.
var systemdArches = map[string]string{"x86-64": "SCMP_ARCH_X86_64", "x86": "SCMP_ARCH_X86", "x32": "SCMP_ARCH_X32", "arm64": "SCMP_ARCH_AARCH64"}

// writeSystemd writes a drop-in for a unit: /etc/systemd/system/NAME.service.d/….
// systemd allows the calls of its group @default in every list of allowed ones.
func writeSystemd(p Profile) ([]byte, []string, error) {
	p, warnings := p.decided(here())
	s := systemdText{}
	allowing := !p.Default.Allows() // a list of what is allowed, not of what is not
	fallback, ok := systemdError(p.Default)
	if !ok && allowing {
		s.lost("the format has no default %s: written as kill", p.Default)
		fallback = "kill"
	}
	for _, r := range p.Rules {
		for _, name := range r.Names {
			s.rule(name, r, allowing, p.Default)
		}
	}
	if p.Default.Kind() == policy.ActLog {
		s.lost("the format logs calls and answers them by different lists: written as what is logged, without a filter; systemd before 247 knows no such list")
	}
	var b bytes.Buffer
	fmt.Fprintln(&b, "# A drop-in for a service: put it into /etc/systemd/system/NAME.service.d/")
	fmt.Fprintln(&b, "[Service]")
	fmt.Fprintf(&b, "SystemCallArchitectures=%s\n", s.arches(p.arches(here())))
	if allowing && fallback != "kill" {
		fmt.Fprintf(&b, "SystemCallErrorNumber=%s\n", fallback)
	}
	fmt.Fprintln(&b, "SystemCallFilter=")
	s.lines(&b, allowing)
	if p.Default.Kind() == policy.ActLog {
		putCalls(&b, "SystemCallLog=~", s.allow)
	}
	if p.Listener != "" || len(p.Flags) > 0 {
		s.lost("the format has no place for a listener and flags: left out")
	}
	if allowing {
		s.widened()
	}
	return b.Bytes(), append(warnings, s.warnings()...), nil
}

// systemdText collects what a drop-in says.
type systemdText struct {
	allow, deny []string
	said        []string
	widerBy     []string // allowed whatever the arguments
	foreign     []string // meant for one ABI alone
	nameless    []string
}

func (s *systemdText) lost(format string, args ...any) {
	s.said = append(s.said, fmt.Sprintf(format, args...))
}

// rule takes in the rule of one call.
func (s *systemdText) rule(name string, r Rule, allowing bool, fallback policy.Action) {
	if r.Action == fallback {
		return
	}
	if strings.Contains(name, "#") {
		s.nameless = append(s.nameless, name)
		return
	}
	if _, bare, ok := strings.Cut(name, ":"); ok {
		s.foreign = append(s.foreign, name)
		name = bare
	}
	if r.Action.Allows() {
		if r.Action.Kind() == policy.ActLog {
			s.lost("%s is allowed without a log: the format logs denials or all", name)
		}
		if len(r.When) > 0 {
			s.widerBy = append(s.widerBy, name)
		}
		s.allow = append(s.allow, name)
		return
	}
	if len(r.When) > 0 {
		s.lost("%s is not denied for some arguments: the format has no conditions", name)
		return
	}
	e, ok := systemdError(r.Action)
	if !ok {
		s.lost("%s is killed: the format has no %s", name, r.Action)
		e = "kill"
	}
	s.deny = append(s.deny, name+":"+e)
}

// systemdError is how an action is written behind a call.
func systemdError(a policy.Action) (string, bool) {
	switch a.Kind() {
	case policy.ActErrno:
		if name := unix.ErrnoName(a.Errno()); name != "" {
			return name, true
		}
		return strconv.Itoa(int(a.Data())), true
	case policy.ActKillProcess, policy.ActKillThread:
		return "kill", true
	}
	return "kill", false
}

func (s *systemdText) arches(list []string) string {
	out := []string{}
	for _, a := range list {
		name := ""
		for n, oci := range systemdArches {
			if oci == a {
				name = n
			}
		}
		switch {
		case a == string(architectures[policy.Native()]):
		case name == "":
			s.lost("left out the architecture %s", shorten(a))
		default:
			out = append(out, name)
		}
	}
	return strings.Join(append([]string{"native"}, out...), " ")
}

// lines writes the lists, a hundred calls in a line at most.
func (s *systemdText) lines(b *bytes.Buffer, allowing bool) {
	if allowing {
		putCalls(b, "SystemCallFilter=", s.allow)
	}
	putCalls(b, "SystemCallFilter=~", s.deny)
}

// putCalls writes a list as settings of that head.
func putCalls(b *bytes.Buffer, head string, names []string) {
	slices.Sort(names)
	for part := range slices.Chunk(slices.Compact(names), 10) {
		fmt.Fprintf(b, "%s%s\n", head, strings.Join(part, " "))
	}
}

// widened tells what systemd allows besides.
func (s *systemdText) widened() {
	var more []string
	for _, name := range systemdGroups()["@default"] {
		if !slices.Contains(s.allow, name) {
			if _, err := policy.ParseCall(name); err == nil {
				more = append(more, name)
			}
		}
	}
	if len(more) > 0 {
		s.lost("systemd allows its group @default in every list, so also: %s", few(more))
	}
}

func (s *systemdText) warnings() []string {
	out := s.said
	if len(s.widerBy) > 0 {
		slices.Sort(s.widerBy)
		out = append(out, "the format has no conditions: allowed whatever the arguments: "+few(slices.Compact(s.widerBy)))
	}
	if len(s.foreign) > 0 {
		out = append(out, "the format cannot say for which ABI a rule is: written for all that the profile lists: "+few(s.foreign))
	}
	if len(s.nameless) > 0 {
		out = append(out, "the format has names only: left out "+few(s.nameless))
	}
	return out
}

// systemdGroups are the calls of systemd's groups, by name.
var systemdGroups = sync.OnceValue(func() map[string][]string {
	out := map[string][]string{}
	for _, abi := range allABIs {
		for _, c := range policy.Calls(abi) {
			i, _ := c.Info()
			for _, g := range i.Groups {
				out[g] = append(out[g], c.Name())
			}
			out["@known"] = append(out["@known"], c.Name())
		}
	}
	for g, names := range out {
		slices.Sort(names)
		out[g] = slices.Compact(names)
	}
	return out
})

func looksSystemd(data []byte) bool {
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(bytes.TrimSpace(line), []byte("SystemCallFilter=")) {
			return true
		}
	}
	return false
}

// unit is the part of a unit file that is about calls.
type unit struct {
	allowing, any bool
	answers       map[string]policy.Action // 0: that of the list
	words         int
	fallback      policy.Action
	arches        []string
	warnings      []string
}

// readSystemd reads the seccomp settings of a unit or a drop-in; others are passed
// over.
func readSystemd(data []byte) (Profile, []string, error) {
	u := unit{answers: map[string]policy.Action{}, fallback: policy.ActKillProcess}
	text := strings.ReplaceAll(string(data), "\\\n", " ")
	n := 0
	for line := range strings.Lines(text) {
		n++
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if err := u.setting(key, strings.TrimSpace(value)); err != nil {
			return Profile{}, nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if !u.any {
		return Profile{}, nil, fmt.Errorf("no SystemCallFilter=, or it is empty: the unit has no filter")
	}
	p, warnings := u.profile()
	return p, warnings, nil
}

func (u *unit) setting(key, value string) error {
	switch key {
	case "SystemCallFilter":
		return u.filter(value)
	case "SystemCallErrorNumber":
		a, err := systemdAction(value)
		u.fallback = a
		return err
	case "SystemCallArchitectures":
		for name := range strings.FieldsSeq(value) {
			arch := systemdArches[name]
			if name == "native" {
				arch = string(architectures[policy.Native()])
			}
			if arch == "" {
				u.warnings = append(u.warnings, "unknown architecture "+strconv.Quote(shorten(name)))
				continue
			}
			u.arches = append(u.arches, arch)
		}
	case "SystemCallLog":
		u.warnings = append(u.warnings, "SystemCallLog= is left out: what is logged changes no answer")
	}
	return nil
}

// systemdAction reads an error behind a call.
func systemdAction(s string) (policy.Action, error) {
	if s == "kill" || s == "" {
		return policy.ActKillProcess, nil
	}
	if n, err := strconv.ParseUint(s, 10, 16); err == nil && n <= 4095 {
		return policy.ActErrno | policy.Action(n), nil
	}
	if e := errnoNumber(s); e != 0 {
		return policy.RefuseWith(e), nil
	}
	return 0, fmt.Errorf("no error %q", shorten(s))
}

// filter takes in one SystemCallFilter=.
func (u *unit) filter(value string) error {
	if value == "" {
		u.any, u.answers = false, map[string]policy.Action{}
		return nil
	}
	list, inverted := strings.CutPrefix(value, "~")
	if !u.any {
		u.any, u.allowing = true, !inverted
		if u.allowing {
			u.put("@default", 0, true)
		}
	}
	for word := range strings.FieldsSeq(list) {
		if u.words++; u.words > maxNames {
			return fmt.Errorf("more than %d names", maxNames)
		}
		name, e, given := strings.Cut(word, ":")
		action := policy.Action(0)
		if given {
			var err error
			if action, err = systemdAction(e); err != nil {
				return err
			}
		}
		if group, ok := strings.CutPrefix(name, "@"); !plain(strings.ReplaceAll(group, "-", "_")) || !ok && !plain(name) {
			return fmt.Errorf("%q is no name of a call", shorten(name))
		}
		u.put(name, action, inverted != u.allowing || inverted && given)
	}
	return nil
}

// put puts a call or a group into the list or takes it out. An error given to what
// is taken out of a list of allowed calls stays with it.
func (u *unit) put(name string, action policy.Action, in bool) {
	names := []string{name}
	if strings.HasPrefix(name, "@") {
		if names = systemdGroups()[name]; names == nil {
			u.warnings = append(u.warnings, "unknown group "+strconv.Quote(name))
		}
	}
	for _, n := range names {
		if in {
			u.answers[n] = action
		} else {
			delete(u.answers, n)
		}
	}
}

func (u *unit) profile() (Profile, []string) {
	p := Profile{Default: u.fallback, Arches: u.arches}
	if !u.allowing {
		p.Default = policy.ActAllow
	}
	if len(u.arches) == 0 { // systemd filters every ABI of the machine
		for _, abi := range allABIs {
			if abi.On(policy.Native()) {
				p.Arches = append(p.Arches, string(architectures[abi]))
			}
		}
	}
	by := map[policy.Action][]string{}
	for name, a := range u.answers {
		switch {
		case a == 0 && u.allowing:
			a = policy.ActAllow
		case a == 0:
			a = u.fallback
		}
		by[a] = append(by[a], name)
	}
	for a, names := range by {
		slices.Sort(names)
		p.Rules = append(p.Rules, Rule{Names: names, Action: a})
	}
	slices.SortFunc(p.Rules, func(a, b Rule) int { return strings.Compare(a.Names[0], b.Names[0]) })
	return p, u.warnings
}
