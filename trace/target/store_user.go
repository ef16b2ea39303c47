package target

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// usersRun has a folder for each user who is logged in, or whose services run
// without that; its name is the user's number.
const usersRun = "/run/user"

// userStores are the lists of the users whose rootless Podman may be at work, at
// their usual places. Those that are not at work are let alone: to look into a home
// may mount it.
func userStores() []store { return storesOfUsers(usersRun, homeOf) }

func storesOfUsers(run string, home func(uid string) string) (out []store) {
	dirs, _ := os.ReadDir(run)
	for _, d := range dirs {
		if uid, err := strconv.ParseUint(d.Name(), 10, 32); err != nil || uid == 0 {
			continue // root's are the system's
		}
		if at := home(d.Name()); filepath.IsAbs(at) {
			out = append(out, storesAt(filepath.Join(at, ".local/share/containers/storage"), filepath.Join(run, d.Name(), "containers"))...)
		}
	}
	return out
}

// homeOf is "" for one who is not in /etc/passwd.
func homeOf(uid string) string {
	u, err := user.LookupId(uid)
	if err != nil {
		return ""
	}
	return u.HomeDir
}
