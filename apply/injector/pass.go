package injector

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// receive takes one descriptor, which goes with one byte.
func receive(c *net.UnixConn) (*os.File, error) {
	return receiveWith(c, make([]byte, 1))
}

func receiveWith(c *net.UnixConn, b []byte) (*os.File, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	got, n, _, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		return nil, fmt.Errorf("receive listener: %w", err)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(msgs) != 1 || got != len(b) {
		return nil, errors.New("receive listener: none came")
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.New("receive listener: none came")
	}
	unix.CloseOnExec(fds[0])
	return os.NewFile(uintptr(fds[0]), "seccomp listener"), nil
}

// send hands out one descriptor.
func send(fd, listener int) error { return sendWith(fd, listener, []byte{0}) }

func sendWith(fd, listener int, b []byte) error {
	if err := unix.Sendmsg(fd, b, unix.UnixRights(listener), nil, 0); err != nil {
		return fmt.Errorf("hand the listener on: %w", err)
	}
	return nil
}

// sendOf hands out a listener with the process that it came from; receiveOf takes it.
func sendOf(fd, listener, pid int) error {
	return sendWith(fd, listener, binary.NativeEndian.AppendUint32(nil, uint32(pid)))
}

func receiveOf(c *net.UnixConn) (*os.File, int, error) {
	b := make([]byte, 4)
	f, err := receiveWith(c, b)
	return f, int(binary.NativeEndian.Uint32(b)), err
}
