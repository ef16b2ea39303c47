package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"speaker/trace/proc"
)

// dropLine has the terminal's other end go without a word, as when ssh is cut: its
// kernel hangs up, and nobody says anything to speaker before.
func (u *user) dropLine() {
	u.t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(u.tmux("display-message", "-p", "#{pid}")))
	if err != nil {
		u.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		u.t.Fatal(err)
	}
}

var holdRow = regexp.MustCompile(`(?m)^(\S*demo\S*) +pid (\d+) +(\w+) +alive`)

// dropped cuts the line, and finds the hold of the demo in place as it was, and its
// cgroup.
func (u *user) dropped(mode string) (h *held, cgroup string) {
	u.t.Helper()
	u.dropLine()
	h = &held{}
	eventuallyWithin(u.t, onScreen, "the hold to be listed in "+mode, func() bool {
		for _, m := range holdRow.FindAllStringSubmatch(output(u.t, speaker(u.t, "hold")), -1) {
			for _, left := range u.left() {
				if left.Name == m[1] && m[3] == mode {
					h.name, h.pid, cgroup = m[1], int(number(u.t, m[2])), left.CgroupPath
				}
			}
		}
		return h.name != ""
	})
	eventuallyWithin(u.t, onScreen, "the demo to listen", func() bool {
		if w := proc.ListenWaits(tree(u.t, h.pid)); len(w) > 0 {
			h.addr = strings.TrimPrefix(w[0].Addr, "tcp ")
		}
		return h.addr != ""
	})
	h.serves(u.t)
	return h, cgroup
}

// reload makes the demo's administrative request, which needs what is removed.
func (h *held) reload() chan string {
	got := make(chan string, 1)
	c := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialIn(ctx, h.pid, h.addr) }}}
	go func() {
		r, err := c.Get("http://demo/admin/reload")
		if err != nil {
			got <- err.Error()
			return
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		got <- r.Status + " " + string(b)
	}()
	return got
}

// The line drops while the demo boots under a hold, while calls are denied, and while
// one waits for an answer: the demo serves on each time, and the next screen shows what
// stands and what is asked.
func TestLineDrops(t *testing.T) {
	u := sitDown(t, 80, 24, "demo")
	u.sees("a accepts the proposed split")
	u.press("a")
	u.sees("the proposed split is accepted")
	u.press("H")
	u.button("Boot and hold")
	u.sees("applied: hold: boot (all allowed)")
	h, cgroup := u.dropped("boot")

	again := func() *user {
		t.Helper()
		v := sitDown(t, 80, 24, "watch", "cgroup:"+cgroup)
		v.name = u.name // one terminal after the other
		return v
	}
	v := again()
	v.sees("applied: hold: boot (all allowed)")
	v.press("c")
	v.button("Deny removed calls")
	v.sees("applied: hold: run")
	v.press("K")
	v.sees("kept")
	v.dropLine()
	h.want(t, "deny")
	h.serves(t)
	if got := <-h.reload(); !strings.Contains(got, "was refused") {
		t.Errorf("the reload, denied: %s", got)
	}

	v = again()
	v.sees("applied: hold: run (removed calls denied)")
	v.press("C")
	v.sees("Cross the split, and ask")
	v.press("C-u")
	v.press("-l", "60s")
	v.press("Enter")
	v.press("Enter")
	v.button("Ask about removed calls")
	v.press("K")
	v.sees("kept")
	got := h.reload()
	first := v.seesMatch(`Allow (\w+)\?`)[1]
	v.dropLine()
	h.want(t, "ask")
	if out := output(t, speaker(t, "hold", h.name)); !strings.Contains(out, "question 1: "+first) {
		t.Errorf("the question is not told: %s", out)
	}

	v = again()
	v.sees("Allow " + first + "?")
	v.patiently("the answer to be taken", func(s string) bool { return !strings.Contains(s, "Allow "+first+"?") }, "o")
	h.want(t, "allow", "allow") // it asks for more
	if text := <-got; !strings.HasPrefix(text, "200 ") {
		t.Errorf("the reload, allowed: %s", text)
	}
	h.serves(t)
	v.sees("applied: hold: undone (all allowed)")
}
