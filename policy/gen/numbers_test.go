package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	for _, tt := range []struct {
		name, consts string
		want         string // the names, holes as "-"
		err          string
	}{
		{name: "a hole", consts: "SYS_READ = 0\nSYS__SYSCTL = 2", want: "read - _sysctl"},
		{name: "no call", consts: "SYS_READ = 0\nSYS_ARCH_SPECIFIC_SYSCALL = 1", want: "read"},
		{name: "nothing", err: "no calls in it"},
		{name: "twice", consts: "SYS_READ = 0\nSYS_WRITE = 0", err: "read and write are both number 0"},
		{name: "another constant", consts: "AF_INET = 2", err: "no SYS_ constant"},
		{name: "an expression", consts: "SYS_READ = 1 + 1", err: "is no number"},
		{name: "iota", consts: "SYS_READ = iota", err: "is no number"},
		{name: "text", consts: `SYS_READ = "1"`, err: "has the number"},
		{name: "huge", consts: "SYS_READ = 1000000000", err: "has the number 1000000000"},
		{name: "no value", consts: "SYS_READ = 0\nSYS_WRITE", err: "unexpected form"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "table.go")
			src := "package unix\nconst (\n" + tt.consts + "\n)\nvar other = 1\n"
			if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
				t.Fatal(err)
			}
			names, err := read(path)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %q, %v, want %q", names, err, tt.err)
				}
				return
			}
			for i := range names {
				if names[i] == "" {
					names[i] = "-"
				}
			}
			if got := strings.Join(names, " "); err != nil || got != tt.want {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}
