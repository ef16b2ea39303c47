package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"speaker/apply/injector"
	"speaker/apply/keeper"
	"speaker/policy"
	"speaker/trace/proc"
)

// Proof is what the filters of every thread were found to answer.
type Proof struct {
	OK                 bool // every thread answers every call as wanted, and nothing can answer otherwise
	Processes, Threads int
	Cases              int           // that every stack of filters was asked for
	Differ             []Difference  // the first ones
	Differing          []Differing   // every process with a thread that answers otherwise
	NoFilter           []int         // pids with a thread that has no filter at all
	Stricter           []policy.Call // denied by an older filter though the policy lets them through
	Leaked             []int         // pids of the target that hold a seccomp listener
	Rings              []int         // pids of the target with an io_uring ring, which passes by every filter
	NoNewPrivs         []int
	Unseen             []ProcError // what could not be looked at
	Text               []string    // the same in sentences
}

// Difference is a call that a thread's filters answer otherwise than wanted.
type Difference struct {
	Pid, Tid  int
	Comm      string // hostile bytes
	Call      policy.Call
	Args      policy.Args // with which it was asked
	Got, Want policy.Action
}

// Differing is a process whose filters answer otherwise than wanted.
type Differing struct {
	Pid     int
	Comm    string // of its first such thread; hostile bytes
	Threads int    // that answer otherwise
	Cases   int    // in which the worst of them does
}

// Asked is the call, with its arguments where they count.
func (d Difference) Asked() string {
	if d.Args == (policy.Args{}) {
		return d.Call.String()
	}
	return fmt.Sprintf("%s with arguments %#x", d.Call, d.Args)
}

// maxDiffer bounds the list: one thread without a filter differs in hundreds of calls.
const maxDiffer = 500

// Prove dumps every filter of every thread, each stopped for a moment, asks
// what they answer together to every call of every ABI, and compares with want.
// A call that want denies and the filters deny in another way is no difference.
// Calls with conditions are asked for with all arguments at which the answer could
// change, all others with arguments of zero, older filters that look at them too. It
// covers the processes that pids lists, and no others.
func Prove(ctx context.Context, pids func() ([]int, error), want policy.Spec) (Proof, error) {
	return prove(ctx, pids, wantedBy(want))
}

// ProveRules does the same against rules, such as a profile's, with all arguments
// at which their answer could change.
func ProveRules(ctx context.Context, pids func() ([]int, error), want policy.Rules) (Proof, error) {
	return prove(ctx, pids, wantedByRules(want))
}

func prove(ctx context.Context, pids func() ([]int, error), cases []wanted) (Proof, error) {
	d, err := injector.DumpAll(ctx, pids)
	if err != nil {
		return Proof{}, fmt.Errorf("prove: %w", err)
	}
	list, err := pids()
	if err != nil {
		return Proof{}, fmt.Errorf("prove: list processes: %w", err)
	}
	var p Proof
	if err := p.compare(ctx, d, cases); err != nil {
		return p, fmt.Errorf("prove: %w", err)
	}
	if err := p.look(ctx, list); err != nil {
		return p, fmt.Errorf("prove: %w", err)
	}
	p.OK = p.Threads > 0 && len(p.Differing)+len(p.NoFilter)+len(p.Leaked)+len(p.Rings)+len(p.Unseen) == 0
	p.Text = p.sentences()
	return p, nil
}

// compare judges every stack of filters once, and tells it of the threads that
// have it.
func (p *Proof) compare(ctx context.Context, d injector.Dump, cases []wanted) error {
	j, err := newJudge(ctx, d.Filters, cases)
	if err != nil {
		return err
	}
	verdicts := make([]verdict, len(d.Chains))
	stricter := map[policy.Call]bool{}
	for i, chain := range d.Chains {
		if len(chain) == 0 {
			continue
		}
		if verdicts[i], err = j.judge(ctx, chain); err != nil {
			return err
		}
		for _, c := range verdicts[i].stricter {
			stricter[c] = true
		}
	}
	p.Cases = len(cases)
	for _, c := range everyCall() {
		if stricter[c] {
			p.Stricter = append(p.Stricter, c)
		}
	}
	p.tell(d, verdicts)
	for _, f := range d.Failed {
		p.Unseen = append(p.Unseen, ProcError(f))
	}
	return nil
}

// tell goes over the threads, and says which processes have what.
func (p *Proof) tell(d injector.Dump, verdicts []verdict) {
	processes, bare, wrong := map[int]bool{}, map[int]bool{}, map[int]int{}
	for _, t := range d.Threads {
		processes[t.Pid] = true
		if len(d.Chains[t.Chain]) == 0 && !bare[t.Pid] {
			bare[t.Pid] = true
			p.NoFilter = append(p.NoFilter, t.Pid)
		}
		v := verdicts[t.Chain]
		if v.differs == 0 {
			continue
		}
		i, had := wrong[t.Pid]
		if !had {
			i = len(p.Differing)
			wrong[t.Pid] = i
			p.Differing = append(p.Differing, Differing{Pid: t.Pid, Comm: t.Comm})
		}
		p.Differing[i].Threads++
		p.Differing[i].Cases = max(p.Differing[i].Cases, v.differs)
		for _, x := range v.differ {
			if len(p.Differ) == maxDiffer {
				break
			}
			x.Pid, x.Tid, x.Comm = t.Pid, t.Tid, t.Comm
			p.Differ = append(p.Differ, x)
		}
	}
	p.Threads, p.Processes = len(d.Threads), len(processes)
}

// look finds what the filters themselves do not show.
func (p *Proof) look(ctx context.Context, pids []int) error {
	holders, err := proc.ListenerFDs()
	if err != nil {
		p.Unseen = append(p.Unseen, ProcError{Text: "look for leaked listeners: " + err.Error()})
	}
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		i, err := proc.Read(pid)
		if gone(err) {
			continue
		}
		if err == nil && i.NoNewPrivs {
			p.NoNewPrivs = append(p.NoNewPrivs, pid)
		}
		if slices.Contains(holders, pid) {
			p.Leaked = append(p.Leaked, pid)
		}
		switch ring, err := proc.Uring(pid); {
		case gone(err):
		case err != nil:
			p.Unseen = append(p.Unseen, ProcError{Pid: pid, Comm: i.Comm, Text: err.Error()})
		case ring:
			p.Rings = append(p.Rings, pid)
		}
	}
	return nil
}

// gone reports that a process ended before it was looked at.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// Looked is what was looked at, in words: "2 threads of 1 process".
func (p Proof) Looked() string {
	return fmt.Sprintf("%s of %s", count(p.Threads, "thread"), count(p.Processes, "process"))
}

func (p *Proof) sentences() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if p.OK {
		cases := ""
		if n := len(everyCall()); p.Cases > n {
			cases = fmt.Sprintf(", in %d cases of arguments,", p.Cases)
		}
		say("Proved: %s %s all %d call numbers of all ABIs%s as the policy says.", p.Looked(), verb(p.Threads, "answer"), len(everyCall()), cases)
	} else {
		say("Not proved: looked at %s.", p.Looked())
	}
	if n := len(p.Differing); n > 0 {
		x := p.Differ[0]
		say("%s %s otherwise; the first is %s in thread %d of process %d: %s, should be %s.", count(n, "process"), verb(n, "answer"), x.Asked(), x.Tid, x.Pid, x.Got, x.Want)
	}
	if n := len(p.NoFilter); n > 0 {
		say("%s %s a thread without any filter.", count(n, "process"), verb(n, "have"))
	}
	if n := len(p.Leaked); n > 0 {
		say("%s of the target %s a seccomp listener and could answer for the filter.", count(n, "process"), verb(n, "hold"))
	}
	if n := len(p.Rings); n > 0 {
		say("%s of the target %s an io_uring ring: what it does passes by every filter.", count(n, "process"), verb(n, "have"))
	}
	if n := len(p.Stricter); n > 0 {
		say("%s that the policy lets through %s denied by an older filter.", count(n, "call"), verb(n, "be"))
	}
	const few = 10
	for i, u := range p.Unseen {
		if i == few {
			say("Could not look in %s more.", count(len(p.Unseen)-few, "case"))
			break
		}
		say("Could not look: %s.", u.Error())
	}
	if n := len(p.NoNewPrivs); n > 0 {
		say("%s %s no_new_privs: setuid programs have no power there.", count(n, "process"), verb(n, "have"))
	}
	return out
}

// keeperDir is where holds are found; tests have their own.
var keeperDir = keeper.DefaultDir
