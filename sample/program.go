package sample

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// program is one that is ready to be executed: the kernel's arguments are laid
// out beforehand, so that nothing stands between the release and the execve.
type program struct {
	path      *byte
	argv, env []*byte // each ends with nil
}

func newProgram(path string, argv, env []string) (p *program, err error) {
	p = &program{}
	if p.path, err = unix.BytePtrFromString(path); err != nil {
		return nil, fmt.Errorf("name program: %w", err)
	}
	if p.argv, err = pointers(argv); err != nil {
		return nil, fmt.Errorf("name argument: %w", err)
	}
	if p.env, err = pointers(env); err != nil {
		return nil, fmt.Errorf("name variable: %w", err)
	}
	return p, nil
}

func pointers(words []string) ([]*byte, error) {
	all := make([]*byte, 0, len(words)+1)
	for _, w := range words {
		b, err := unix.BytePtrFromString(w)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return append(all, nil), nil
}

// execAfter waits for a message on the socket and becomes the program, or
// returns nil when the other end is closed. Both calls are raw: told of a
// blocking read, Go's runtime would wake its other threads before the execve,
// and syscall.Exec would set the limit of open files.
func (p *program) execAfter(socket int) error {
	var word [8]byte
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(socket), uintptr(unsafe.Pointer(&word)), uintptr(len(word)))
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return fmt.Errorf("await release: %w", errno)
		}
		if n == 0 {
			return nil
		}
		break
	}
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(p.path)),
		uintptr(unsafe.Pointer(&p.argv[0])), uintptr(unsafe.Pointer(&p.env[0])))
	runtime.KeepAlive(p)
	return fmt.Errorf("exec server: %w", errno)
}
