package keeper

import (
	"os"
	"path"
	"strings"

	"speaker/trace/proc"
	"speaker/trace/target"
)

// leaveLogin takes us out of the cgroup of a login: logind, told to (KillUserProcesses=),
// ends with the login whatever is in there, and a dropped line ends a login. What cannot
// be left stays as it is.
func leaveLogin() {
	mounts, err := proc.Mounts()
	if err != nil {
		return
	}
	in, err := proc.Cgroups(os.Getpid())
	if err != nil {
		return
	}
	for _, m := range mounts {
		switch {
		case m.V2 && ofLogin(in.V2), m.Has("name=systemd") && ofLogin(in.V1["name=systemd"]):
			_ = target.Enter(m.At, os.Getpid())
		}
	}
}

// ofLogin reports whether a cgroup is below the scope of a login: in it is what systemd
// has named session-N.scope, in a user's slice.
func ofLogin(cgroup string) bool {
	slice := false
	for part := range strings.SplitSeq(path.Clean(cgroup), "/") {
		slice = slice || part == "user.slice"
		if slice && strings.HasPrefix(part, "session-") && strings.HasSuffix(part, ".scope") {
			return true
		}
	}
	return false
}
