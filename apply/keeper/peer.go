package keeper

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"speaker/trace/proc"
)

// checkPeer lets only our own user in, and only from our own pid namespace, with no
// more seccomp filters than we have, and not from a cgroup that is the target's or
// below it. Whoever is in a target has its filter, and cannot get rid of that; one that
// entered later (docker exec) has it not, but is in its cgroup. So a container that was
// given the host's processes and our socket stays outside, too.
//
// Numbers of processes are given anew: a peer that has ended since it connected is
// refused, whoever has its number now.
func checkPeer(c *net.UnixConn, cgroup string) error {
	cred, pidfd, err := peerOf(c)
	if err != nil {
		return err
	}
	defer unix.Close(pidfd)
	if err := stranger(cred, cgroup); err != nil {
		return err
	}
	// It lives, so what was read of that number was read of it.
	if ended, err := hasEnded(pidfd); err != nil || ended {
		return errors.Join(errors.New("the peer has ended"), err)
	}
	return nil
}

func hasEnded(pidfd int) (bool, error) {
	for {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, 0)
		if err != unix.EINTR { // a signal of the runtime's own
			return fds[0].Revents != 0, err
		}
	}
}

// stranger says why nobody speaks with a process.
func stranger(cred *unix.Ucred, cgroup string) error {
	if int(cred.Uid) != os.Geteuid() {
		return errors.New("the peer is another user")
	}
	pid := int(cred.Pid)
	we, err1 := ourselves()
	they, err2 := standingOf(pid)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("look at the peer: %w", err)
	}
	if they.pidNS != we.pidNS {
		return errors.New("the peer is in another pid namespace")
	}
	if they.seccomp > we.seccomp || they.filters > we.filters {
		return errors.New("the peer is under a seccomp filter")
	}
	if cgroup == "" {
		return nil
	}
	inside, err := within(pid, cgroup)
	if err != nil || !inside {
		return err
	}
	if we, err := within(os.Getpid(), cgroup); err == nil && we {
		return nil // it is that of everybody here, and tells nothing
	}
	return errors.New("the peer is in the target")
}

// standing is what tells a process of ours from one of a target.
type standing struct {
	pidNS            string
	seccomp, filters int
}

// ourselves is what we are, which does not change.
var ourselves = sync.OnceValues(func() (standing, error) { return standingOf(os.Getpid()) })

// standingOf reads no more than it needs: whoever switches a hold waits for it.
func standingOf(pid int) (s standing, err error) {
	if s.pidNS, err = os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid)); err != nil {
		return s, err
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return s, err
	}
	found := false
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		n, _ := strconv.Atoi(strings.TrimSpace(value))
		switch key {
		case "Seccomp":
			s.seccomp, found = n, true
		case "Seccomp_filters": // Linux 5.9
			s.filters = n
		}
	}
	if !found {
		return s, errors.New("its seccomp mode is not known")
	}
	return s, nil
}

// cgroupMounts are the mounts of cgroups as they were when a peer was first looked at.
var cgroupMounts = sync.OnceValues(proc.Mounts)

// within reports whether a process is in a cgroup, given by its directory, or below.
func within(pid int, cgroup string) (bool, error) {
	mounts, err := cgroupMounts()
	if err != nil {
		return false, err
	}
	of, err := proc.Cgroups(pid)
	if err != nil {
		return false, err
	}
	for _, m := range mounts {
		path := of.V2
		if !m.V2 {
			path = ""
			for _, c := range m.Controllers {
				if path = of.V1[c]; path != "" {
					break
				}
			}
		}
		if strings.HasPrefix(m.Dir(path)+"/", cgroup+"/") {
			return true, nil
		}
	}
	return false, nil
}

// peerOf returns who connected (or listens, to who connected), and a pidfd of it that
// the caller closes. Before Linux 6.5 that is of who has its number now: then one that
// ended before this was called may be taken for another.
func peerOf(c *net.UnixConn) (cred *unix.Ucred, pidfd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, -1, err
	}
	ctlErr := raw.Control(func(s uintptr) {
		if cred, err = unix.GetsockoptUcred(int(s), unix.SOL_SOCKET, unix.SO_PEERCRED); err != nil {
			return
		}
		pidfd, err = unix.GetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_PEERPIDFD)
		if errors.Is(err, unix.ENOPROTOOPT) {
			pidfd, err = unix.PidfdOpen(int(cred.Pid), 0)
		}
	})
	if err = errors.Join(ctlErr, err); err != nil {
		return nil, -1, fmt.Errorf("find out who the peer is: %w", err)
	}
	return cred, pidfd, nil
}
