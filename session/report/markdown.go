package report

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// special are the characters that Markdown may act on anywhere. Letters of names
// (epoll_wait) stay as they are: an underscore between them means nothing.
const special = "\\`*[]<>|~&"

// atStart is what makes a list or a heading of a line.
var atStart = regexp.MustCompile(`^([-+=]|[0-9]+[.)]( |$))`)

// text makes a string harmless in Markdown, also in a table: it shows as it is, and
// names nobody, refers to nothing and links nowhere.
func text(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case strings.IndexByte(special, c) >= 0, c == '_' && !(letter(s, i-1) && letter(s, i+1)):
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '@' || c == '#': // hosts of tickets link what follows, escaped or not
			b.WriteString("`" + string(c) + "`")
		case c == ':' && strings.HasPrefix(s[i:], "://"):
			b.WriteString("\\:")
		case c == '.' && i >= 3 && strings.EqualFold(s[i-3:i], "www"):
			b.WriteString("\\.")
		default:
			b.WriteByte(c)
		}
	}
	return atStart.ReplaceAllStringFunc(b.String(), func(m string) string {
		i := strings.IndexAny(m, "-+=.)")
		return m[:i] + "\\" + m[i:]
	})
}

// letter reports whether byte i of s is a letter or digit of ASCII.
func letter(s string, i int) bool {
	if i < 0 || i >= len(s) {
		return false
	}
	c := s[i] | 0x20
	return c >= 'a' && c <= 'z' || s[i] >= '0' && s[i] <= '9'
}

// shades are the bars of a timeline in text.
var shades = []rune(" ▁▂▃▄▅▆▇█")

// sketch draws the timeline in text: two buckets in a column.
func (t timeline) sketch() string {
	var b strings.Builder
	for i := 0; i+1 < len(t.levels); i += 2 {
		b.WriteRune(shades[min(8, max(t.levels[i], t.levels[i+1]))])
	}
	b.WriteByte('\n')
	at := 0
	for i, z := range t.Zones {
		from := int(z.X / chartWidth * buckets / 2)
		mark := z.Name
		if i > 0 {
			mark = "|" + mark
		}
		if from >= at {
			b.WriteString(strings.Repeat(" ", from-at) + mark)
			at = from + len(mark)
		}
	}
	if n := len(t.Ticks); n > 0 {
		fmt.Fprintf(&b, "\n%s to %s", t.Ticks[0].Text, t.Ticks[n-1].Text)
	}
	return b.String()
}

func writeMarkdown(w io.Writer, p page) error {
	m := &markdown{}
	m.line("# %s: system calls", text(p.Title))
	var sums []string
	for _, n := range p.Numbers {
		sums = append(sums, fmt.Sprintf("**%d** %s", n.N, n.Text))
	}
	m.line("%s", strings.Join(sums, ", "))
	for _, f := range p.Facts {
		m.item("%s: %s", f.Name, text(f.Value))
	}
	m.complete(p)
	m.runs(p)
	if p.Timeline.Most > 0 {
		m.line("## Timeline")
		m.line("```text\n%s\n```", p.Timeline.sketch())
	}
	m.line("## The split")
	m.line("%s", text(p.Split))
	for _, e := range p.Evidence {
		sign := "for"
		if !e.For {
			sign = "against"
		}
		m.item("%s: %s", sign, text(strings.TrimSpace(e.At+" "+e.Text)))
	}
	m.phases(p)
	if p.HasSplit {
		m.known("## Removed at the split, and why it matters", p.Removed)
		m.known("## Still open while running, and known for risk", p.Open)
	}
	m.rest(p)
	_, err := w.Write(m.b.Bytes())
	return err
}

// markdown is a document in the making.
type markdown struct {
	b     bytes.Buffer
	items bool // the last thing was an item of a list
}

func (m *markdown) line(format string, args ...any) {
	if m.b.Len() > 0 {
		m.b.WriteByte('\n')
	}
	m.items = false
	fmt.Fprintf(&m.b, format+"\n", args...)
}

func (m *markdown) item(format string, args ...any) {
	if !m.items {
		m.b.WriteByte('\n')
	}
	m.items = true
	fmt.Fprintf(&m.b, "- "+format+"\n", args...)
}

// table writes rows whose cells are Markdown already.
func (m *markdown) table(head []string, rows [][]string) {
	m.line("| %s |", strings.Join(head, " | "))
	fmt.Fprintf(&m.b, "|%s\n", strings.Repeat(" --- |", len(head)))
	for _, r := range rows {
		fmt.Fprintf(&m.b, "| %s |\n", strings.Join(r, " | "))
	}
}

func (m *markdown) complete(p page) {
	m.line("## Is it complete?")
	for _, s := range p.Missing {
		m.item("%s", text(s))
	}
	if len(p.Missing) == 0 {
		m.line("Nothing is known to be missing from the recording.")
	}
	if p.Learning != "" {
		m.line("%s", text(p.Learning))
	}
	for _, s := range p.Late {
		m.item("late in run: %s", text(s))
	}
}

func (m *markdown) runs(p page) {
	if len(p.Runs) == 0 {
		return
	}
	m.line("## Recordings")
	var rows [][]string
	for _, r := range p.Runs {
		rows = append(rows, []string{fmt.Sprint(r.N), text(r.Name), text(r.Host), text(r.Kernel), r.Start, r.Length, r.Split, text(r.How)})
	}
	m.table([]string{"No.", "Target", "Host", "Linux", "Started", "Length", "Split", "How"}, rows)
}

func (m *markdown) phases(p page) {
	m.line("## Phases")
	var rows [][]string
	for _, x := range p.Phases {
		rows = append(rows, []string{x.Name, x.What, fmt.Sprint(x.Calls), fmt.Sprint(x.Count), x.Goes})
	}
	m.table([]string{"Phase", "What", "Calls", "Times", "Goes"}, rows)
}

func (m *markdown) known(head string, calls []call) {
	m.line("%s", head)
	if len(calls) == 0 {
		m.line("None.")
		return
	}
	var rows [][]string
	for _, c := range calls {
		var causes []string
		for _, x := range c.Causes {
			causes = append(causes, text(x.Text+" ("+x.Source+")"))
		}
		risk := c.Risk
		if risk == "" {
			risk = "none known"
		}
		rows = append(rows, []string{"`" + c.Name + "`", text(c.Words), risk, strings.Join(causes, "; "), text(c.Why)})
	}
	m.table([]string{"Call", "What it does", "Risk", "Because", "Why it is allowed"}, rows)
}

func (m *markdown) rest(p page) {
	if len(p.Warnings) > 0 {
		m.line("## To know before it is applied")
	}
	for _, w := range p.Warnings {
		lead := ""
		if w.Block {
			lead = "**Blocks:** "
		}
		m.item("%s%s. What to do: %s.", lead, text(w.Text), text(w.Remedy))
	}
	m.line("## Edits by hand")
	for _, e := range p.Edits {
		m.item("%s", text(e))
	}
	if len(p.Edits) == 0 {
		m.line("None.")
	}
	m.line("## Tried and applied")
	for _, t := range p.Trials {
		outcome := "done"
		if !t.OK {
			outcome = "failed"
		}
		m.item("%s, %s, %s: %s", t.At, text(t.Kind), outcome, text(t.Text))
	}
	if len(p.Trials) == 0 {
		m.line("Nothing.")
	}
	m.line("## All calls")
	var rows [][]string
	for _, c := range p.Calls {
		may := func(yes bool) string {
			if yes {
				return "yes"
			}
			return "no"
		}
		run := may(c.Run)
		if !p.HasSplit {
			run = "?"
		}
		rows = append(rows, []string{"`" + c.Name + "`", may(c.Boot), run, fmt.Sprint(c.Count), c.First, c.Last, c.Risk, text(c.Why)})
	}
	m.table([]string{"Call", "Boot", "Run", "Times", "First", "Last", "Risk", "Why"}, rows)
}
