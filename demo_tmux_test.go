package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The demo is driven as a new user drives it: by keys, at 80x24, believing what
// the screen says and nothing else.
func TestDemoInTerminal(t *testing.T) {
	u := sitDown(t, 80, 24, "demo")
	u.sees("a accepts the proposed split")
	for _, part := range []struct {
		name string
		play func(*user)
	}{
		{"start", (*user).startIsSeen}, {"split", (*user).splitLiesAfterListen}, {"move", (*user).movingChangesTheSets},
		{"edit", (*user).editIsUndone}, {"hold", (*user).holdDeniesAndUndoes}, {"seal", (*user).sealIsProved},
		{"quit", (*user).quitLeavesItSealed},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.play(u.as(t)) }) {
			return // the parts build on each other
		}
	}
}

// startIsSeen finds the first calls, and nothing missing before them.
func (u *user) startIsSeen() {
	u.t.Helper()
	u.press("5")
	u.sees("[5 Log")
	u.sees("complete: nothing is known to be missing")
	u.lacks("start was not seen")
	u.press("4")
	u.sees("[4 Marks")
	u.press("g")
	u.seesMatch(`s start +\d+ demo-server +/bin/demo-server`)
	u.press("2")
	u.filter("execve")
	u.seesMatch(`execve +yes +no .* seen init,boot`)
	u.unfilter()
}

var listenRow = regexp.MustCompile(`(\d+\.\d+)s listen +\d+ demo-server`)
var proposedAt = regexp.MustCompile(`a accepts the proposed split at (\d+\.\d+)s`)

// splitLiesAfterListen compares the proposal with the mark of listen, and takes
// it.
func (u *user) splitLiesAfterListen() {
	u.t.Helper()
	u.press("4")
	u.filter("listen")
	listen := u.seesMatch(listenRow.String())
	split := u.seesMatch(proposedAt.String())
	at, from := number(u.t, split[1]), number(u.t, listen[1])
	if at <= from || at > from+30 {
		u.t.Errorf("the proposed split is at %g s, and listen at %g s", at, from)
	}
	u.unfilter()
	u.press("a")
	u.sees("the proposed split is accepted")
	u.press("2")
	u.sees("as proposed")
}

var setsRow = regexp.MustCompile(`boot \d+  run (\d+)  removed (\d+)`)

// movingChangesTheSets moves the split back into boot, and takes the proposal
// again.
func (u *user) movingChangesTheSets() {
	u.t.Helper()
	removed := number(u.t, u.seesMatch(setsRow.String())[2])
	fewer := func(screen string) bool {
		m := setsRow.FindStringSubmatch(screen)
		return m != nil && number(u.t, m[2]) < removed/2
	}
	for i := 0; !fewer(u.screen()); i++ {
		if i == 200 {
			u.fail("the split was moved by 200 columns, and run has not grown")
		}
		was := u.screen()
		u.press("[")
		u.until("the split to move", func(s string) bool { return s != was })
	}
	u.sees("split set at")
	u.press("a")
	u.until("the sets of the proposal", func(s string) bool {
		m := setsRow.FindStringSubmatch(s)
		return m != nil && number(u.t, m[2]) > removed/2 && strings.Contains(s, "as proposed")
	})
}

// editIsUndone denies a call by hand and takes that back.
func (u *user) editIsUndone() {
	u.t.Helper()
	u.filter("accept4")
	u.seesMatch(`accept4 +yes +yes`)
	u.press("Space")
	u.seesMatch(`accept4 +yes +no`)
	u.press("u")
	u.seesMatch(`accept4 +yes +yes`)
	u.unfilter()
}

// holdAndCross boots the demo again under the two-phase filter, and crosses the split.
func (u *user) holdAndCross() {
	u.t.Helper()
	u.press("H")
	u.button("Boot and hold")
	u.sees("applied: hold: boot (all allowed)")
	u.served(10)
	u.sees("a accepts the proposed split")
	u.press("c")
	u.button("Deny removed calls")
	u.sees("applied: hold: run") // and how long it waits to be kept
}

// holdDeniesAndUndoes boots the demo again under the two-phase filter, crosses
// the split, and sees a call of boot denied while no request is lost; undone,
// the same request is answered.
func (u *user) holdDeniesAndUndoes() {
	u.t.Helper()
	u.holdAndCross()

	u.reloadFailsAsForetold("It fails if it needs one of these")
	u.seesMatch(`Denied since something was applied:`)

	u.press("z")
	u.sees("applied: hold: undone (all allowed)")
	u.press("L")
	u.until("no failure to be foretold", func(s string) bool { return strings.Contains(inBox(s), "it should be answered") })
	u.button("Send")
	u.sees("administrative request: reloaded")
	u.dismiss("The answer")

	u.press("c")
	u.button("Deny removed calls")
	u.sees("applied: hold: run") // and how long it waits to be kept
}

// sealIsProved makes the hold permanent; what the screen knows of the request
// by now it foretells call by call.
func (u *user) sealIsProved() {
	u.t.Helper()
	u.press("S")
	u.typeWord("seal")
	u.sees("Sealed: proved")
	proof := u.seesMatch(`Proved: (\d+) threads of (\d+) processes`)
	if number(u.t, proof[1]) < number(u.t, proof[2]) || proof[2] == "0" {
		u.t.Errorf("the proof speaks of %s threads of %s processes", proof[1], proof[2])
	}
	u.dismiss("Sealed: proved")
	u.sees("applied: sealed")
	u.reloadFailsAsForetold("Foretold: it will fail")
}

var refused = regexp.MustCompile(`reload failed: (\w+) was refused`)

// reloadFailsAsForetold reads what the dialog foretells, sends the request, and
// wants the call that failed among those foretold, and serving to go on.
func (u *user) reloadFailsAsForetold(word string) {
	u.t.Helper()
	u.press("L")
	u.until(word, func(s string) bool { return strings.Contains(inBox(s), word) })
	foretold := inBox(u.screen())
	if !strings.Contains(foretold, "Each answers EPERM") || !strings.Contains(foretold, "Serving goes on") {
		u.fail("it is not foretold how it fails")
	}
	u.button("Send")
	u.sees("The answer")
	m := refused.FindStringSubmatch(inBox(u.screen()))
	if m == nil {
		u.fail("the request did not fail, or does not say by which call")
	}
	if !regexp.MustCompile(`\b` + m[1] + `\b`).MatchString(foretold) {
		u.t.Errorf("it failed by %s, which was not foretold:\n%s", m[1], foretold)
	}
	u.dismiss("The answer")
	u.seesMatch(fmt.Sprintf(`\b%s +demo-server +pid \d+ +\d+ times?, EPERM`, m[1]))
	u.served(10)
}

var loadRow = regexp.MustCompile(`demo load: (\d+) answered, (\d+) failed`)

// served waits until so many more requests of the load were answered; none may
// have failed.
func (u *user) served(more float64) {
	u.t.Helper()
	u.press("3")
	from := number(u.t, u.seesMatch(loadRow.String())[1])
	u.until("more requests to be answered", func(s string) bool {
		m := loadRow.FindStringSubmatch(s)
		if m != nil && m[2] != "0" {
			u.fail("a request of the load has failed")
		}
		return m != nil && number(u.t, m[1]) >= from+more
	})
}

// quitLeavesItSealed quits; the terminal is as before, and says what was kept
// and what goes on.
func (u *user) quitLeavesItSealed() {
	u.t.Helper()
	u.press("q")
	u.sees("exit status 0")
	u.sees("demo goes on running (sealed), pid ")
	files, err := filepath.Glob(filepath.Join(u.dir, "demo-*.speaker"))
	if err != nil || len(files) != 2 {
		u.t.Errorf("the recordings of two boots are %v, %v", files, err)
	}
	for _, f := range files {
		if !strings.Contains(u.joined(), "session saved: "+f) {
			u.t.Errorf("it is not said that %s was saved", f)
		}
	}
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Closing the terminal at any time ends an unapplied demo, whole.
func TestTerminalIsClosed(t *testing.T) {
	u := sitDown(t, 80, 24, "demo")
	u.sees("phase boot")
	if len(u.left()) == 0 {
		t.Fatal("no cgroup of the demo was found, so this test would not see one that stays")
	}
	u.hangUp()
	eventuallyWithin(t, 20*time.Second, "the demo to be gone", func() bool { return len(u.left()) == 0 })
}

// The list of targets needs no Docker, and fits a small terminal.
func TestPickerInTerminal(t *testing.T) {
	for _, size := range []struct{ w, h int }{{80, 24}, {40, 10}} {
		t.Run(fmt.Sprintf("%dx%d", size.w, size.h), func(t *testing.T) {
			u := sitDown(t, size.w, size.h, "--docker-host", "unix:///nonexistent")
			u.seesMatch(`(?m)^\W*demo\b`)
			u.seesMatch(`(?i)docker`)
			u.press("?")
			u.sees("Keys")
			u.press("Escape")
			u.gone("Close")
			u.resize(40, 10)
			u.resize(20, 5)
			u.resize(size.w, size.h)
			u.seesMatch(`(?m)^\W*demo\b`)
			u.press("q")
			u.sees("exit status 0")
		})
	}
}
