package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/policy"
	"speaker/tui/bench"
)

// doSets carries out what the table of sets can do.
func (m *model) doSets(a action) tea.Cmd {
	switch a {
	case actSort:
		m.sets.order = (m.sets.order + 1) % orders
		m.sets.cursor, m.sets.top = 0, 0 // what the order puts first is why it was asked for
		m.say(plainLine, "sorted by "+m.sets.order.String())
	case actReverse:
		m.sets.reverse = !m.sets.reverse
		m.sets.cursor, m.sets.top = 0, 0
	case actOnlyRemoved:
		m.sets.removed = !m.sets.removed
		m.sets.cursor = 0
	case actToggleRun:
		return m.toggle(policy.Run)
	case actToggleBoot:
		return m.toggle(policy.Boot)
	case actToggleFamily:
		return m.toggleFamily()
	case actStopPhase:
		return m.togglePhase(policy.Stop)
	case actExecPhase:
		return m.togglePhase(policy.Exec)
	case actWhy:
		if r, ok := m.sets.chosen(m.snap); ok {
			first, sampled := m.work.Session().FirstSample(r.Call)
			lines := append(does(r.Call), explain(m.snap, r.Entry, first, sampled)...)
			x := explainedOf(m.work.Session(), m.snap, r.Entry, nil)
			lines = append(lines, called(m.work.Session(), r.Call, m.snap)...)
			lines = append(lines, proposedLines(x.proposal)...)
			x.lines = append(lines, about(r.Call)...)
			m.open(x, false)
		}
	case actWho:
		return m.switchWho()
	case actAnswers:
		m.open(m.answersForm(), false)
	}
	return nil
}

// toggle allows or denies the call under the cursor in a phase. What it is now
// is looked up when the job runs, so that two quick presses undo each other.
func (m *model) toggle(ph policy.Phase) tea.Cmd {
	r, ok := m.sets.chosen(m.snap)
	if !ok {
		return nil
	}
	w, call, sp, now := m.work, r.Call, m.snap.split, m.now
	return tea.Batch(m.commit(), m.enqueue(job{title: "edit " + call.String(), run: func(context.Context) (func(*model) tea.Cmd, error) {
		e, _ := w.Session().Policy(sp).Entry(call)
		op, word := policy.OpAllow, "allowed"
		if ph == policy.Run && e.Run || ph == policy.Boot && e.Boot {
			op, word = policy.OpDeny, "denied"
		}
		if err := w.Edit(policy.Edit{At: now(), Op: op, Call: call, Phase: ph}); err != nil {
			return nil, err
		}
		return func(m *model) tea.Cmd {
			m.say(plainLine, fmt.Sprintf("%s is %s in %s; u undoes it", call, word, ph))
			return nil
		}, nil
	}}))
}

// toggleFamily allows or denies in run the call under the cursor and all that do
// the same job. It is one edit, so that one undo takes it back.
func (m *model) toggleFamily() tea.Cmd {
	r, ok := m.sets.chosen(m.snap)
	if !ok {
		return nil
	}
	w, call, sp, now := m.work, r.Call, m.snap.split, m.now
	return tea.Batch(m.commit(), m.enqueue(job{title: "edit " + call.String() + "'s family", run: func(context.Context) (func(*model) tea.Cmd, error) {
		e, _ := w.Session().Policy(sp).Entry(call)
		op, word := policy.OpAllowFamily, "allowed"
		if e.Run {
			op, word = policy.OpDenyFamily, "denied"
		}
		if err := w.Edit(policy.Edit{At: now(), Op: op, Call: call, Phase: policy.Run}); err != nil {
			return nil, err
		}
		return func(m *model) tea.Cmd {
			m.say(plainLine, fmt.Sprintf("%s in run: %s; u undoes it", word, call.Family()))
			return nil
		}, nil
	}}))
}

// togglePhase includes what was seen in stop, exec or admin, or leaves it out.
func (m *model) togglePhase(ph policy.Phase) tea.Cmd {
	w, sp, now := m.work, m.snap.split, m.now
	return m.enqueue(job{title: "edit " + ph.String(), run: func(context.Context) (func(*model) tea.Cmd, error) {
		op, word := policy.OpInclude, "included"
		if w.Session().Policy(sp).Included(ph) {
			op, word = policy.OpLeaveOut, "left out"
		}
		n := len(w.Session().Policy(sp).Alone(ph))
		if err := w.Edit(policy.Edit{At: now(), Op: op, Phase: ph}); err != nil {
			return nil, err
		}
		return func(m *model) tea.Cmd {
			m.say(plainLine, fmt.Sprintf("what was seen in %s is %s: %s in run; u undoes it", ph, word, change(op, n)))
			return nil
		}, nil
	}})
}

// change says how the number of calls in run changes.
func change(op policy.EditOp, n int) string {
	more := "fewer"
	if op == policy.OpInclude {
		more = "more"
	}
	if n == 1 {
		return "1 call " + more
	}
	return fmt.Sprintf("%d calls %s", n, more)
}

// doSession carries out what the session can do.
func (m *model) doSession(a action) tea.Cmd {
	w := m.work
	switch a {
	case actUndo:
		return m.quick("undo", "the last edit is undone; U redoes it", w.UndoEdit)
	case actRedo:
		return m.quick("redo", "redone", w.RedoEdit)
	case actUserMark:
		m.open(&form{title: "Mark this moment", yes: "Mark", fields: []formField{{label: "text"}},
			then: func(m *model, v []string) tea.Cmd {
				return m.quick("mark", "marked", func() error { return w.Mark(v[0]) })
			}}, false)
	case actSave:
		m.open(&form{title: "Save the session", yes: "Save", note: "The whole session as one file; nothing is overwritten.",
			fields: []formField{{label: "file", text: newInput(m.fileName("speaker"))}},
			then: func(m *model, v []string) tea.Cmd {
				return tea.Batch(m.commit(), m.quick("save", "saved as "+v[0], func() error { return w.SaveAs(v[0]) }))
			}}, false)
	case actExport:
		m.open(m.exportForm(w), false)
	case actReboot:
		return m.reboot()
	case actWatchAgain:
		if m.snap.state.Again == 0 {
			m.say(warn, "it was not started again: b boots it, esc goes back to the list")
			return nil
		}
		return tea.Batch(m.commit(), m.become("watch "+m.name()+" again", w.WatchAgain))
	}
	return nil
}

// export writes the policy to a file, and tells what the format cannot say.
func (m *model) export(w bench.Work, path, format string, ph policy.Phase) tea.Cmd {
	return m.enqueue(job{title: "export", run: func(context.Context) (func(*model) tea.Cmd, error) {
		notes, err := w.Export(path, format, ph)
		if err != nil {
			return nil, err
		}
		return func(m *model) tea.Cmd {
			m.say(good, strings.Join(append([]string{"exported to " + path}, notes...), "; but "))
			return nil
		}, nil
	}})
}

// exportForm asks for format, phase and file. The file's name follows the
// choices until it is edited by hand.
func (m *model) exportForm(w bench.Work) *form {
	name := m.fileName("")
	path := func(fields []formField) string {
		ext := ".json"
		switch fields[0].value() {
		case "text":
			ext = ".txt"
		case "systemd":
			ext = ".conf"
		case "kubernetes", "spo":
			ext = ".yaml"
		}
		return name + "-" + fields[1].value() + ext
	}
	f := &form{title: "Export the policy", yes: "Export",
		note: "docker, podman: for --security-opt seccomp=FILE; systemd: a drop-in; text: one call a line. run is the narrow filter, boot the wide one. A start needs boot: use boot unless speaker narrows it.",
		fields: []formField{
			{label: "format", choices: []string{"docker", "text", "podman", "oci", "cri", "kubernetes", "spo", "systemd"}},
			{label: "phase", choices: []string{"boot", "run"}},
			{label: "file"},
		},
		changed: func(fields []formField, _ int) {
			if !fields[2].edited {
				fields[2].text = newInput(path(fields))
			}
		},
		then: func(m *model, v []string) tea.Cmd {
			ph := policy.Boot
			if v[1] == "run" {
				ph = policy.Run
			}
			return tea.Batch(m.commit(), m.export(w, v[2], v[0], ph))
		}}
	f.changed(f.fields, 0)
	if m.snap.standing != decided {
		f.note = "No split is decided yet, so no policy: accept the proposed one (a) or set one ([ ]) first. " + f.note
	}
	return f
}

// fileName proposes a file in the working folder, made of what is harmless in
// the target's name.
func (m *model) fileName(ext string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, m.snap.state.Item.Name)
	if len(name) > 40 {
		name = name[:40]
	}
	if name == "" {
		name = "session"
	}
	if ext == "" {
		return name
	}
	return name + "-" + m.now().Format("20060102-150405") + "." + ext
}

// reboot boots the target again under a new recording, after asking.
func (m *model) reboot() tea.Cmd {
	t, w := m.snap.state.Item, m.work
	if m.snap.state.Mode == bench.File {
		m.say(warn, bench.ErrFile.Error())
		return nil
	}
	then := func(m *model) tea.Cmd {
		return tea.Batch(m.commit(), m.become("boot "+t.Name+" again", w.Reboot))
	}
	if m.snap.state.Ended {
		return then(m)
	}
	return m.askBoot(t, then)
}

// copy puts the line under the cursor, or all lines, on the terminal's
// clipboard (OSC 52) and into a file of its own, for terminals that have none.
func (m *model) copy(all bool) tea.Cmd {
	r, l := m.listRows()
	shown, _ := r.keep(l.filter)
	var b strings.Builder
	for i := range shown.n {
		if all || shown.noLine || i == l.cursor {
			b.WriteString(strings.TrimSpace(shown.text(i, 240)) + "\n")
		}
	}
	text := b.String()
	if text == "" {
		m.say(warn, "nothing to copy")
		return nil
	}
	return tea.Batch(tea.SetClipboard(strings.TrimSuffix(text, "\n")), m.enqueue(job{title: "copy", run: func(context.Context) (func(*model) tea.Cmd, error) {
		path, err := copyFile(text)
		if err != nil {
			return nil, err
		}
		return func(m *model) tea.Cmd {
			m.say(good, "copied to the clipboard and to "+path)
			return nil
		}, nil
	}}))
}

// copyFile writes text into a new file that only the user can read.
func copyFile(text string) (string, error) {
	f, err := os.CreateTemp("", "speaker-copy-"+time.Now().Format("150405")+"-*.txt")
	if err != nil {
		return "", fmt.Errorf("make copy file: %w", err)
	}
	_, err = f.WriteString(text)
	return f.Name(), errors.Join(err, f.Close())
}

// listRows are the rows of the list in focus.
func (m *model) listRows() (rows, *list) {
	if m.work == nil {
		return m.picker.rows(m.d), &m.picker.list
	}
	if m.snap == nil {
		return rows{}, &list{}
	}
	switch m.shown() {
	case liveID:
		return m.live.rows(m.d, m.snap), &m.live.list
	case setsID:
		return m.sets.rows(m.d, m.snap), &m.sets.list
	case testID:
		return m.d.textRows(m.try.lines(m.snap, m.reloaded), 240), &m.try.list
	case marksID:
		return m.marks.rows(m.d, m.snap), &m.marks.list
	}
	return m.log.rows(m.d, m.snap, 240), &m.log.list
}
