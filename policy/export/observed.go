package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"speaker/policy"
)

// ofNames returns the profile that allows calls which some tool saw.
func ofNames(seen map[string]bool, tool string) (Profile, []string, error) {
	if len(seen) == 0 {
		return Profile{}, nil, errors.New("no call in it")
	}
	var names []string
	foreign := map[policy.ABI]bool{}
	named := false
	for name := range seen {
		names = append(names, name)
		c, err := policy.ParseCall(name)
		if err == nil {
			foreign[c.ABI] = true
		}
		named = named || err == nil || known(name)
	}
	if !named {
		return Profile{}, nil, fmt.Errorf("no call that there is in it: is it %s's?", tool)
	}
	slices.Sort(names)
	p := Profile{Default: policy.ActErrno | 1, Rules: []Rule{{Names: names, Action: policy.ActAllow, Comment: "seen by " + tool}}}
	for _, abi := range allABIs {
		if abi == policy.Native() || foreign[abi] {
			p.Arches = append(p.Arches, string(architectures[abi]))
		}
	}
	if len(p.Arches) > 1 { // a name is about the ABI that it was seen in
		for i, name := range names {
			if c, err := policy.ParseCall(name); err == nil {
				names[i] = abiName(c)
			}
		}
	}
	return p, []string{fmt.Sprintf("what %s saw is what some runs called: not all that the program may need", tool)}, nil
}

// What lines of strace look like: "1234 12:00:01.5 openat(AT_FDCWD, …", "[pid 12]
// <... read resumed>", and the table of strace -c.
var (
	straceCall   = regexp.MustCompile(`^(?:\[pid +(\d+)\] |(\d+) +)?(?:\d[\d:.]* +(?:\(\+ +[\d.]+\) )?)?([a-z_][a-z0-9_]*)\(`)
	straceResume = regexp.MustCompile(`^(?:\[pid +(\d+)\] |(\d+) +)?(?:\d[\d:.]* +)?<\.\.\. ([a-z_][a-z0-9_]*) resumed`)
	straceTable  = regexp.MustCompile(`^ *\d+\.\d+ +\d+\.\d+ +\d+ +\d+ +(?:\d+ +)?([a-z_][a-z0-9_]*)$`)
	straceMode   = regexp.MustCompile(`\[ Process PID=(\d+) runs in (32|x32|64) bit mode\. \]`)
	straceRaw    = regexp.MustCompile(`^syscall_(0x[0-9a-f]+|\d+)$`)
)

func looksStrace(data []byte) bool {
	calls, lines := 0, 0
	for line := range bytes.Lines(data) {
		line = bytes.TrimRight(line, "\r\n")
		if lines++; lines > 200 {
			break
		}
		if straceCall.Match(line) || straceResume.Match(line) || straceTable.Match(line) {
			calls++
		}
	}
	return calls > 0 && calls*4 >= lines
}

// readStrace takes every call out of what strace printed, with or without -f, -c,
// times and pids.
func readStrace(data []byte) (Profile, []string, error) {
	seen := map[string]bool{}
	modes := map[string]string{} // of processes
	unnamed := 0
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		if m := straceMode.FindStringSubmatch(line); m != nil {
			if len(modes) < maxNames {
				modes[m[1]] = map[string]string{"32": "i386:", "x32": "x32:"}[m[2]]
			}
			continue
		}
		name, prefix := straceName(line, modes)
		if m := straceRaw.FindStringSubmatch(name); m != nil {
			nr, err := strconv.ParseUint(m[1], 0, 12)
			if err != nil {
				unnamed++
				continue
			}
			name = "#" + strconv.FormatUint(nr, 10)
		}
		if name != "" && len(seen) < maxNames {
			seen[prefix+name] = true
		}
	}
	p, warnings, err := ofNames(seen, "strace")
	if unnamed > 0 {
		warnings = append(warnings, fmt.Sprintf("left out %d calls with a number that no kernel has", unnamed))
	}
	return p, warnings, err
}

// straceName finds the call in a line, and the prefix of the process' ABI.
func straceName(line string, modes map[string]string) (name, prefix string) {
	if m := straceTable.FindStringSubmatch(line); m != nil {
		if m[1] == "total" {
			return "", ""
		}
		return m[1], ""
	}
	m := straceCall.FindStringSubmatch(line)
	if m == nil {
		m = straceResume.FindStringSubmatch(line)
	}
	if m == nil {
		return "", ""
	}
	pid := m[1] + m[2]
	if pid == "" && len(modes) == 1 { // one process alone is not numbered
		for _, p := range modes {
			return m[3], p
		}
	}
	return m[3], modes[pid]
}

// looksGadget knows Inspektor Gadget: profiles under lines of "//", or events as
// JSON, one a line or in a list, each with the call's name.
func looksGadget(data []byte) bool {
	data = bytes.TrimSpace(data)
	return bytes.HasPrefix(data, []byte("//")) && bytes.Contains(data, []byte(`"defaultAction"`)) ||
		(bytes.HasPrefix(data, []byte("{")) || bytes.HasPrefix(data, []byte("["))) && !looksDocker(data) && bytes.Contains(data, []byte(`"syscall"`))
}

func readGadget(data []byte) (Profile, []string, error) {
	var text []byte
	for line := range bytes.Lines(data) {
		if !bytes.HasPrefix(bytes.TrimSpace(line), []byte("//")) {
			text = append(text, line...)
		}
	}
	seen := map[string]bool{}
	var only Profile
	profiles := 0
	var warnings []string
	dec := json.NewDecoder(bytes.NewReader(text))
	for {
		var raw json.RawMessage
		if err := dec.Decode(&raw); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return Profile{}, nil, jsonError(err)
		}
		if looksDocker(raw) {
			p, more, err := readDocker(raw)
			if err != nil {
				return Profile{}, nil, err
			}
			only, warnings = p, append(warnings, more...)
			profiles++
			for _, r := range p.Rules {
				if r.Action.Allows() && len(seen) < maxNames {
					for _, name := range r.Names {
						seen[name] = true
					}
				}
			}
			continue
		}
		if err := gadgetEvents(raw, seen); err != nil {
			return Profile{}, nil, err
		}
	}
	if profiles == 1 {
		return only, warnings, nil
	}
	p, more, err := ofNames(seen, "Inspektor Gadget")
	if profiles > 1 {
		more = append(more, fmt.Sprintf("%d profiles in it: taken together", profiles))
	}
	return p, append(warnings, more...), err
}

// gadgetEvents adds the calls of events.
func gadgetEvents(raw json.RawMessage, seen map[string]bool) error {
	type event struct {
		Syscall string `json:"syscall"`
	}
	var list []event
	if bytes.HasPrefix(raw, []byte("[")) {
		if err := json.Unmarshal(raw, &list); err != nil {
			return jsonError(err)
		}
	} else {
		var one event
		if err := json.Unmarshal(raw, &one); err != nil {
			return jsonError(err)
		}
		list = append(list, one)
	}
	for _, e := range list {
		name := strings.TrimPrefix(strings.ToLower(e.Syscall), "sys_")
		if name != "" && len(seen) < maxNames {
			seen[name] = true
		}
	}
	return nil
}
