package sample

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// grace is how long Stop waits after SIGTERM when its context says nothing.
const grace = 10 * time.Second

// Alive says whether the container's first process is there, waiting or
// serving.
func (c *Container) Alive() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// Ended is closed when the container has ended; all its processes are gone.
func (c *Container) Ended() <-chan struct{} { return c.ended }

// ExitStatus says in words how the container ended ("exit status 0", "signal:
// killed"); "" while it is alive.
func (c *Container) ExitStatus() string {
	if c.Alive() {
		return ""
	}
	return c.cmd.ProcessState.String()
}

// Stop ends the container: SIGTERM, and SIGKILL when the context is done, or
// after ten seconds. One that waits for its release just ends. It returns nil
// when the container is gone, however it went: see ExitStatus.
func (c *Container) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	c.mu.Lock()
	waiting := c.control != nil
	if waiting {
		c.control.Close()
		c.control = nil
	}
	c.mu.Unlock()
	if !waiting {
		go c.terminate(ctx)
	}
	select {
	case <-c.ended:
	case <-ctx.Done():
		// With its first process, the kernel ends all of a pid namespace.
		c.cmd.Process.Kill()
		select {
		case <-c.ended:
		case <-time.After(grace):
			return fmt.Errorf("stop the demo: process %d does not die", c.Pid)
		}
	}
	if c.sockets != nil {
		c.sockets.close()
	}
	return nil
}

// terminate sends SIGTERM until it is heard: the first process of a pid
// namespace gets none that it has no handler for yet.
func (c *Container) terminate(ctx context.Context) {
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		c.cmd.Process.Signal(unix.SIGTERM)
		select {
		case <-c.ended:
			return
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// Reload makes the administrative request: the server builds its cache anew,
// with calls that serving never makes. The error of a refused one names the
// call; the server serves on.
func (c *Container) Reload() error {
	_, err := c.Request("/admin/reload")
	return err
}

// Ready returns when the server answers: nil, or the context's error, or that
// the container has ended.
func (c *Container) Ready(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := c.Request("/status")
		if err == nil {
			return nil
		}
		select {
		case <-c.ended:
			return errors.New("the demo has ended: " + c.ExitStatus())
		case <-ctx.Done():
			return fmt.Errorf("wait for the demo: %w (%w)", ctx.Err(), err)
		case <-tick.C:
		}
	}
}
