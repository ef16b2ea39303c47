package apply

import (
	"context"
	"fmt"
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
	Differ             []Difference
	NoFilter           []int         // pids with a thread that has no filter at all
	Stricter           []policy.Call // denied by an older filter though the policy lets them through
	Leaked             []int         // pids of the target that hold a seccomp listener
	NoNewPrivs         []int
	Unseen             []ProcError // threads that could not be looked at
	Text               []string    // the same in sentences
}

// Difference is a call that a thread's filters answer otherwise than wanted.
type Difference struct {
	Pid, Tid  int
	Comm      string // hostile bytes
	Call      policy.Call
	Got, Want policy.Action
}

// maxDiffer bounds the list: one thread without a filter differs in hundreds of calls.
const maxDiffer = 500

// Prove dumps every filter of every thread, each stopped for a moment, asks
// what they answer together to every call of every ABI, and compares with want.
// A call that want denies and the filters deny in another way is no difference.
// Older filters that look at arguments are asked with all arguments zero.
func Prove(ctx context.Context, pids func() ([]int, error), want policy.Spec) (Proof, error) {
	d, err := injector.DumpAll(ctx, pids)
	if err != nil {
		return Proof{}, fmt.Errorf("prove: %w", err)
	}
	list, err := pids()
	if err != nil {
		return Proof{}, fmt.Errorf("prove: list processes: %w", err)
	}
	var p Proof
	if err := p.compare(d, want); err != nil {
		return p, fmt.Errorf("prove: %w", err)
	}
	p.look(list)
	p.OK = p.Threads > 0 && len(p.Differ)+len(p.NoFilter)+len(p.Leaked)+len(p.Unseen) == 0
	p.Text = p.sentences()
	return p, nil
}

// verdict is what one chain of filters answers, compared with the spec.
type verdict struct {
	differ   []Difference // without the thread
	stricter []policy.Call
}

func (p *Proof) compare(d injector.Dump, want policy.Spec) error {
	verdicts := make([]verdict, len(d.Chains))
	for i, c := range d.Chains {
		if len(c) == 0 {
			continue
		}
		v, err := judge(c, want)
		if err != nil {
			return err
		}
		verdicts[i] = v
		for _, c := range v.stricter {
			if !slices.Contains(p.Stricter, c) {
				p.Stricter = append(p.Stricter, c)
			}
		}
	}
	seen := map[int]bool{}
	for _, t := range d.Threads {
		seen[t.Pid] = true
		if len(d.Chains[t.Chain]) == 0 {
			if !slices.Contains(p.NoFilter, t.Pid) {
				p.NoFilter = append(p.NoFilter, t.Pid)
			}
			continue
		}
		for _, x := range verdicts[t.Chain].differ {
			if len(p.Differ) < maxDiffer {
				x.Pid, x.Tid, x.Comm = t.Pid, t.Tid, t.Comm
				p.Differ = append(p.Differ, x)
			}
		}
	}
	for _, f := range d.Failed {
		p.Unseen = append(p.Unseen, ProcError(f))
	}
	p.Threads, p.Processes = len(d.Threads), len(seen)
	return nil
}

// judge asks a chain for every call there is, and some numbers beyond.
func judge(chain [][]unix.SockFilter, want policy.Spec) (verdict, error) {
	var v verdict
	for _, c := range everyCall() {
		got, err := policy.EvalAll(chain, policy.DataOf(c))
		if err != nil {
			return v, fmt.Errorf("evaluate dumped filters for %s: %w", c, err)
		}
		wanted := want.Want(c)
		switch {
		case got.Kind() == wanted.Kind() || got.Denies() && wanted.Denies():
		case got.Denies() && len(chain) > 1 && deniedBefore(chain, c):
			v.stricter = append(v.stricter, c)
		default:
			v.differ = append(v.differ, Difference{Call: c, Got: got, Want: wanted})
		}
	}
	return v, nil
}

// deniedBefore says whether a filter below the newest denies the call.
func deniedBefore(chain [][]unix.SockFilter, c policy.Call) bool {
	a, err := policy.EvalAll(chain[:len(chain)-1], policy.DataOf(c))
	return err == nil && a.Denies()
}

// everyCall lists all numbers of all ABIs that this machine's kernel takes.
func everyCall() []policy.Call {
	var out []policy.Call
	for _, abi := range []policy.ABI{policy.X86_64, policy.I386, policy.X32} {
		for nr := range uint32(1024) {
			out = append(out, policy.Call{ABI: abi, Nr: nr})
		}
	}
	return out
}

// look finds what the filters themselves do not show.
func (p *Proof) look(pids []int) {
	holders, err := proc.ListenerFDs()
	if err != nil {
		p.Unseen = append(p.Unseen, ProcError{Text: "look for leaked listeners: " + err.Error()})
	}
	for _, pid := range pids {
		if slices.Contains(holders, pid) {
			p.Leaked = append(p.Leaked, pid)
		}
		if i, err := proc.Read(pid); err == nil && i.NoNewPrivs {
			p.NoNewPrivs = append(p.NoNewPrivs, pid)
		}
	}
}

func (p *Proof) sentences() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if p.OK {
		say("Proved: %d threads of %d processes answer all %d call numbers of all ABIs as the policy says.", p.Threads, p.Processes, len(everyCall()))
	} else {
		say("Not proved: looked at %d threads of %d processes.", p.Threads, p.Processes)
	}
	if n := len(p.Differ); n > 0 {
		x := p.Differ[0]
		say("%d answers differ; the first is %s in thread %d of process %d: %s, should be %s.", n, x.Call, x.Tid, x.Pid, x.Got, x.Want)
	}
	if n := len(p.NoFilter); n > 0 {
		say("%d processes have a thread without any filter.", n)
	}
	if n := len(p.Leaked); n > 0 {
		say("%d processes of the target hold a seccomp listener and could answer for the filter.", n)
	}
	if n := len(p.Stricter); n > 0 {
		say("%d calls that the policy lets through are denied by an older filter.", n)
	}
	for _, u := range p.Unseen {
		say("Could not look: %s.", u.Error())
	}
	if n := len(p.NoNewPrivs); n > 0 {
		say("%d processes have no_new_privs: setuid programs have no power in them.", n)
	}
	return out
}

// keeperDir is where holds are found; tests have their own.
var keeperDir = keeper.DefaultDir
