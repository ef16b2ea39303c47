package session

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// What follows proposes no split of its own: facts that speak for or against one
// that was found otherwise.

// supporting lists what agrees, or does not, with a split at at that the server
// with pid (0: not known) is the reason for.
func (f *facts) supporting(at time.Duration, pid uint32) []Evidence {
	var out []Evidence
	from := always
	if setup := f.setup(); len(setup) > 0 {
		from = setup[len(setup)-1].ended
	}
	first := func(kind, what string) {
		for _, m := range f.marks {
			if m.Kind == kind && m.At > from {
				out = append(out, Evidence{m.At, m.At <= at+quietWait, fmt.Sprintf("%s %s", named(m), what)})
				return
			}
		}
	}
	first(MarkListen, "listens")
	first(MarkAccept, "accepts for the first time")
	if e := f.lastExec(at); e != nil {
		out = append(out, *e)
	}
	out = append(out, f.privileges(at)...)
	if e := f.script(at, pid); e != nil {
		out = append(out, *e)
	}
	return out
}

// lastExec names the last program that was started before a split: a program
// that starts others does so while it boots.
func (f *facts) lastExec(at time.Duration) *Evidence {
	var last *Mark
	for i, m := range f.marks {
		if m.Kind == MarkExec && m.At <= at {
			last = &f.marks[i]
		}
	}
	if last == nil {
		return nil
	}
	return &Evidence{last.At, true, fmt.Sprintf("the last exec before it: %s starts %s", named(*last), last.Text)}
}

// privileges tells of privileges given up: servers do so as the last thing before
// they serve.
func (f *facts) privileges(at time.Duration) []Evidence {
	var out []Evidence
	for _, k := range []struct{ kind, what string }{
		{MarkUID, "becomes another user"}, {MarkCaps, "gives up capabilities"}, {MarkNoNewPrivs, "sets no_new_privs"},
	} {
		var last *Mark
		for i, m := range f.marks {
			switch {
			case m.Kind == MarkStart: // until then it was the container's runtime
				last = nil
			case m.Kind == k.kind && m.At <= at+quietWait:
				last = &f.marks[i]
			}
		}
		if last != nil {
			out = append(out, Evidence{last.At, true, fmt.Sprintf("%s %s", named(*last), k.what)})
		}
	}
	return out
}

// isScript tells a script by its name: its exec has the name of the file, not of
// the shell that reads it.
func isScript(file string) bool {
	base := path.Base(file)
	return slices.Contains([]string{"sh", "bash", "dash", "ash", "busybox"}, base) ||
		strings.HasSuffix(base, ".sh") || strings.Contains(base, "entrypoint")
}

// script tells of a first process that is still a script: it may be setting up,
// with a server of its own that it will stop. Scripts end by becoming the server.
func (f *facts) script(at time.Duration, server uint32) *Evidence {
	var first *Mark
	for i, m := range f.marks {
		switch {
		case m.At > at || server == 0:
		case m.Kind == MarkStart:
			first = &f.marks[i]
		case first != nil && m.Kind == MarkExec && m.Pid == first.Pid:
			first = &f.marks[i]
		}
	}
	if first == nil || first.Pid == server || !isScript(first.Text) {
		return nil
	}
	return &Evidence{first.At, false, fmt.Sprintf("the first process is still %s: a script may start a server for its own set-up, and stop it", first.Text)}
}
