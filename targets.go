package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"speaker/tui/bench"
)

func targetsCommand(s *settings) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "targets", Short: "list what can be watched",
		Long: `Lists what can be watched, and what confines it already. An engine that does not
answer within two seconds is named, and what it has stopped is left out; what runs is
found without it, by its cgroup, if only with its id.`, Args: oneOrNone,
		RunE: func(cmd *cobra.Command, _ []string) error {
			items, problems := bench.New(s.options()).Targets(cmd.Context())
			if asJSON {
				return targetsJSON(s.out, items, problems)
			}
			err := listTargets(s.out, items, time.Now())
			for _, p := range problems {
				note(cmd, p)
			}
			return err
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// listTargets prints targets for people.
func listTargets(w io.Writer, items []bench.Item, now time.Time) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "ENGINE\tTARGET\tSTATE\tAGE\tPIDS\tCGROUP\tSECCOMP\tNNP\tCAPS\tNAME\tIMAGE\tCOMMAND")
	for _, i := range items {
		age, pids, cgroup, seccomp, nnp, caps := "-", "-", "-", "-", "-", "-"
		if !i.Created.IsZero() {
			age = tidy(now.Sub(i.Created))
		}
		if f := i.Facts; f != nil {
			pids, seccomp, nnp, caps = fmt.Sprint(f.Processes), f.Filter(), "no", f.Capabilities()
			if f.NoNewPrivs {
				nnp = "yes"
			}
			if f.CgroupVersion != 0 {
				cgroup = fmt.Sprintf("v%d", f.CgroupVersion)
			}
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(i.Engine), printable(i.Ref), printable(i.State),
			age, pids, cgroup, seccomp, nnp, caps, printable(i.Name), printable(i.Image), printable(i.Command))
	}
	return tw.Flush()
}

// tidy writes an age by its largest unit.
func tidy(d time.Duration) string {
	switch {
	case d < time.Minute:
		return d.Truncate(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// targetsJSON prints targets for programs. What is not known is left out.
func targetsJSON(w io.Writer, items []bench.Item, problems []string) error {
	type facts struct {
		Processes     int    `json:"processes"`
		CgroupVersion int    `json:"cgroup_version,omitempty"`
		Seccomp       int    `json:"seccomp"`
		Filters       int    `json:"seccomp_filters"`
		NoNewPrivs    bool   `json:"no_new_privs"`
		CapEff        string `json:"cap_eff"`
		Capabilities  string `json:"capabilities"`
	}
	type target struct {
		Target    string     `json:"target"`
		Engine    string     `json:"engine"`
		ID        string     `json:"id,omitempty"`
		Namespace string     `json:"namespace,omitempty"`
		Name      string     `json:"name"`
		Image     string     `json:"image,omitempty"`
		Command   string     `json:"command,omitempty"`
		State     string     `json:"state"`
		Created   *time.Time `json:"created,omitempty"`
		Pid       int        `json:"pid,omitempty"`
		Cgroup    string     `json:"cgroup,omitempty"`
		CanBoot   bool       `json:"can_boot"`
		Facts     *facts     `json:"facts,omitempty"`
	}
	out := struct {
		Targets  []target `json:"targets"`
		Problems []string `json:"problems"`
	}{[]target{}, append([]string{}, problems...)}
	for _, i := range items {
		t := target{Target: i.Ref, Engine: i.Engine, ID: i.ID, Namespace: i.Namespace, Name: i.Name, Image: i.Image, Command: i.Command,
			State: i.State, Pid: i.Pid, Cgroup: i.Cgroup, CanBoot: i.CanBoot}
		if !i.Created.IsZero() {
			t.Created = &i.Created
		}
		if f := i.Facts; f != nil {
			t.Facts = &facts{f.Processes, f.CgroupVersion, f.Seccomp, f.Filters, f.NoNewPrivs, fmt.Sprintf("%016x", f.CapEff), f.Capabilities()}
		}
		out.Targets = append(out.Targets, t)
	}
	return printJSON(w, out)
}

// printJSON prints v indented, in ASCII where it matters: encoding/json lets
// control characters through that are above 0x7f, and those that turn the
// writing direction, and what is printed may come from a container.
func printJSON(w io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	var out strings.Builder
	for _, r := range string(b) {
		if r != '\n' && printable("."+string(r)+".") != "."+string(r)+"." {
			fmt.Fprintf(&out, "\\u%04x", r)
			continue
		}
		out.WriteRune(r)
	}
	_, err = fmt.Fprintln(w, out.String())
	return err
}
