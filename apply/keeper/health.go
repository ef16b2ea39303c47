package keeper

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"speaker/trace/proc"
	"speaker/trace/ready"
	"speaker/trace/target"
)

// What failing probes undo a denial for: they are asked every HealthEvery while
// removed calls are denied, and HealthFails times in a row is too often.
const (
	HealthEvery = time.Second
	HealthFails = 3
)

// Health are the probes that a target has to answer while removed calls are denied.
type Health struct {
	Probes    []string     // see ready.Parse; none: nothing is asked any more
	Container string       // the target's reference with its engine, for the probe "health"; "" for none
	Hosts     target.Hosts // of engines
}

// Healthy is what came of them.
type Healthy struct {
	Probes  []string
	Failing string `json:",omitempty"` // why the last asking failed, hostile bytes; "": it did not
}

// nurse asks the probes of a hold.
type nurse struct {
	probes []ready.Probe
	to     ready.Target
	failed string // guarded by the hold's mu
	cancel context.CancelFunc
}

// watchHealth takes over which probes are asked. Those that fail already are refused:
// they would undo whatever is denied.
func (h *hold) watchHealth(x Health) error {
	n, err := h.newNurse(x)
	if err != nil {
		return err
	}
	if _, err := n.ask(context.Background()); err != nil {
		return fmt.Errorf("not watched, for it fails already: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.nurse != nil {
		h.nurse.cancel()
	}
	if len(n.probes) == 0 {
		h.nurse = nil
		h.log.note(h.mode, "no probe is asked any more")
		return nil
	}
	h.hire(n)
	h.log.note(h.mode, "while removed calls are denied it has to answer: "+strings.Join(x.Probes, ", "))
	return nil
}

// hire has a nurse begin. Locked by the caller.
func (h *hold) hire(n *nurse) {
	var ctx context.Context
	ctx, n.cancel = context.WithCancel(context.Background())
	n.to.Pid = h.program
	h.nurse = n
	go h.nursing(ctx, n)
}

// program is a process of the target.
func (h *hold) program() int {
	if pids := (record{Pid: h.config.Pid, Cgroup: h.config.Cgroup}).pids(1); len(pids) > 0 {
		return pids[0]
	}
	return h.config.Pid
}

func (h *hold) newNurse(x Health) (*nurse, error) {
	probes, err := ready.ParseAll(x.Probes)
	if err != nil {
		return nil, err
	}
	n := &nurse{probes: probes, to: ready.Target{
		Pid:    h.program,
		Engine: func() (*target.Docker, error) { return nil, errors.New("which container it is was not said") },
	}}
	if x.Container == "" {
		return n, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin/2)
	defer cancel()
	engines := target.Find(x.Hosts)
	t, err := engines.Resolve(ctx, x.Container)
	if err != nil {
		return nil, err
	}
	n.to.Found = func() target.Target { return t }
	n.to.Engine = func() (*target.Docker, error) { return engines.Starter(t) }
	return n, nil
}

// ask asks the probes once, up to the first that fails. known is false when one could
// not be asked.
func (n *nurse) ask(ctx context.Context) (known bool, err error) {
	for _, p := range n.probes {
		if err := p.Once(ctx, n.to); err != nil {
			known := !errors.Is(err, ready.ErrUnknown) && !errors.Is(err, ready.ErrUnsupported)
			return known, fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return true, nil
}

// nursing undoes denials under which the probes fail.
func (h *hold) nursing(ctx context.Context, n *nurse) {
	t := time.NewTicker(HealthEvery)
	defer t.Stop()
	var of time.Time // the crossing that the failures are of
	for fails := 0; ; {
		select {
		case <-h.done:
			return
		case <-ctx.Done():
			return
		case <-t.C:
		}
		crossed, ask := h.sick()
		if !ask || !crossed.Equal(of) {
			of, fails = crossed, 0
		}
		if !ask {
			h.fails(n, nil)
			continue
		}
		known, err := n.ask(ctx)
		if ctx.Err() != nil || !known {
			continue
		}
		h.fails(n, err)
		if fails++; err == nil {
			fails = 0
		}
		if fails == HealthFails {
			h.bark(crossed, fmt.Sprintf("%v, %d times in a row, %s after the crossing", err, fails, time.Since(crossed).Round(100*time.Millisecond)))
		}
	}
}

// fails takes down how the last asking failed, nil for not.
func (h *hold) fails(n *nurse, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n.failed = errText(err)
}

// sick reports whether probes are to be asked now, and since when removed calls are
// denied. While a call waits for an answer, or the target is frozen (docker pause), it is
// no wonder that the target does not.
func (h *hold) sick() (crossed time.Time, ask bool) {
	frozen, _ := proc.Frozen(h.program())
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, q := range h.questions {
		if len(q.calls) > 0 {
			return h.since, false
		}
	}
	return h.since, !frozen && h.watchdog && (h.mode == Deny || h.mode == Ask)
}

// healthy tells of the probes. Locked by the caller.
func (h *hold) healthy() Healthy {
	if h.nurse == nil {
		return Healthy{}
	}
	x := Healthy{Failing: h.nurse.failed}
	for _, p := range h.nurse.probes {
		x.Probes = append(x.Probes, p.Name)
	}
	return x
}
