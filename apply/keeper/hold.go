package keeper

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"speaker/policy"
)

// maxCounts bounds the table of notified calls; a target can make as many
// processes as it likes.
const maxCounts = 2000

// hold is the running state of a keeper.
type hold struct {
	config  Config
	denials map[[2]uint32]int32
	looks   map[policy.Call][]policy.Look // at the arguments of calls that run allows with others
	ears    *ears
	done    chan struct{} // closed when nothing is answered any more
	log     *journal
	pid     int
	ending  *ending
	late    *late // of those that came in later; nil: nobody does

	mu        sync.Mutex
	mode      Mode
	since     time.Time
	until     time.Time // see Status
	why       string
	turn      int // counts the changes, so that an old timer changes nothing
	notified  uint64
	denied    uint64
	refusal   string // the last denial, in words; hostile bytes
	counts    map[countKey]*counter
	watchdog  bool
	rules     map[ruleKey]ruling
	ask       Asking
	asked     int // questions so far
	reading   atomic.Bool
	busy      atomic.Int64 // since when a call is being decided, in ns; 0: none is
	questions map[questionKey]*question
	nurse     *nurse  // nil: no probe is asked
	dying     *deaths // of the crossing; nil before the first one
	owners    map[uint32]owner
}

type countKey struct {
	arch, nr uint32
	pid      int
	with     string
}

type owner struct {
	pid  int
	comm string
}

func newHold(c Config, log *journal) (*hold, error) {
	ears, err := newEars()
	if err != nil {
		return nil, err
	}
	h := &hold{config: c, denials: map[[2]uint32]int32{}, looks: map[policy.Call][]policy.Look{}, ears: ears, log: log, done: make(chan struct{}), pid: c.Pid, ending: watchEnding(c.Pid),
		mode: Boot, since: time.Now(), watchdog: true, rules: map[ruleKey]ruling{}, questions: map[questionKey]*question{}, counts: map[countKey]*counter{}, owners: map[uint32]owner{}}
	for _, a := range c.Denials {
		h.denials[[2]uint32{a.Arch, a.Nr}] = a.Errno
		if len(a.Looks) > 0 {
			h.looks[callOf(a.Arch, a.Nr)] = a.Looks
		}
	}
	return h, nil
}

// inherit takes over from the life before what is not of its processes.
func (h *hold) inherit(from *hold) {
	from.mu.Lock()
	defer from.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchdog = from.watchdog
	if from.nurse != nil {
		h.hire(&nurse{probes: from.nurse.probes, to: from.nurse.to})
	}
	for key, r := range from.rules {
		if key.pid == 0 {
			h.rules[key] = r
		}
	}
}

// serve answers notified calls until the target ends or the hold is released.
func (h *hold) serve() error {
	defer close(h.done)
	go h.sweep()
	go h.pulse()
	var n notification
	for {
		from, err := h.ears.receive(&n)
		if err != nil {
			return err
		}
		h.busy.Store(time.Now().UnixNano())
		errno, waits := h.decide(&n, from)
		h.busy.Store(0)
		if waits {
			continue
		}
		if err := from.answer(n.ID, errno); err != nil {
			h.ears.drop(from, err)
		}
	}
}

// hangs is how long a decision may take, which takes microseconds.
const hangs = 5 * time.Second

// pulse ends a keeper that hangs, whose target then gets ENOSYS and is not frozen. One
// that was stopped does not hang: it goes on, and notes it.
func (h *hold) pulse() {
	t := time.NewTicker(beat)
	defer t.Stop()
	for last := time.Now(); ; {
		select {
		case <-h.done:
			return
		case <-t.C:
		}
		gap := time.Since(last)
		last = last.Add(gap)
		if gap > beat+stoppedAtMost/4 {
			h.log.note(h.status().Mode, fmt.Sprintf("the keeper stood still for about %s, and removed calls waited", (gap-beat).Round(100*time.Millisecond)))
			continue
		}
		if since := h.busy.Load(); since != 0 && time.Since(time.Unix(0, since)) > hangs {
			os.Exit(1)
		}
	}
}

// decide is the errno for a notified call, 0 lets it through; or it waits for the
// answer to a question.
func (h *hold) decide(n *notification, from *listener) (errno int32, waits bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.notified++
	call := callOf(n.Arch, uint32(n.Nr))
	when := h.valuesOf(call, n.Args)
	c, o := h.count(n, call, when)
	r, ruled := h.ruleFor(call, o.pid, withText(when))
	switch {
	case h.mode == Sealed:
	case ruled && r.Allow:
		return 0, false
	case ruled:
	case from.source == FromLate:
		if h.late.choice.Load() == LateBoot {
			return 0, false
		}
		h.denied++
		return h.errnoOf(call, 0), false
	case h.mode == Ask:
		if waits, allow := h.put(n, from, call, when, o); waits || allow {
			return 0, waits
		}
	case h.mode != Deny:
		return 0, false
	}
	if h.dying != nil {
		h.dying.add(o.pid, call.With(when))
	}
	if c.storms() && h.watchdog && h.mode != Sealed {
		h.enter(Allow, c.storm())
		return 0, false
	}
	h.denied++
	h.refusal = fmt.Sprintf("%s to process %d (%s)", call.With(when), o.pid, o.comm)
	return h.errnoOf(call, r.Errno), false
}

// count counts a notified call of a process.
func (h *hold) count(n *notification, call policy.Call, when []policy.Condition) (*counter, owner) {
	o, ok := h.owners[n.Tid]
	if !ok {
		if len(h.owners) >= maxCounts {
			clear(h.owners)
		}
		o = ownerOf(n.Tid)
		h.owners[n.Tid] = o
	}
	k := countKey{n.Arch, uint32(n.Nr), o.pid, withText(when)}
	c := h.counts[k]
	if c == nil {
		if len(h.counts) >= maxCounts {
			k.pid, k.with, when, o = 0, "", nil, owner{comm: "(others)"}
			c = h.counts[k]
		}
		if c == nil {
			c = &counter{CallCount: CallCount{Call: call, When: when, Pid: o.pid, Comm: o.comm}}
			h.counts[k] = c
		}
	}
	c.Count++
	c.Last = time.Now()
	return c, h.owners[n.Tid]
}

func callOf(arch, nr uint32) policy.Call {
	switch {
	case arch == policy.I386.AuditArch():
		return policy.Call{ABI: policy.I386, Nr: nr}
	case arch == policy.ARM64.AuditArch():
		return policy.Call{ABI: policy.ARM64, Nr: nr}
	case nr&x32Bit != 0:
		return policy.Call{ABI: policy.X32, Nr: nr &^ x32Bit}
	}
	return policy.Call{ABI: policy.X86_64, Nr: nr}
}

const x32Bit = 0x40000000

// ownerOf finds the process of a thread, for the eye only: it may be gone.
func ownerOf(tid uint32) owner {
	o := owner{pid: int(tid)}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(int(tid)) + "/status")
	if err != nil {
		return o
	}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimSpace(value)
		switch key {
		case "Name":
			o.comm = value
		case "Tgid":
			if p, err := strconv.Atoi(value); err == nil {
				o.pid = p
			}
			return o
		}
	}
	return o
}

// set enters a mode because somebody said so. It takes the place of what waited to
// be kept.
func (h *hold) set(m Mode) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.enter(m, "")
}

// enter is set, with h locked; why is the keeper's own reason. Nothing follows a seal.
func (h *hold) enter(m Mode, why string) {
	if h.mode == Sealed {
		return
	}
	h.turn++
	h.until = time.Time{}
	if m != Ask {
		h.releaseAll(m.denies())
	}
	if m == Allow {
		h.dropDenials()
	}
	if h.mode == m && why == "" {
		return
	}
	denied := h.mode.denies()
	h.mode, h.since, h.why = m, time.Now(), why
	h.log.note(m, why)
	if m.denies() && !denied {
		h.watchDeaths()
	}
}

// noteEnd writes down how the target ended. What was asked is asked no more.
func (h *hold) noteEnd() {
	h.ending.outOfMemory() // while its cgroup is there
	h.settle()
	how := h.ending.say()
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.questions)
	if h.refusal != "" {
		how += "; the last call that was denied: " + h.refusal
	}
	h.log.note(h.mode, how)
}

// note writes into the journal.
func (h *hold) note(why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log.note(h.mode, why)
}

// close closes the listeners; nothing is answered from then on.
func (h *hold) close() {
	h.ears.close()
	h.ending.close()
}

func (h *hold) sealed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mode == Sealed
}

func (h *hold) status() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Status{Name: h.config.Name, Pid: h.pid, Keeper: os.Getpid(), Mode: h.mode, Notified: h.notified,
		Denied: h.denied, Since: h.since, Until: h.until, Why: h.why, Watchdog: h.watchdog, Alive: h.ears.alive(), Ears: h.ears.count()}
	s.Asked, s.Health = h.list(), h.healthy()
	for _, r := range h.rules {
		s.Rules = append(s.Rules, r.Rule)
	}
	slices.SortFunc(s.Rules, func(a, b Rule) int { return cmp.Or(a.Call.Compare(b.Call), cmp.Compare(a.Pid, b.Pid)) })
	for _, c := range h.counts {
		s.ByCall = append(s.ByCall, c.CallCount)
	}
	slices.SortFunc(s.ByCall, func(a, b CallCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), a.Call.Compare(b.Call), cmp.Compare(a.Pid, b.Pid))
	})
	return s
}

// ErrTargetLives refuses to end a hold that still answers for a living target.
var ErrTargetLives = errors.New("the target lives: without its keeper every removed call would fail with ENOSYS; seal it, or end the target first")
