package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func probes(at time.Duration, name string) Mark { return Mark{At: at, Kind: MarkProbe, Text: name} }

func answers(at time.Duration, text string) Mark { return Mark{At: at, Kind: MarkReady, Text: text} }

// saysAll fails if the opinion does not say each text; one that begins with + or
// - is looked for in the evidence for or against.
func (o Opinion) saysAll(t *testing.T, texts []string) {
	t.Helper()
	all := o.How
	for _, e := range o.Evidence {
		all += "\n" + map[bool]string{true: "+", false: "-"}[e.For] + e.Text
	}
	for _, x := range texts {
		if !strings.Contains(all, x) {
			t.Errorf("%s does not say %q:\n%s", o.Detector, x, all)
		}
	}
}

type opined struct {
	script
	found, pending bool
	at             time.Duration
	confidence     string
	says           []string
}

// opine runs the cases of one detector.
func opine(t *testing.T, detector string, cases map[string]opined) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			all := c.session(t).Opinions(never)
			i := slices.IndexFunc(all, func(o Opinion) bool { return o.Detector == detector })
			o := all[i]
			if o.Found != c.found || o.Pending != c.pending || o.Found && (o.At != c.at || o.Confidence != c.confidence) {
				t.Errorf("found %v, pending %v, at %v (%s); want %v, %v, %v (%s)", o.Found, o.Pending, o.At, o.Confidence,
					c.found, c.pending, c.at, c.confidence)
			}
			o.saysAll(t, c.says)
		})
	}
}

func TestReadinessProbe(t *testing.T) {
	boot := until(2*sec, 50*ms) // the last at 1.95 s
	http := "http http://127.0.0.1:8080/health"
	opine(t, "readiness probe", map[string]opined{
		"nothing recorded": {script{}, false, false, 0, "", []string{"nothing was recorded"}},
		"none named":       {script{news: boot, length: 9 * sec}, false, false, 0, "", []string{"no readiness probe was named"}},
		"not answered yet": {
			script{news: boot, length: 9 * sec, marks: []Mark{probes(0, http)}},
			false, true, 0, "", []string{http + " has not been answered yet"},
		},
		"answered": {
			script{news: boot, length: 9 * sec, marks: []Mark{probes(0, http), answers(2500*ms, http+" answers 200")}},
			true, false, 2500 * ms, High, []string{"+" + http + " answers 200", "then 3s without a new call"},
		},
		"its first answer comes while workers still boot": { // haproxy
			script{news: append(slices.Clone(boot), 3*sec, 4200*ms, 5*sec), length: 12 * sec,
				marks: []Mark{probes(0, http), answers(2500*ms, http+" answers 200")}},
			true, false, 5 * sec, High, []string{"after"},
		},
		"answered, and not quiet yet": {
			script{news: boot, length: 5 * sec, marks: []Mark{probes(0, http), answers(2500*ms, http+" answers 200")}},
			false, true, 0, "", []string{"since then it has not gone 3s"},
		},
		"given up": {
			script{news: boot, length: 9 * sec, marks: []Mark{probes(0, http), {At: 8 * sec, Kind: MarkUnready, Text: http + " was not answered in 8s"}}},
			false, false, 0, "", []string{"-" + http + " was not answered in 8s"},
		},
		"two, the later counts": {
			script{news: boot, length: 9 * sec, marks: []Mark{probes(0, http), probes(0, "health"),
				answers(2500*ms, http+" answers 200"), answers(4*sec, "health turned healthy")}},
			true, false, 4 * sec, High, []string{"+health turned healthy", "+" + http},
		},
		"two, one is open": {
			script{news: boot, length: 9 * sec, marks: []Mark{probes(0, http), probes(0, "health"), answers(2500*ms, http+" answers 200")}},
			false, true, 0, "", []string{"health has not been answered yet"},
		},
		"two, one given up": {
			script{news: boot, length: 9 * sec, marks: []Mark{probes(0, http), probes(0, "health"), answers(2500*ms, http+" answers 200"),
				{At: 5 * sec, Kind: MarkUnready, Text: "health was not answered in 5s"}}},
			true, false, 2500 * ms, Medium, []string{"-health was not answered in 5s"},
		},
		"named again after it was given up": {
			script{news: boot, length: 9 * sec, marks: []Mark{probes(0, http), {At: 2 * sec, Kind: MarkUnready, Text: http + " is not asked any longer"},
				probes(3*sec, http)}},
			false, true, 0, "", []string{"has not been answered yet"},
		},
		"the answer of a set-up's server": { // postgres logs it twice
			script{news: append(slices.Clone(boot), 8*sec, 8100*ms), length: 30 * sec, marks: []Mark{
				probes(0, `log "ready"`), answers(2200*ms, `log "ready" was written`), waits(2100*ms, 9, "postgres"), exits(7*sec, 9),
				answers(8900*ms, `log "ready" was written`), waits(9*sec, 20, "postgres"),
			}},
			true, false, 9 * sec, High, []string{"+log"},
		},
		"only the set-up's server answered": {
			script{news: append(slices.Clone(boot), 8*sec, 8100*ms), length: 30 * sec, marks: []Mark{
				probes(0, http), answers(2200*ms, http+" answers 200"), waits(2100*ms, 9, "postgres"), exits(7*sec, 9), waits(9*sec, 20, "postgres"),
			}},
			false, true, 0, "", []string{"has not been answered yet"},
		},
		"a connection before it serves": { // Tomcat listens 8 s before
			script{news: until(9*sec, 2500*ms), length: 20 * sec, marks: []Mark{
				probes(0, "tcp 127.0.0.1:8080"), answers(sec, "tcp 127.0.0.1:8080 answers"), waits(9*sec, 9, "java"),
			}},
			true, false, 9 * sec, High, nil,
		},
		"a connection, and no thread waits": {
			script{news: until(9*sec, 2500*ms), length: 30 * sec, marks: []Mark{probes(0, "tcp 127.0.0.1:8080"), answers(sec, "tcp 127.0.0.1:8080 answers")}},
			true, false, 7500 * ms, Medium, []string{"-a connection shows only that somebody listens", "10s without a new call"},
		},
		"served before it was watched": {
			script{unseen: true, news: boot, length: 9 * sec, marks: []Mark{probes(0, http), answers(100*ms, http+" answers 200"+FirstAsking)}},
			true, false, 0, Medium, []string{"all that was seen is run", "-boot was not seen"},
		},
		"named late": {
			script{news: boot, length: 30 * sec, marks: []Mark{probes(20*sec, http), answers(20100*ms, http+" answers 200"+FirstAsking)}},
			false, false, 0, "", []string{"-" + http + " answers 200, at the first asking: since when is not known"},
		},
		"named as it boots": {
			script{news: boot, length: 30 * sec, marks: []Mark{probes(2200*ms, http), answers(2500*ms, http+" answers 200")}},
			true, false, 2500 * ms, High, nil,
		},
		"answers at once": {
			script{news: boot, length: 30 * sec, marks: []Mark{probes(0, http), answers(2500*ms, http+" answers 200"+FirstAsking)}},
			true, false, 2500 * ms, High, nil,
		},
		"named late, and it tells when": { // a log with times
			script{news: boot, length: 30 * sec, marks: []Mark{probes(20*sec, `log "ready"`), answers(2500*ms, `log "ready" was written`)}},
			true, false, 2500 * ms, High, nil,
		},
	})
}

func TestListeningWait(t *testing.T) {
	boot := until(2*sec, 50*ms)
	started := Mark{At: 0, Kind: MarkStart, Pid: 1, Comm: "docker-entrypoi", Text: "/usr/local/bin/docker-entrypoint.sh"}
	opine(t, "listening wait", map[string]opined{
		"nobody waits": {script{news: boot, length: 30 * sec}, false, false, 0, "", []string{"no thread was seen waiting"}},
		"not quiet yet": {script{news: boot, length: 4 * sec, marks: []Mark{waits(2100*ms, 9, "web")}},
			false, true, 0, "", []string{"has not gone 3s"}},
		"served": {script{news: boot, length: 9 * sec, marks: []Mark{waits(2100*ms, 9, "web")}}, true, false, 2100 * ms, High, nil},
		"the first process is still a script": {
			script{news: boot, length: 6 * sec, marks: []Mark{started, waits(2100*ms, 9, "postgres")}},
			true, false, 2100 * ms, Medium, []string{"-the first process is still /usr/local/bin/docker-entrypoint.sh"},
		},
		"the script has become the server": {
			script{news: boot, length: 6 * sec, marks: []Mark{started, {sec, MarkExec, 1, "postgres", "/usr/bin/postgres"}, waits(2100*ms, 1, "postgres")}},
			true, false, 2100 * ms, High, []string{"+the last exec before it: postgres (pid 1) starts /usr/bin/postgres"},
		},
		"privileges are dropped": {
			script{news: boot, length: 6 * sec, marks: []Mark{{sec, MarkUID, 9, "web", "user 33"}, {1100 * ms, MarkCaps, 9, "web", ""},
				{1200 * ms, MarkNoNewPrivs, 9, "web", ""}, waits(2100*ms, 9, "web")}},
			true, false, 2100 * ms, High, []string{"+web (pid 9) becomes another user", "+web (pid 9) gives up capabilities", "+web (pid 9) sets no_new_privs"},
		},
	})
}

func TestFlatCurve(t *testing.T) {
	boot := until(2*sec, 50*ms)
	opine(t, "flat curve", map[string]opined{
		"a batch job":       {script{news: boot, length: 30 * sec}, true, false, 1950 * ms, Low, []string{"10s without a new call"}},
		"too short":         {script{news: boot, length: 9 * sec}, false, false, 0, "", []string{"has not gone 10s"}},
		"nobody calls":      {script{length: 30 * sec}, false, false, 0, "", []string{"not seen to call"}},
		"no end of it":      {script{news: until(60*sec, 5*sec), length: 60 * sec}, false, false, 0, "", []string{"has not gone 10s"}},
		"a server, as well": {script{news: boot, length: 30 * sec, marks: []Mark{waits(2100*ms, 9, "web")}}, true, false, 1950 * ms, Low, nil},
	})
}

// What is proposed is what the weightiest detector has, and the others raise or
// lower the confidence.
func TestProposeWeighs(t *testing.T) {
	boot := until(2*sec, 50*ms)
	http := "http http://127.0.0.1:8080/"
	named, up := probes(0, http), answers(2500*ms, http+" answers 200")
	gaveUp := Mark{At: 9 * sec, Kind: MarkUnready, Text: http + " was not answered in 9s"}
	for name, c := range map[string]struct {
		script
		at         time.Duration // -1: none
		confidence string
		says       []string
	}{
		"probe and wait agree": {
			script{news: boot, length: 9 * sec, marks: []Mark{named, up, waits(2100*ms, 9, "web")}},
			2500 * ms, High, []string{"+the listening wait agrees, at 2.10 s"},
		},
		"they agree, though the start was not seen": {
			script{unseen: true, news: boot, length: 9 * sec, marks: []Mark{named, up, waits(2100*ms, 9, "web")}},
			2500 * ms, High, []string{"-the start was not seen"},
		},
		"the wait is a moment from agreeing": {
			script{news: boot, length: 5550 * ms, marks: []Mark{named, up, waits(2700*ms, 9, "web")}},
			2700 * ms, High, nil,
		},
		"it waits, and goes on with what is new": {
			script{news: append(slices.Clone(boot), 5600*ms, 8*sec, 10*sec), length: 11 * sec, marks: []Mark{named, up, waits(7*sec, 9, "web")}},
			2500 * ms, Medium, []string{"-the listening wait has no place yet"},
		},
		"it waits long before it is ready": {
			script{news: boot, length: 19 * sec, marks: []Mark{named, answers(9*sec, http+" answers 200"), waits(2100*ms, 9, "web")}},
			9 * sec, High, []string{"-the listening wait has it earlier, at 2.10 s"},
		},
		"it waits long after it was ready": {
			script{news: boot, length: 19 * sec, marks: []Mark{named, up, waits(9*sec, 9, "web")}},
			2500 * ms, Medium, []string{"-the listening wait has it later, at 9.00 s"},
		},
		"while the probe is asked nobody else is heard": {
			script{news: boot, length: 19 * sec, marks: []Mark{named, waits(2100*ms, 9, "web")}},
			-1, "", []string{"has not been answered yet"},
		},
		"the probe was given up": {
			script{news: boot, length: 19 * sec, marks: []Mark{named, gaveUp, waits(2100*ms, 9, "web")}},
			2100 * ms, Medium, []string{"-" + http + " was not answered in 9s"},
		},
		"a worker that tells": {
			script{news: boot, length: 9 * sec, marks: []Mark{probes(0, "notify"), answers(2200*ms, "notify says READY=1")}},
			2200 * ms, High, nil,
		},
		"flat before it waits does not count": {
			script{news: append(slices.Clone(boot), 14*sec, 15*sec), length: 16 * sec, marks: []Mark{waits(14*sec, 9, "web")}},
			-1, "", []string{"has not gone 3s"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			sp, ok := c.session(t).Propose(never)
			if ok != (c.at >= 0) || ok && (sp.At != c.at || sp.Confidence != c.confidence) {
				t.Errorf("proposed %v %v (%s), want %v (%s)", ok, sp.At, sp.Confidence, c.at, c.confidence)
			}
			Opinion{Detector: "the proposal", How: sp.How, Evidence: sp.Evidence}.saysAll(t, c.says)
		})
	}
}

// A file can hold thousands of probes with the longest of names: the detectors,
// which the screen asks twice a second, take it in their stride.
func TestManyProbes(t *testing.T) {
	s := script{news: until(2*sec, 50*ms), length: 12 * sec}.session(t)
	long := strings.Repeat("x", maxText-8)
	for i := range maxOneKind {
		s.AddMark(probes(0, fmt.Sprint(long, i)))
		s.AddMark(answers(sec, fmt.Sprint(long, i, " ")))
	}
	if o := s.Opinions(never)[0]; o.Detector != "readiness probe" || len(o.Evidence) > 2*maxProbes {
		t.Errorf("%d facts", len(o.Evidence))
	}
}

func TestOutlived(t *testing.T) {
	s := script{news: until(2*sec, 50*ms), length: 12 * sec, marks: []Mark{waits(2*sec, 9, "web"), exits(5*sec, 9), waits(6*sec, 10, "web")}}.session(t)
	for at, want := range map[time.Duration]bool{sec: true, 3 * sec: true, 5 * sec: true, 5500 * ms: false, 8 * sec: false} {
		if got := s.Outlived(at); got != want {
			t.Errorf("at %v: %v", at, got)
		}
	}
}
