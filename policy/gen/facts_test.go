package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestReadCalls(t *testing.T) {
	for _, tt := range []struct{ name, file, err string }{
		{name: "good", file: "# words\n\nopen\t1.0\topen\t-\topens a file\nopenat\t2.6.16\topen\tCAP_X for all\topens a file\n"},
		{name: "a column short", file: "open\t1.0\topen\topens a file\n", err: "line 1: want 5 columns"},
		{name: "an empty column", file: "open\t1.0\t\t-\topens a file\n", err: "line 1: want 5 columns"},
		{name: "out of order", file: "open\t1.0\t-\t-\tx\nclose\t1.0\t-\t-\tx\n", err: "close does not sort behind open"},
		{name: "twice", file: "open\t1.0\t-\t-\tx\nopen\t1.0\t-\t-\tx\n", err: "open does not sort behind open"},
		{name: "no version", file: "open\tearly\t-\t-\tx\n", err: `"early" is no kernel version`},
		{name: "no abi", file: "open\t1.0 vax:1.1\t-\t-\tx\n", err: `no abi "vax"`},
		{name: "no call", file: "#\nopen\t1.0\t-\t-\tx\nopenat\t2.6.16\t-\t-\tx\nshut\t1.0\t-\t-\tx\n", err: "shut has no number"},
		{name: "a call is missing", file: "open\t1.0\t-\t-\tx\n", err: "openat is missing"},
		{name: "a family of one", file: "open\t1.0\topen\t-\tx\nopenat\t2.6.16\t-\t-\tx\n", err: "the family open has one member"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := facts{of: map[string]*fact{}}
			err := f.readCalls(tt.file)
			if err == nil {
				err = f.cover(numbers{names: [][]string{{"open", "", "openat"}}})
			}
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
}

func TestSince(t *testing.T) {
	for _, tt := range []struct{ cell, want string }{
		{"1.0", "1.0 1.0 3.4 3.7"},
		{"2.0 i386:4.3", "2.0 4.3 3.4 3.7"},
		{"3.17 arm64:5.0", "3.17 3.17 3.17 5.0"},
		{"3.5", "3.5 3.5 3.5 3.7"},
		{"3.10", "3.10 3.10 3.10 3.10"},
	} {
		if got, err := sinceOf(tt.cell); err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %q, %v, want %s", tt.cell, got, err, tt.want)
		}
	}
}

func TestReadRisks(t *testing.T) {
	for _, tt := range []struct{ name, file, err string }{
		{name: "good", file: "high\tcve\topen x32:open\tx\tCVE-2000-0001\n"},
		{name: "no level", file: "dire\tcve\topen\tx\ty\n", err: "no risk is dire cve"},
		{name: "no kind", file: "high\trumour\topen\tx\ty\n", err: "no risk is high rumour"},
		{name: "no call", file: "high\tcve\tshut\tx\ty\n", err: "no call is shut"},
		{name: "no abi", file: "high\tcve\tvax:open\tx\ty\n", err: "no call is vax:open"},
		{name: "no source", file: "high\tcve\topen\tx\n", err: "want 5 columns"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			open := &fact{}
			err := facts{of: map[string]*fact{"open": open}}.readRisks(tt.file)
			if tt.err == "" && (err != nil || len(open.causes) != 2) || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %q, %v, want %q", open.causes, err, tt.err)
			}
		})
	}
}

func TestReadGroups(t *testing.T) {
	for _, tt := range []struct{ name, file, want, err string }{
		{name: "nested", file: "# words\n@io\n    @file\n    write\n@file\n    open\n", want: "@file @io"},
		{name: "of another processor", file: "@file\n    open\n    osf_open\n", want: "@file"},
		{name: "in itself", file: "@a\n    @b\n@b\n    @a\n", err: "or has it in turn"},
		{name: "unknown", file: "@a\n    @b\n", err: "which is unknown"},
		{name: "in no group", file: "    open\n", err: "open is in no group"},
		{name: "nothing", file: "# words\n", err: "no groups in it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			open := &fact{}
			err := facts{of: map[string]*fact{"open": open}}.readGroups(tt.file)
			if tt.err == "" && (err != nil || strings.Join(open.groups, " ") != tt.want) || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %q, %v, want %q, %q", open.groups, err, tt.want, tt.err)
			}
		})
	}
}

// The groups are those of systemd itself, where it is the version that is named.
func TestGroupsAgainstSystemd(t *testing.T) {
	version, err := exec.Command("systemd-analyze", "--version").Output()
	if err != nil {
		t.Skipf("needs systemd-analyze: %v", err)
	}
	of, _, _ := strings.Cut(string(version), " (")
	if first, _, _ := strings.Cut(systemdFile, ","); first != "# The groups of "+of {
		t.Skipf("%s is here: %s", of, first)
	}
	out, err := exec.Command("systemd-analyze", "syscall-filter").Output()
	if err != nil {
		t.Fatal(err)
	}
	clean := func(s string) (lines []string) {
		for line := range strings.Lines(s) {
			line = strings.TrimRight(line, "\n")
			if line == "@known" {
				break // all of the others
			}
			if l := strings.TrimSpace(line); l != "" && !strings.HasPrefix(l, "#") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	if got, want := clean(systemdFile), clean(string(out)); !slices.Equal(got, want) {
		t.Errorf("systemd.txt has %d lines, systemd-analyze tells %d others", len(got), len(want))
	}
}
