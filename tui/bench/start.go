package bench

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"speaker/apply"
	"speaker/sample"
	"speaker/trace/target"
)

// A starter makes a target of speaker's own: a process that has entered a
// cgroup and waits there, just before the exec of its program, so that the
// tracer and a filter are in place before the program's first call.
type starter interface {
	name() string
	engine() string
	// Env is added to the environment of a command.
	start(ctx context.Context, cgroup string, env []string) (*started, error)
}

// started is such a process.
type started struct {
	pid     int
	release func() error                // lets it exec its program
	stop    func(context.Context) error // ends it, politely first
	demo    *sample.Container           // nil unless it is the demo
}

type demoStarter struct{ bench *Bench }

func (*demoStarter) name() string   { return "demo" }
func (*demoStarter) engine() string { return "demo" }

func (s *demoStarter) start(_ context.Context, cgroup string, _ []string) (*started, error) {
	c, err := sample.Start(sample.Options{Cgroup: cgroup, Output: s.bench.opt.Output})
	if err != nil {
		return nil, fmt.Errorf("start the demo: %w", err)
	}
	return &started{pid: c.Pid, release: c.Release, stop: c.Stop, demo: c}, nil
}

type runStarter struct{ bench *Bench }

func (s *runStarter) name() string   { return filepath.Base(s.bench.opt.Command[0]) }
func (s *runStarter) engine() string { return "run" }

func (s *runStarter) start(_ context.Context, cgroup string, env []string) (*started, error) {
	o := s.bench.opt
	opt := apply.LaunchOptions{Cgroup: cgroup, Stdout: o.Output, Stderr: o.Output}
	if len(env) > 0 {
		opt.Env = append(os.Environ(), env...)
	}
	l, err := apply.Launch(o.Command, opt)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Command[0], err)
	}
	go l.Wait() // its exit status is nobody's, but a zombie would stay
	stop := func(ctx context.Context) error {
		l.Cancel()
		return endProcesses(ctx, cgroup)
	}
	return &started{pid: l.Pid, release: l.Release, stop: stop}, nil
}

// ownCgroup makes the cgroup of a target of speaker's own. Its name is also
// the name of the target's hold.
func ownCgroup(s starter) (path string, remove func() error, err error) {
	var b [3]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", nil, err
	}
	return target.NewCgroup(ownPrefix + fileName(s.name()) + "-" + hex.EncodeToString(b[:]))
}

// ownPrefix begins the name of every cgroup that speaker makes for a target.
const ownPrefix = "speaker-"
