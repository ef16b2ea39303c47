package keeper

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

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
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, 0); err != nil || fds[0].Revents != 0 {
		return errors.New("the peer has ended")
	}
	return nil
}

// stranger says why nobody speaks with a process.
func stranger(cred *unix.Ucred, cgroup string) error {
	if int(cred.Uid) != os.Geteuid() {
		return errors.New("the peer is another user")
	}
	pid := int(cred.Pid)
	ours, err1 := os.Readlink("/proc/self/ns/pid")
	theirs, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err1 != nil || err2 != nil || ours != theirs {
		return errors.New("the peer is in another pid namespace")
	}
	we, err1 := proc.Read(os.Getpid())
	they, err2 := proc.Read(pid)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("look at the peer: %w", err)
	}
	if they.Seccomp > we.Seccomp || they.Filters > we.Filters {
		return errors.New("the peer is under a seccomp filter")
	}
	if cgroup == "" {
		return nil
	}
	inside, err := within(pid, cgroup)
	if err == nil && inside {
		err = errors.New("the peer is in the target")
	}
	return err
}

// within reports whether a process is in a cgroup, given by its directory, or below.
func within(pid int, cgroup string) (bool, error) {
	mounts, err := proc.Mounts()
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
