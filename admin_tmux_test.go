package main

import (
	"fmt"
	"strings"
	"testing"
)

// A reload of the demo is marked by keys, and left out of run: how much that gains,
// and that the next one fails, is on screen before it does.
func TestReloadInTerminal(t *testing.T) {
	for _, size := range []struct{ w, h int }{{80, 24}, {200, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size.w, size.h), func(t *testing.T) {
			u := sitDown(t, size.w, size.h, "demo")
			u.sees("a accepts the proposed split")
			u.press("a")
			u.sees("the proposed split is accepted")
			u.reloadIsMarked()
			u.leavingItOutShrinksRun()
			u.heldItFailsAsForetold()
			u.press("z")
			u.sees("applied: hold: undone (all allowed)")
			u.press("L")
			u.until("no failure to be foretold", func(s string) bool { return strings.Contains(inBox(s), "it should be answered") })
			u.button("Send")
			u.sees("administrative request: reloaded")
			u.dismiss("The answer")
		})
	}
}

// reloadIsMarked has the demo reload between ( and ).
func (u *user) reloadIsMarked() {
	u.t.Helper()
	u.press("(")
	u.sees("a reload is marked from now")
	u.sees("phase admin")
	u.press("L")
	u.until("what becomes of its calls", func(s string) bool { return strings.Contains(inBox(s), "recorded as admin") })
	u.button("Send")
	u.sees("administrative request: reloaded")
	u.dismiss("The answer")
	u.press(")")
	u.sees("the reload ends now")
	u.sees("phase run")
	u.press("2")
	u.seesMatch(`admin in [1-9]`)
}

// leavingItOutShrinksRun leaves admin out: run is smaller by what is said, and the
// pane that tests says what breaks.
func (u *user) leavingItOutShrinksRun() {
	u.t.Helper()
	before := number(u.t, u.seesMatch(setsRow.String())[1])
	u.press("O")
	less := number(u.t, u.seesMatch(`what was seen in admin is left out: (\d+) calls? fewer in run`)[1])
	if less < 1 {
		u.t.Errorf("leaving it out gains %g calls", less)
	}
	u.until("the smaller run", func(s string) bool {
		m := setsRow.FindStringSubmatch(s)
		return m != nil && number(u.t, m[1]) == before-less
	})
	u.press("3")
	u.sees(fmt.Sprintf("run denies %g call", less))
	u.press("L")
	u.until("the failure to be foretold", func(s string) bool { return strings.Contains(inBox(s), "under the run set of now it will fail") })
	u.press("Escape")
	u.gone("Send the administrative request?")
}

// heldItFailsAsForetold boots it under these sets, and crosses the split.
func (u *user) heldItFailsAsForetold() {
	u.t.Helper()
	u.holdAndCross()
	u.reloadFailsAsForetold("Foretold: it will fail")
}
