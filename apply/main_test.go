package apply

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"speaker/apply/injector"
	"speaker/apply/keeper"
)

// The test binary is every process of the play.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case injector.Word:
			killAtStep()
			os.Exit(InjectMain(os.Args[2:]))
		case keeper.Word:
			stepped()
			os.Exit(KeeperMain(os.Args[2:]))
		case LaunchWord:
			os.Exit(LaunchMain(os.Args[2:]))
		case "_inject_as":
			pid, _ := strconv.Atoi(os.Args[2])
			os.Exit(injectAs(pid))
		case "_worker":
			if tryMkdir(filepath.Join(os.Args[2], "worker")) != nil {
				os.Exit(3)
			}
			os.Exit(0)
		case "_server":
			os.Exit(serve(os.Args[2]))
		case "_sealer":
			os.Exit(sealer(os.Args[2], os.Args[3]))
		case "_peer":
			os.Exit(peer(os.Args[2], os.Args[3]))
		case "_workbench":
			os.Exit(workbench(os.Args[2], os.Args[3]))
		}
	}
	os.Exit(m.Run())
}

// serve is the target: a server on a unix socket that says what happens when it
// makes a directory.
func serve(dir string) int {
	l, err := net.Listen("unix", filepath.Join(dir, "server"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return 1
		}
		go func() {
			defer c.Close()
			sc := bufio.NewScanner(c)
			for sc.Scan() {
				switch sc.Text() {
				case "ping":
					fmt.Fprintln(c, "pong")
				case "storm":
					for range 20_000 {
						if err = tryMkdir(filepath.Join(dir, "made")); err == nil {
							break
						}
					}
					fmt.Fprintln(c, errnoOf(err))
				case "crash": // what dies of a denial
					if tryMkdir(filepath.Join(dir, "made")) != nil {
						os.Exit(3)
					}
					fmt.Fprintln(c, "ok")
				case "abort":
					_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				case "child": // a worker that dies of a denial
					fmt.Fprintln(c, errnoOf(exec.Command("/proc/self/exe", "_worker", dir).Run()))
				case "pose":
					fmt.Fprintln(c, errnoOf(pose(filepath.Join(dir, "posed.sock"))))
				case "mkdir":
					fmt.Fprintln(c, errnoOf(tryMkdir(filepath.Join(dir, "made"))))
				case "inet":
					fmt.Fprintln(c, errnoOf(trySocket(syscall.AF_INET)))
				case "netlink":
					fmt.Fprintln(c, errnoOf(trySocket(syscall.AF_NETLINK)))
				}
			}
		}()
	}
}

// pose answers on a socket as a keeper would.
func pose(path string) error {
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, `{"Status":{"Name":"posed","Mode":"deny","Alive":true}}`)
		}
	}()
	return nil
}

func tryMkdir(path string) error {
	err := syscall.Mkdir(path, 0o700)
	if err == nil {
		err = os.Remove(path)
	}
	return err
}

func trySocket(domain int) error {
	fd, err := syscall.Socket(domain, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = syscall.Close(fd)
	}
	return err
}

func errnoOf(err error) string {
	var e syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &e) && e == syscall.EPERM:
		return "EPERM"
	case errors.As(err, &e) && e == syscall.ENOSYS:
		return "ENOSYS"
	}
	return err.Error()
}

// workbench starts the server under a hold, says so, and waits to be killed.
func workbench(dir, holds string) int {
	keeperDir = holds
	l, err := Launch([]string{"/proc/self/exe", "_server", dir}, LaunchOptions{Stderr: os.Stderr})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := StartHold(ctx, "orphan", Waiting{Pid: l.Pid, Release: l.Release}, testPolicy()); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Printf("held %d\n", l.Pid)
	select {}
}
