package keeper

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"speaker/apply/injector"
)

// answerWithin is how long a keeper may take for an answer, and stillAfter when one
// looks whether it can: it lets itself go on before that.
const (
	answerWithin = 5 * time.Second
	stillAfter   = stoppedAtMost + 500*time.Millisecond
)

// Client speaks to one keeper. It keeps no connection.
type Client struct{ dir, name string }

// heldWithin is how long the filter may take once the program was released.
const heldWithin = 10 * time.Second

// Start starts a keeper for the process c.Pid, or for the one that comes in (see
// Config), calls release once the exec of the program cannot be missed, and returns
// when release has and the filter is in place. The keeper lives on without us. On an
// error before release there is no keeper and the process still waits; after it, the
// program may run without the filter. Without a release it waits for whoever starts
// the target, as long as ctx does.
func Start(ctx context.Context, c Config, release func() error) (cl Client, nnp bool, err error) {
	conn, cmd, err := spawn()
	if err != nil {
		return cl, false, err
	}
	defer conn.Close()
	go func() { _ = cmd.Wait() }()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := json.NewEncoder(conn).Encode(c); err != nil {
		return cl, false, fmt.Errorf("tell keeper: %w", err)
	}
	dec := json.NewDecoder(conn)
	if _, err := await(dec); err != nil {
		return cl, false, err
	}
	// The program may need its keeper's answers before release returns.
	var released chan error
	if release != nil {
		released = make(chan error, 1)
		go func() { released <- release() }()
	}
	held := make(chan progress, 1)
	failed := make(chan error, 1)
	go func() {
		p, err := await(dec)
		if err != nil {
			failed <- err
			return
		}
		held <- p
	}()
	var over <-chan time.Time
	for released != nil || held != nil {
		select {
		case err := <-released:
			if err != nil {
				return cl, false, fmt.Errorf("start the program: %w", err)
			}
			released, over = nil, time.After(heldWithin)
		case err := <-failed:
			if released != nil {
				err = errors.Join(err, <-released)
			}
			return cl, false, err
		case <-over:
			return cl, false, fmt.Errorf("it was started, but in %s no program of it was caught", heldWithin)
		case p := <-held:
			nnp, held = p.NoNewPrivs, nil
		}
	}
	return Client{c.Dir, c.Name}, nnp, nil
}

// StartRunning starts a keeper for a target that runs (Config.Runs), and returns when its
// processes have the filter. The report tells what was done, also with an error; where
// Report.Applied, the keeper stays and answers, else there is none. When ctx ends after the
// first process was served, the keeper serves all, and we do not hear of it.
func StartRunning(ctx context.Context, c Config) (cl Client, r injector.Report, err error) {
	conn, cmd, err := spawn()
	if err != nil {
		return cl, r, err
	}
	defer conn.Close()
	go func() { _ = cmd.Wait() }()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if err := json.NewEncoder(conn).Encode(c); err != nil {
		return cl, r, fmt.Errorf("tell keeper: %w", err)
	}
	var p progress
	if err := json.NewDecoder(conn).Decode(&p); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return cl, injector.Report{Unsure: true}, fmt.Errorf("hear from keeper: %w", err)
	}
	if p.Err != "" {
		err = errors.New(p.Err)
	}
	return Client{c.Dir, c.Name}, p.Report, err
}

// injectWithin is how long an injection may take.
const injectWithin = 70 * time.Second

// Inject puts the filter into processes of a target that ran already and do not have it.
func (c Client) Inject() (injector.Report, error) {
	r, err := c.doWithin(request{Op: "inject"}, injectWithin)
	return r.Report, err
}

func await(dec *json.Decoder) (progress, error) {
	var p progress
	if err := dec.Decode(&p); err != nil {
		return p, fmt.Errorf("hear from keeper: %w", err)
	}
	if p.Err != "" {
		return p, errors.New(p.Err)
	}
	return p, nil
}

func spawn() (net.Conn, *exec.Cmd, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	near, far := os.NewFile(uintptr(fds[0]), "near"), os.NewFile(uintptr(fds[1]), "far")
	defer near.Close()
	defer far.Close()
	cmd := exec.Command("/proc/self/exe", Word)
	cmd.Args[0] = "speaker"
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{far}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start keeper: %w", err)
	}
	conn, err := net.FileConn(near)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to keeper: %w", err)
	}
	return conn, cmd, nil
}

// Attach finds the keeper of a hold.
func Attach(dir, name string) (Client, error) {
	if _, err := FileName(name); err != nil {
		return Client{}, err
	}
	c := Client{dir, name}
	_, err := c.Status()
	return c, err
}

// Status asks the keeper how things stand.
func (c Client) Status() (Status, error) {
	r, err := c.do(request{Op: "status"})
	return r.Status, err
}

// Allow lets removed calls through.
func (c Client) Allow() error { return c.tell(request{Op: "allow"}) }

// Deny makes removed calls fail: until within is over, unless Keep comes first; for
// good when it is 0.
func (c Client) Deny(within time.Duration) error { return c.tell(request{Op: "deny", Within: within}) }

// Ask has removed calls asked about, else it is as Deny.
func (c Client) Ask(within time.Duration, a Asking) error {
	return c.tell(request{Op: "ask", Within: within, Asking: a})
}

// Answer gives the verdict on a question.
func (c Client) Answer(id int, v Verdict, errno int32) error {
	return c.tell(request{Op: "answer", ID: id, Verdict: v, Errno: errno})
}

// Rule sets a rule, or takes it back.
func (c Client) Rule(r Rule, forget bool) error {
	return c.tell(request{Op: "rule", Rule: &r, Forget: forget})
}

// Keep makes good for good what waits to be kept.
func (c Client) Keep() error { return c.tell(request{Op: "keep"}) }

// Guard switches the watchdog.
func (c Client) Guard(on bool) error {
	if on {
		return c.tell(request{Op: "watch"})
	}
	return c.tell(request{Op: "unwatch"})
}

// Late chooses what becomes of those who come into the target later.
func (c Client) Late(x Choice) error { return c.tell(request{Op: "exec", Late: x}) }

// Leave has nobody caught any more who comes in, in a next life of the target neither.
func (c Client) Leave() error { return c.tell(request{Op: "leave"}) }

// Health names the probes that the target has to answer.
func (c Client) Health(x Health) error { return c.tell(request{Op: "health", Health: x}) }

func (c Client) tell(q request) error {
	_, err := c.do(q)
	return err
}

// Narrow answers what Config.Narrow was.
func (c Client) Narrow() (json.RawMessage, error) {
	r, err := c.do(request{Op: "narrow"})
	return r.Narrow, err
}

// Sealed tells the keeper to close the listener and leave, and waits until it
// is gone. From then on notified calls fail with ENOSYS.
func (c Client) Sealed(ctx context.Context) error {
	r, err := c.do(request{Op: "sealed"})
	if err != nil {
		return err
	}
	return c.awaitEnd(ctx, r.Status.Keeper)
}

// End waits until the keeper of a target that is gone has left, as it does by
// itself; one that has left already is no error.
func (c Client) End(ctx context.Context) error {
	had, _ := read(c.dir, c.name) // a keeper that leaves takes it along
	r, heard := c.ask(request{Op: "end"})
	// The kernel tells the keeper of an end a little after it.
	for heard == nil && r.Err != "" && !had.lives() && ctx.Err() == nil {
		time.Sleep(2 * time.Millisecond)
		r, heard = c.ask(request{Op: "end"})
	}
	switch {
	case heard == nil && r.Err != "":
		return errors.New(r.Err)
	case heard == nil:
		return c.awaitEnd(ctx, r.Status.Keeper)
	}
	if err := c.awaitEnd(ctx, had.Keeper); err != nil {
		return err
	}
	if err := absence(c.dir, c.name, heard); !errors.Is(err, ErrEnded) {
		return err
	}
	return nil
}

func (c Client) awaitEnd(ctx context.Context, pid int) error {
	for {
		if !keeps(pid) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for keeper %d to leave: %w", pid, ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// do asks the keeper. When it does not answer, the error says why: it is
// ErrSealed, ErrBereft or ErrEnded where that is so.
func (c Client) do(q request) (reply, error) { return c.doWithin(q, answerWithin) }

func (c Client) doWithin(q request, within time.Duration) (reply, error) {
	r, err := c.askWithin(q, within)
	if err != nil {
		return r, absence(c.dir, c.name, err)
	}
	switch r.Err {
	case "":
		return r, nil
	case ErrNoQuestion.Error():
		return r, ErrNoQuestion
	case ErrNothingToKeep.Error():
		return r, ErrNothingToKeep
	case ErrNobodyComes.Error():
		return r, ErrNobodyComes
	}
	return r, errors.New(r.Err)
}

func (c Client) ask(q request) (reply, error) { return c.askWithin(q, answerWithin) }

func (c Client) askWithin(q request, within time.Duration) (reply, error) {
	var r reply
	conn, err := net.DialTimeout("unix", socketPath(c.dir, c.name), answerWithin)
	if err != nil {
		return r, fmt.Errorf("reach keeper of hold %s: %w", c.name, err)
	}
	defer conn.Close()
	if err := checkPeer(conn.(*net.UnixConn), ""); err != nil {
		return r, fmt.Errorf("whoever answers for hold %s is not its keeper: %w", c.name, err)
	}
	begin := time.Now()
	_ = conn.SetDeadline(begin.Add(stillAfter))
	if err := json.NewEncoder(conn).Encode(q); err != nil {
		return r, fmt.Errorf("ask keeper of hold %s: %w", c.name, err)
	}
	in := bufio.NewReader(conn)
	if _, err := in.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
		if had, err := read(c.dir, c.name); err == nil && stillness(had.Keeper) != "" {
			return r, fmt.Errorf("hold %s: %s", c.name, stillness(had.Keeper))
		}
	}
	_ = conn.SetDeadline(begin.Add(within))
	if err := json.NewDecoder(in).Decode(&r); errors.Is(err, io.EOF) {
		return r, fmt.Errorf("the keeper of hold %s hung up: it listens to none that are in another pid namespace, under a seccomp filter, or in the target", c.name)
	} else if err != nil {
		return r, fmt.Errorf("hear from keeper of hold %s: %w", c.name, err)
	}
	return r, nil
}
