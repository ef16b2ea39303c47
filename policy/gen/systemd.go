package main

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed systemd.txt
var systemdFile string

// readGroups tells each call in which groups of systemd it is, by itself or as
// part of another group.
func (f facts) readGroups(file string) error {
	members := map[string][]string{}
	group := ""
	for line := range strings.Lines(file) {
		name := strings.TrimSpace(line)
		switch {
		case name == "" || strings.HasPrefix(name, "#"):
		case name == line[:len(name)]: // not indented
			group = name
			members[group] = nil
		case group == "":
			return fmt.Errorf("%s is in no group", name)
		default:
			members[group] = append(members[group], name)
		}
	}
	if len(members) == 0 {
		return fmt.Errorf("no groups in it")
	}
	for group := range members {
		if err := f.join(group, group, members, nil); err != nil {
			return err
		}
	}
	for _, x := range f.of {
		slices.Sort(x.groups)
		x.groups = slices.Compact(x.groups)
	}
	return nil
}

// join puts group on all calls of part, a group within it. Calls of other
// processors are passed over.
func (f facts) join(group, part string, members map[string][]string, within []string) error {
	list, ok := members[part]
	if !ok || slices.Contains(within, part) {
		return fmt.Errorf("%s has the group %s in it, which is unknown or has it in turn", group, part)
	}
	for _, name := range list {
		if strings.HasPrefix(name, "@") {
			if err := f.join(group, name, members, append(within, part)); err != nil {
				return err
			}
		} else if x := f.of[name]; x != nil {
			x.groups = append(x.groups, group)
		}
	}
	return nil
}
