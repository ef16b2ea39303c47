package bench

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"speaker/session"
	"speaker/trace/target"
)

// metaOf is what a new recording of t says of itself.
func metaOf(t target.Target, tool string, startSeen bool, now time.Time) session.Meta {
	m := session.Meta{
		Target: session.Target{Engine: t.Engine, ID: t.ID, Name: t.Name, Image: t.Image, Command: t.Command},
		Kernel: kernelRelease(), Tool: tool, Start: now, StartSeen: startSeen,
	}
	m.Host, _ = os.Hostname()
	return m
}

func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
