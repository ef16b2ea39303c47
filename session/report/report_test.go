package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/policy"
	"speaker/session"
	"speaker/trace"
)

var update = flag.Bool("update", false, "write the golden files anew")

// hostile is what a container may put into a string: markup of both forms, and
// what a terminal or a reader acts on.
const hostile = "<script>alert(1)</script>\x1b[2J\u202e![x](http://evil/x.png) **b** `c` |d| @root #1 www.evil.example"

// sample is a recording with one of everything, all of it called name.
func sample(t testing.TB, name string) *session.Session {
	t.Helper()
	call := func(name string) policy.Call {
		c, err := policy.ParseCall(name)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	s := session.New(session.Meta{
		Target: session.Target{Engine: "docker", Name: name, Image: name, Command: name, ID: name}, Kernel: name, Host: name, Tool: name, StartSeen: true,
		Start: time.Unix(1_700_000_000, 0), Base: 7,
	})
	const sec = time.Second
	for i := range time.Duration(20) {
		e := session.Epoch{Start: i * sec, End: (i + 1) * sec}
		if i > 11 { // a second is missing
			e.Start, e.End = e.Start+sec, e.End+sec
		}
		add := func(name string, n uint64) {
			e.Rows = append(e.Rows, session.Row{Group: trace.Main, Call: call(name), Count: n, First: e.Start + 1, Last: e.Start + sec/2})
		}
		switch {
		case i < 2:
			add("bind", 2)
			add("bpf", 3)
		case i < 18:
			add("read", 40)
			add("futex", 9)
		default:
			add("unlinkat", 2)
		}
		if err := s.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
	}
	s.AddMark(session.Mark{At: 3 * sec, Kind: session.MarkGap, Text: name})
	s.AddSplit(session.Split{At: 2 * sec, Stop: 19 * sec, How: name, By: name, Confidence: name,
		Evidence: []session.Evidence{{At: sec, For: true, Text: name}, {At: 3 * sec, Text: name}}})
	s.AddEdit(policy.Edit{At: time.Unix(1_700_000_100, 0), Op: policy.OpAllow, Call: call("kill"), Phase: policy.Run, Note: name})
	s.AddEdit(policy.Edit{Op: policy.OpLeaveOut, Phase: policy.Stop})
	s.AddTrial(session.Trial{At: 9 * sec, Kind: "inject", OK: true, Text: name})
	s.AddTrial(session.Trial{At: 10 * sec, Kind: name, Text: name})
	return s
}

// merged is a session of two recordings.
func merged(t testing.TB, name string) *session.Session {
	t.Helper()
	a, b := sample(t, name), sample(t, name)
	m := b.Meta()
	m.Base, m.Host = 8, "other"
	b.SetMeta(m)
	b.AddSplit(session.Split{At: 5 * time.Second, How: name})
	s, _, err := session.Merge(name, session.Input{Name: name, Session: a}, session.Input{Name: name, Session: b})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func written(t testing.TB, format string, s *session.Session) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, format, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReport(t *testing.T) {
	for name, s := range map[string]*session.Session{"recorded": sample(t, "web"), "merged": merged(t, "web")} {
		for _, format := range Formats() {
			got := written(t, format, s)
			path := filepath.Join("testdata", name+"."+format)
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs; look at it, and write it anew with -update", path)
			}
			if again := written(t, format, s); again != got {
				t.Errorf("%s is another one the second time", path)
			}
		}
	}
}

// A page fetches nothing, runs nothing, and has every part.
func TestPageStandsAlone(t *testing.T) {
	page := written(t, "html", sample(t, "web"))
	for _, bad := range []string{"<script", "src=", "@import", "url(http", "<link", "<iframe", "onload"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, m := range regexp.MustCompile(`https?://[^"<]*`).FindAllString(page, -1) {
		if !strings.Contains(page, `<a href="`+m+`"`) {
			t.Errorf("%s is no link to follow by hand", m)
		}
	}
	for _, format := range Formats() {
		text := written(t, format, sample(t, "web"))
		for _, want := range []string{"Timeline", "The split", "Phases", "Removed at the split, and why it matters", "CVE-", "Is it complete?",
			"1 gap in which nothing was recorded", "late in run", "Edits by hand", "allow kill in run", "leave-out stop", "Tried and applied", "inject", "failed", "All calls", "futex"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %q", format, want)
			}
		}
	}
}

// Nothing of a session is markup, in whatever field it stands.
func TestHostileStrings(t *testing.T) {
	for name, s := range map[string]*session.Session{"recorded": sample(t, hostile), "merged": merged(t, hostile)} {
		page := written(t, "html", s)
		if strings.Contains(page, "<script") || strings.Contains(page, "<img") || !strings.Contains(page, "&lt;script&gt;") {
			t.Errorf("%s: markup reaches the page", name)
		}
		md := written(t, "md", s)
		for _, bad := range []string{"<script", "![", "**b**", " @root", " #1", "http://", "www.evil", " |d"} {
			if regexp.MustCompile(`(^|[^\\])` + regexp.QuoteMeta(bad)).MatchString(md) {
				t.Errorf("%s: %q reaches the text", name, bad)
			}
		}
		for _, bad := range []string{"\x1b", "\u202e"} {
			if strings.Contains(page, bad) || strings.Contains(md, bad) {
				t.Errorf("%s: %q reaches the page", name, bad)
			}
		}
	}
}

func TestMarkdownText(t *testing.T) {
	for in, want := range map[string]string{
		"epoll_wait on tcp 0.0.0.0:80": "epoll_wait on tcp 0.0.0.0:80",
		"_a_ __b":                      `\_a\_ \_\_b`,
		"2.5 s":                        "2.5 s",
		"1. one":                       `1\. one`,
		"- x":                          `\- x`,
		"a|b":                          `a\|b`,
		"<b>&amp;":                     `\<b\>\&amp;`,
		"see http://x":                 `see http\://x`,
		"by @me, #12":                  "by `@`me, `#`12",
		"WWW.x":                        `WWW\.x`,
	} {
		if got := text(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestNoSplitNoRemoval(t *testing.T) {
	s := session.New(session.Meta{})
	for _, format := range Formats() {
		got := written(t, format, s)
		if !strings.Contains(got, "There is no split") || strings.Contains(got, "Removed at the split") || !strings.Contains(got, "nothing was recorded") {
			t.Errorf("%s:\n%s", format, got)
		}
	}
	if err := Write(&bytes.Buffer{}, "pdf", s); err == nil || err.Error() != `report: no format "pdf", there are html, md` {
		t.Errorf("error %v", err)
	}
}

// FuzzReport writes reports of any file that opens.
func FuzzReport(f *testing.F) {
	for i, s := range []*session.Session{sample(f, hostile), merged(f, hostile)} {
		path := filepath.Join(f.TempDir(), string(rune('a'+i)))
		if err := session.Save(path, s); err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	path := filepath.Join(f.TempDir(), "fuzzed")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, _, err := session.Open(path)
		if err != nil {
			return
		}
		for _, format := range Formats() {
			text := written(t, format, s)
			if strings.Contains(strings.ReplaceAll(text, `\<`, ""), "<script") || strings.Contains(text, "NaN") {
				t.Fatal(text)
			}
		}
	})
}

// FuzzMarkdownText holds that no character that Markdown acts on stands bare.
func FuzzMarkdownText(f *testing.F) {
	f.Add(hostile)
	f.Add(`\\_*`)
	f.Fuzz(func(t *testing.T, s string) {
		out := text(clean(s))
		for i := range len(out) {
			if strings.IndexByte("*[]<>|~&", out[i]) < 0 {
				continue
			}
			if slashes := len(out[:i]) - len(strings.TrimRight(out[:i], `\`)); slashes%2 == 0 {
				t.Fatalf("%q becomes %q: %q stands bare", s, out, out[i])
			}
		}
		if strings.ContainsAny(out, "\n\x1b") || slices.Contains([]byte(out), 0) {
			t.Fatalf("%q becomes %q", s, out)
		}
	})
}
