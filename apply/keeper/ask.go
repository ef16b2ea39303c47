package keeper

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"speaker/policy"
)

// AskWithin is how long a question waits for its answer, and its threads with it,
// where nobody said otherwise; MaxAsk is the longest.
const (
	AskWithin = 10 * time.Second
	MaxAsk    = time.Minute
)

// Asking says what becomes of a question that nobody answers.
type Asking struct {
	Limit time.Duration // of the wait; 0: AskWithin
	Allow bool          // it is allowed then, else denied
}

// asking takes over how to ask, which changes no question that waits already.
func (h *hold) asking(a Asking) error {
	if a.Limit == 0 {
		a.Limit = AskWithin
	}
	if a.Limit < 0 || a.Limit > MaxAsk {
		return fmt.Errorf("ask for %s: a thread waits for an answer at most %s", a.Limit, MaxAsk)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ask = a
	return nil
}

const (
	maxQuestions = 64   // at a time; calls beyond are denied
	maxWaiting   = 1000 // threads of one question; those beyond are denied
	sweepEvery   = 200 * time.Millisecond
	goneAfter    = time.Second // a question whose threads are gone is dropped
)

// Question is a removed call that waits for an answer, of all threads of processes
// of one image. Nobody having answered in time, it is denied, or what Asking says, and
// so are those that follow, without a wait, until somebody does.
type Question struct {
	ID      int
	Call    policy.Call
	When    []policy.Condition `json:",omitempty"` // its arguments, where run allows it with others
	Image   string             // the program's path; hostile bytes, as are Comm and Text
	Pid     int                // who asked first
	Comm    string
	Args    [6]uint64 // of that call
	Text    string    // its path, where that could be read
	Modules []string  // the files that it came through, innermost first: a guess; hostile bytes, too
	Waiting int       // threads
	Count   uint64    // of calls
	Until   time.Time // is the time over then
	Lapsed  bool      // it is over
	Allowed bool      // and the call is allowed since, not denied
	// Otherwise says that it will be, should nobody answer.
	Otherwise bool
}

// String tells what is asked, in a line of hostile bytes.
func (q Question) String() string {
	what := fmt.Sprintf("%s%#x", q.Call, q.Args)
	if len(q.When) > 0 {
		what = q.What()
	}
	if q.Text != "" {
		what = fmt.Sprintf("%s %q", q.Call, q.Text)
	}
	left := fmt.Sprintf("%d s left", int(time.Until(q.Until).Seconds()+1))
	if q.Lapsed {
		left = "not answered in time: denied until it is"
	}
	if q.Allowed {
		left = "not answered in time: allowed until it is"
	}
	by := ""
	if len(q.Modules) > 0 {
		by = ", by its stack through " + strings.Join(q.Modules, " < ") + " (a guess)"
	}
	return fmt.Sprintf("%s by %s (%s, pid %d), calls: %d, threads that wait: %d, %s%s", what, q.Image, q.Comm, q.Pid, q.Count, q.Waiting, left, by)
}

// Verdict answers a question.
type Verdict string

// The verdicts. Those that are for good become rules for the call in all processes.
const (
	AllowOnce Verdict = "once"
	AllowGood Verdict = "allow"
	DenyOnce  Verdict = "deny"
	DenyGood  Verdict = "never"
)

// ErrNoQuestion is the answer to who was late.
var ErrNoQuestion = errors.New("that question waits no more: it was answered, or who asked is gone")

type questionKey struct {
	call  policy.Call
	image string
	with  string
}

type question struct {
	Question
	otherwise Asking
	calls     []waiting
	seen      time.Time
}

// waiting is a notified call that waits for its answer. A number is one listener's alone.
type waiting struct {
	from *listener
	id   uint64
}

// valid says that it still waits.
func (w waiting) valid() bool { return w.from.valid(w.id) }

// put has a call wait, or says that it cannot, and whether it is allowed all the
// same. Locked by the caller.
func (h *hold) put(n *notification, from *listener, c policy.Call, when []policy.Condition, o owner) (waits, allow bool) {
	image, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", n.Tid))
	if err != nil {
		image = o.comm
	}
	k := questionKey{c, image, withText(when)}
	q := h.questions[k]
	if q == nil && len(when) > 0 && !h.apart(c, image) {
		k.with, when = "", nil
		q = h.questions[k]
	}
	if q == nil {
		if len(h.questions) >= maxQuestions {
			return false, false
		}
		h.asked++
		q = &question{Question: Question{ID: h.asked, Call: c, When: when, Image: image, Pid: o.pid, Comm: o.comm, Args: n.Args, Until: time.Now().Add(h.ask.Limit), Otherwise: h.ask.Allow},
			otherwise: h.ask}
		h.questions[k] = q
		id := q.ID
		time.AfterFunc(h.ask.Limit, func() { h.lapse(id) })
		go h.lookAt(id, waiting{from, n.ID}, *n, c)
	}
	q.Count++
	if q.Lapsed || len(q.calls) >= maxWaiting {
		return false, q.Allowed
	}
	q.calls, q.seen = append(q.calls, waiting{from, n.ID}), time.Now()
	return true, false
}

// find returns a question that waits. Locked by the caller.
func (h *hold) find(id int) (questionKey, *question) {
	for k, q := range h.questions {
		if q.ID == id {
			return k, q
		}
	}
	return questionKey{}, nil
}

// lapse denies what nobody answered in time.
func (h *hold) lapse(id int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, q := h.find(id); q != nil && !q.Lapsed {
		q.Lapsed = true
		errno, what := h.errnoOf(q.Call, 0), "denied"
		if q.Allowed = q.otherwise.Allow; q.Allowed {
			errno, what = 0, "allowed"
		}
		h.release(q, errno)
		h.log.note(h.mode, fmt.Sprintf("nobody answered for %s within %s: it is %s", q.What(), q.otherwise.Limit, what))
	}
}

// release answers all that waits for a question. Locked by the caller.
func (h *hold) release(q *question, errno int32) {
	for _, w := range q.calls {
		if errno != 0 {
			h.denied++
		}
		_ = w.from.answer(w.id, errno) // a thread that is gone needs none
	}
	q.calls = nil
}

// releaseAll ends the asking. Locked by the caller.
func (h *hold) releaseAll(deny bool) {
	for k, q := range h.questions {
		errno := int32(0)
		if deny {
			errno = h.errnoOf(q.Call, 0)
		}
		h.release(q, errno)
		delete(h.questions, k)
	}
}

// answerQuestion gives the verdict on a question, and on all of the same call when
// it is for good. errno is that of a denial, 0 for the policy's.
func (h *hold) answerQuestion(id int, v Verdict, errno int32) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, q := h.find(id)
	switch {
	case q == nil:
		return ErrNoQuestion
	case !slices.Contains([]Verdict{AllowOnce, AllowGood, DenyOnce, DenyGood}, v):
		return fmt.Errorf("unknown verdict %q", v)
	}
	if err := checkErrno(errno); err != nil {
		return err
	}
	good, allow := v == AllowGood || v == DenyGood, v == AllowOnce || v == AllowGood
	if good {
		if err := h.rule(Rule{Call: q.Call, When: q.When, Allow: allow, Errno: errno}, false); err != nil {
			return err
		}
	}
	if errno = h.errnoOf(q.Call, errno); allow {
		errno = 0
	}
	for k, other := range h.questions {
		if other == q || good && other.Call == q.Call && (len(q.When) == 0 || k.with == withText(q.When)) {
			h.release(other, errno)
			delete(h.questions, k)
		}
	}
	return nil
}

// sweep forgets threads that were killed, or that a signal took out of their call,
// and questions without any. A call that a signal restarts is notified again, and
// joins its question.
func (h *hold) sweep() {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-h.done:
			return
		case <-t.C:
		}
		h.mu.Lock()
		for k, q := range h.questions {
			q.calls = slices.DeleteFunc(q.calls, func(w waiting) bool { return !w.valid() })
			if len(q.calls) > 0 {
				q.seen = time.Now()
			} else if !q.Lapsed && time.Since(q.seen) > goneAfter {
				delete(h.questions, k)
			}
		}
		h.mu.Unlock()
	}
}

// list copies the questions, the oldest first. Locked by the caller.
func (h *hold) list() []Question {
	var out []Question
	for _, q := range h.questions {
		x := q.Question
		x.Waiting = len(q.calls)
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b Question) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// pathArg is which argument of a call is a path.
var pathArg = map[string]int{"open": 0, "creat": 0, "mkdir": 0, "rmdir": 0, "unlink": 0, "chmod": 0, "chown": 0, "lchown": 0,
	"stat": 0, "lstat": 0, "access": 0, "readlink": 0, "execve": 0, "rename": 0, "chdir": 0, "chroot": 0, "truncate": 0,
	"mknod": 0, "umount2": 0, "statfs": 0, "openat": 1, "openat2": 1, "mkdirat": 1, "unlinkat": 1, "fchmodat": 1, "fchownat": 1,
	"newfstatat": 1, "statx": 1, "faccessat": 1, "faccessat2": 1, "readlinkat": 1, "execveat": 1, "renameat": 1, "renameat2": 1,
	"mknodat": 1, "mount": 1, "utimensat": 1}

// maxText bounds what is read of a path.
const maxText = 256

// lookAt reads of a caller what is shown of it: the path that the question is about, and
// the modules that it came through. The target may make that take for ever; so one at a
// time does, and nobody waits for it.
func (h *hold) lookAt(id int, caller waiting, n notification, c policy.Call) {
	if !h.reading.CompareAndSwap(false, true) {
		return
	}
	defer h.reading.Store(false)
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", n.Tid))
	if err != nil {
		return
	}
	defer mem.Close()
	if at, ok := pathArg[c.String()]; ok {
		text := textAt(mem, n.Args[at])
		h.found(id, caller, func(q *question) { q.Text = text })
	}
	modules := modulesOf(int(n.Tid), c.ABI, n.IP, mem)
	h.found(id, caller, func(q *question) { q.Modules = modules })
}

// found takes over what was found of a caller, unless its number was another one's by
// then.
func (h *hold) found(id int, caller waiting, take func(*question)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, q := h.find(id); q != nil && caller.valid() {
		take(q)
	}
}

// textAt reads a text from a process, up to the end of its page: what lies behind may
// not be there.
func textAt(mem io.ReaderAt, at uint64) string {
	b := make([]byte, maxText)
	n, _ := mem.ReadAt(b[:min(maxText, 4096-int(at%4096))], int64(at))
	b, _, _ = bytes.Cut(b[:n], []byte{0})
	return string(b)
}

// errnoOf is the error of a denial: chosen, or the policy's. Locked by the caller.
func (h *hold) errnoOf(c policy.Call, chosen int32) int32 {
	if chosen != 0 {
		return chosen
	}
	if e := h.denials[[2]uint32{c.ABI.AuditArch(), c.Register()}]; e != 0 {
		return e
	}
	return int32(unix.EPERM)
}
