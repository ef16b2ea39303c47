package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"speaker/session"
	"speaker/tui/bench"
)

func proveCommand(s *settings) *cobra.Command {
	var f profileFlags
	var file, profile string
	var asJSON bool
	c := &cobra.Command{Use: "prove TARGET", Short: "prove that every thread of a running target has the filter that it should",
		Long: `Reads the seccomp filters of every thread of a target out of the kernel, each
stopped for a moment, asks them for every call of every ABI, and compares that with
what should be answered. It also looks for what no filter shows: listeners that
leaked into the target, io_uring rings, and no_new_privs. Nothing is changed.

What should be answered is what speaker itself put in place: a hold, a seal or an
injection, by whatever speaker and however long ago. --session takes a saved
session's policy instead, --profile a profile in any format that speaker reads.

The exit status is 0 only when it is proved.`,
		Args: oneArg("one TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			want, err := proveWant(cmd, &f, file, profile)
			if err != nil {
				return err
			}
			p, err := bench.New(s.options()).Prove(cmd.Context(), args[0], want)
			if errors.Is(err, bench.ErrUnknown) {
				return hinted{fmt.Errorf("%s: %w", args[0], err), "name what should be there: --session FILE or --profile FILE; speaker inspect prints what is"}
			}
			if err != nil {
				return err
			}
			if asJSON {
				err = proofJSON(s.out, p)
			} else {
				showProof(s.out, p)
			}
			if err == nil && !p.OK {
				err = fmt.Errorf("not proved: %s does not have %s everywhere", p.Target.Ref(), p.Against)
			}
			return err
		}}
	f.add(c.Flags())
	c.Flags().StringVar(&file, "session", "", "compare with the policy of this saved session")
	c.Flags().StringVar(&profile, "profile", "", "compare with the profile in this file")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// proveWant reads what is wanted.
func proveWant(cmd *cobra.Command, f *profileFlags, file, profile string) (want bench.Want, err error) {
	switch {
	case f.check() != nil:
		return want, f.check()
	case file != "" && profile != "":
		return want, usageError{errors.New("--session and --profile cannot both be: leave one out")}
	case file != "":
		if want.Session, _, err = session.Open(file); err != nil {
			return want, err
		}
		if _, err := splitOf(want.Session, file); err != nil {
			return want, err
		}
	case profile != "":
		_, rules, notes, err := f.read(profile)
		if err != nil {
			return want, err
		}
		for _, text := range notes {
			note(cmd, text)
		}
		want.Profile = &rules
	}
	return want, nil
}

// few bounds the lists that people read.
const few = 20

// showProof prints a proof for people.
func showProof(w io.Writer, p bench.Proved) {
	fmt.Fprintf(w, "%s, held against %s\n", printable(p.Target.Ref()), p.Against)
	for _, text := range slices.Concat(p.Notes, p.Text) {
		fmt.Fprintln(w, printable(text))
	}
	for i, x := range p.Differing {
		if i == few {
			fmt.Fprintf(w, "and %d more\n", len(p.Differing)-few)
			break
		}
		fmt.Fprintf(w, "otherwise  process %d (%s): %s, %s\n", x.Pid, printable(x.Comm), counted(x.Threads, "thread"), counted(x.Cases, "case"))
	}
	for i, x := range p.Differ {
		if i == few {
			fmt.Fprintln(w, "           and more (--json)")
			break
		}
		args := ""
		for _, a := range x.Args {
			if a != 0 {
				args = fmt.Sprintf(" with %#x", x.Args)
			}
		}
		fmt.Fprintf(w, "           thread %d: %s%s: has %s, should be %s\n", x.Tid, x.Call, args, x.Got, x.Want)
	}
	for _, list := range []struct {
		what string
		pids []int
	}{{"no filter", p.NoFilter}, {"listener", p.Leaked}, {"io_uring", p.Rings}, {"no_new_privs", p.NoNewPrivs}} {
		if n := len(list.pids); n > 0 {
			more := ""
			if n > few {
				more = fmt.Sprintf(" and %d more", n-few)
			}
			fmt.Fprintf(w, "%-13s pids %v%s\n", list.what, list.pids[:min(n, few)], more)
		}
	}
}

// proofJSON prints a proof for programs. Lists are never null.
func proofJSON(w io.Writer, p bench.Proved) error {
	type process struct {
		Pid     int    `json:"pid"`
		Comm    string `json:"comm"`
		Threads int    `json:"threads"`
		Cases   int    `json:"cases"`
	}
	type difference struct {
		Pid  int      `json:"pid"`
		Tid  int      `json:"tid"`
		Call string   `json:"call"`
		Args []uint64 `json:"args"`
		Has  string   `json:"has"`
		Want string   `json:"want"`
	}
	out := struct {
		Target     string       `json:"target"`
		Against    string       `json:"against"`
		Proved     bool         `json:"proved"`
		Processes  int          `json:"processes"`
		Threads    int          `json:"threads"`
		Cases      int          `json:"cases"`
		Differing  []process    `json:"differing"`
		Differ     []difference `json:"differences"`
		NoFilter   []int        `json:"no_filter"`
		Leaked     []int        `json:"listeners"`
		Rings      []int        `json:"io_uring"`
		NoNewPrivs []int        `json:"no_new_privs"`
		Stricter   []string     `json:"stricter"`
		Unseen     []string     `json:"unseen"`
		Text       []string     `json:"text"`
	}{p.Target.Ref(), p.Against, p.OK, p.Processes, p.Threads, p.Cases, []process{}, []difference{},
		pidList(p.NoFilter), pidList(p.Leaked), pidList(p.Rings), pidList(p.NoNewPrivs), callNames(p.Stricter), []string{},
		slices.Concat([]string{}, p.Notes, p.Text)}
	for _, x := range p.Differing {
		out.Differing = append(out.Differing, process(x))
	}
	for _, x := range p.Differ {
		out.Differ = append(out.Differ, difference{x.Pid, x.Tid, x.Call.String(), x.Args[:], x.Got.String(), x.Want.String()})
	}
	for _, u := range p.Unseen {
		out.Unseen = append(out.Unseen, u.Error())
	}
	return writeJSON(w, out)
}

// pidList is a list that JSON does not write as null.
func pidList(pids []int) []int { return append([]int{}, pids...) }
