package policy

import (
	"slices"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	serve := saw("accept4", "read", "write")
	idle := slices.Clone(serve)
	serve[0].Count = leastSeen
	stopped := func(more Observed) Observed {
		obs := Observed{Boot: saw("bind"), Run: serve, Stop: saw("write")}
		for ph, uses := range more {
			obs[ph] = append(slices.Clone(obs[ph]), uses...)
		}
		return obs
	}
	for _, tt := range []struct {
		name  string
		obs   Observed
		edits []Edit
		want  []string // "block", "hold" (blocks a hold) or "warn", then a part of the text, then the calls
	}{
		{name: "nothing to say", obs: stopped(nil)},
		{name: "recorded while idle", obs: Observed{Run: idle, Stop: saw("write")},
			want: []string{"warn run was hardly seen: 6 calls in all []"}},
		{name: "nothing recorded", want: []string{
			"block nothing that run allows was seen in run []",
			"warn no stop was recorded []",
		}},
		{name: "run never seen", obs: Observed{Boot: saw("openat"), Stop: saw("kill")},
			want: []string{"block nothing that run allows was seen in run []"}},
		{name: "run never seen, but allowed by hand", obs: Observed{Boot: saw("openat"), Stop: saw("kill")}, edits: []Edit{edit(OpAllow, "openat", Run)},
			want: []string{"warn run was hardly seen: 0 calls in all []"}},
		{name: "allowed by hand in stop alone", obs: Observed{Boot: saw("openat"), Stop: saw("kill")}, edits: []Edit{edit(OpAllow, "unlink", Stop)},
			want: []string{"block nothing that run allows was seen in run []"}},
		{name: "all that was seen in run is denied", obs: Observed{Run: saw("read"), Stop: saw("kill")}, edits: []Edit{edit(OpDeny, "read", Run)},
			want: []string{"block nothing that run allows was seen in run []", "warn an exported profile allows calls that are denied by hand [read]"}},
		{name: "an essential is denied", obs: stopped(nil), edits: []Edit{edit(OpDeny, "exit_group", Run)},
			want: []string{"block run denies exit_group: a process that cannot end [exit_group]"}},
		{name: "an essential is denied in boot", obs: stopped(nil), edits: []Edit{edit(OpDeny, "exit", Boot)},
			want: []string{"block run denies exit: [exit]"}},
		{name: "seccomp in run", obs: stopped(Observed{Run: saw("seccomp")}),
			want: []string{"hold run allows seccomp: should the keeper of a hold be killed [seccomp]"}},
		{name: "seccomp in boot only", obs: stopped(Observed{Boot: saw("seccomp")})},
		{name: "io_uring in run", obs: stopped(Observed{Run: saw("io_uring_enter", "io_uring_setup")}),
			want: []string{"block run allows io_uring [io_uring_setup io_uring_enter]"}},
		{name: "io_uring in boot", obs: stopped(Observed{Boot: saw("io_uring_setup")}),
			want: []string{"warn boot allows io_uring [io_uring_setup]"}},
		{name: "a successor is denied that libraries insist on", obs: stopped(Observed{Boot: saw("statx"), Run: saw("newfstatat")}),
			want: []string{"warn run answers EPERM to statx and allows newfstatat: [statx]"}},
		{name: "a successor is allowed too", obs: stopped(Observed{Run: saw("statx", "newfstatat")})},
		{name: "a successor that was never seen", obs: stopped(Observed{Run: saw("newfstatat")})},
		{name: "all of the family is denied", obs: stopped(Observed{Boot: saw("statx", "newfstatat")})},
		{name: "clone, and clone3 answered ENOSYS", obs: stopped(Observed{Boot: saw("clone3"), Run: saw("clone")})},
		{name: "clone3 without clone", obs: stopped(Observed{Run: saw("clone3")}),
			want: []string{"warn run allows clone3 and not clone: [clone]", "warn run allows calls that Docker's default profile denies [clone3]"}},
		{name: "openat without open", obs: stopped(Observed{Boot: saw("open"), Run: saw("openat")})},
		{name: "wider than Docker's default", obs: stopped(Observed{Run: saw("mount", "#999")}),
			want: []string{"warn run allows calls that Docker's default profile denies [mount #999]"}},
		{name: "a call of the container runtime denied by hand", obs: stopped(Observed{Boot: saw("prctl")}), edits: []Edit{edit(OpDeny, "prctl", Boot), edit(OpDeny, "bind", Run)},
			want: []string{"warn an exported profile allows calls that are denied by hand: the container runtime makes them between loading the filter and starting the program (measured: runc 1.1.5, crun 1.8.1) [prctl]"}},
		{name: "a call of the container runtime that only boot needs", obs: stopped(Observed{Boot: saw("prctl")})},
		{name: "stop left out", obs: stopped(Observed{Stop: saw("unlink")}), edits: []Edit{edit(OpLeaveOut, "", Stop)},
			want: []string{"warn run denies calls that were seen when the program stopped [unlink]"}},
		{name: "stop left out, nothing lost", obs: stopped(nil), edits: []Edit{edit(OpLeaveOut, "", Stop)}},
		{name: "part of stop denied", obs: stopped(Observed{Stop: saw("unlink")}), edits: []Edit{edit(OpDeny, "unlink", Run)},
			want: []string{"warn run denies calls that were seen when the program stopped [unlink]"}},
		{name: "exec left out", obs: stopped(Observed{Exec: saw("read", "getcwd", "openat")}),
			want: []string{"warn run denies calls of processes that entered later [getcwd openat]"}},
		{name: "exec included", obs: stopped(Observed{Exec: saw("getcwd")}), edits: []Edit{edit(OpInclude, "", Exec)}},
		{name: "a reload was marked", obs: stopped(Observed{Admin: saw("read", "rename")})},
		{name: "admin left out", obs: stopped(Observed{Admin: saw("read", "rename")}), edits: []Edit{edit(OpLeaveOut, "", Admin)},
			want: []string{"warn run denies calls of administrative intervals: the next reload fails [rename]"}},
		{name: "part of admin denied", obs: stopped(Observed{Admin: saw("rename", "bind")}), edits: []Edit{edit(OpDeny, "bind", Run)},
			want: []string{"warn run denies calls of administrative intervals [bind]"}},
		{name: "32-bit calls", obs: stopped(Observed{Boot: saw("i386:read")}),
			want: []string{"warn i386 calls are in use [i386:restart_syscall i386:exit i386:read i386:sigreturn i386:rt_sigreturn i386:exit_group]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if Native() != X86_64 {
				t.Skip("foreign ABIs are those of x86_64")
			}
			got := Derive(tt.obs, tt.edits).Warnings()
			if len(got) != len(tt.want) {
				t.Fatalf("got %d warnings: %+v, want %q", len(got), got, tt.want)
			}
			for i, w := range got {
				checkWarning(t, w, tt.want[i])
			}
		})
	}
}

func checkWarning(t *testing.T, w Warning, want string) {
	t.Helper()
	kind, rest, _ := strings.Cut(want, " ")
	text, calls, _ := strings.Cut(rest, " [")
	var names []string
	for _, c := range w.Calls {
		names = append(names, c.String())
	}
	if w.Block != (kind == "block") || w.BlockHold != (kind == "hold") || !strings.Contains(w.Text, text) || strings.Join(names, " ")+"]" != calls {
		t.Errorf("got %+v %q, want %q", w, names, want)
	}
	if w.Remedy == "" {
		t.Errorf("%q names no remedy", w.Text)
	}
}

// Blocking warnings come first, so that a short screen shows them.
func TestWarningsOrder(t *testing.T) {
	p := Derive(Observed{Run: saw("seccomp", "read")}, []Edit{edit(OpDeny, "exit", Run)})
	ws := p.Warnings()
	if len(ws) != 4 || !ws[0].Block || ws[1].Block || ws[2].Block || ws[3].Block {
		t.Errorf("got %+v", ws)
	}
}
