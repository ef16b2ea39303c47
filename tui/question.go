package tui

import (
	"fmt"
	"math"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/apply"
	"speaker/tui/bench"
)

// questionBox shows a removed call that waits for an answer. Leaving it answers
// nothing: the keeper holds the question, and denies in time.
type questionBox struct {
	work bench.Work
	q    apply.Question
	at   time.Time // of the snapshot that it is from

	scroll list
}

// open lists the questions that wait, those with a thread in wait first.
func open(n *snapshot) []apply.Question {
	if n.state.Hold == nil {
		return nil
	}
	var waiting, lapsed []apply.Question
	for _, q := range n.state.Hold.Asked {
		if q.Lapsed {
			lapsed = append(lapsed, q)
		} else {
			waiting = append(waiting, q)
		}
	}
	return append(waiting, lapsed...)
}

// patienceOf says how long a question still waits.
func patienceOf(q apply.Question, now time.Time) string {
	if q.Allowed {
		return "not answered in time: allowed, and nothing waits"
	}
	if q.Lapsed {
		return "not answered in time: denied, and nothing waits"
	}
	return fmt.Sprintf("%s, %s in %.0f s", plural(q.Waiting, "thread")+" waiting", otherwise(q), math.Ceil(max(0, q.Until.Sub(now).Seconds())))
}

// otherwise is what becomes of a question that nobody answers.
func otherwise(q apply.Question) string {
	if q.Otherwise {
		return "allowed"
	}
	return "denied"
}

// askQuestions shows a new question by itself, keeps the one on screen fresh, and
// takes away one that waits no more.
func (m *model) askQuestions(n *snapshot) {
	list := open(n)
	for i, o := range m.dialogs {
		box, ok := o.dialog.(*questionBox)
		if !ok {
			continue
		}
		for _, q := range list {
			if q.ID == box.q.ID {
				box.q, box.at = q, n.at
				return
			}
		}
		m.dialogs = append(m.dialogs[:i], m.dialogs[i+1:]...)
		m.say(plainLine, "the question waits no more: "+box.q.What())
		return
	}
	if len(list) == 0 || list[0].Lapsed || list[0].ID <= m.told || m.opt.ReadOnly || len(m.dialogs) > 0 {
		return
	}
	m.told = list[0].ID
	m.open(&questionBox{work: m.work, q: list[0], at: n.at}, true)
}

func (b *questionBox) key(name, _ string) answer {
	v, said := apply.Verdict(""), ""
	switch name {
	case "o":
		v, said = apply.AllowOnce, "allowed this time"
	case "a":
		v, said = apply.AllowGood, "allowed from now on, and in the run set as an edit; a filter in place stays as it is"
	case "d":
		v, said = apply.DenyOnce, "denied this time"
	case "n":
		v, said = apply.DenyGood, "denied from now on, without a question"
	case "e":
		q := b.q
		return answer{close: true, then: func(m *model) tea.Cmd {
			m.open(denyForm(q), false)
			return nil
		}}
	case "esc", "q":
		return answer{close: true}
	default:
		b.scroll.scroll(textKey(name, false))
		return answer{}
	}
	work, q := b.work, b.q
	return answer{close: true, then: func(m *model) tea.Cmd {
		return m.aside("answer", q.What()+" is "+said, func() error { return work.Answer(q, v, 0) })
	}}
}

func (b *questionBox) draw(d *draw, w, h int) (string, []string, string) {
	q := b.q
	what := fmt.Sprintf("arguments %#x", q.Args)
	if q.Text != "" {
		what = fmt.Sprintf("%q", q.Text)
	}
	about := []line{
		say(strong, "%s wants %s: %s", q.Comm, q.What(), what),
		say(warn, "%s", patienceOf(q, b.at)),
		say(plainLine, "process %d, program %s, asked %s", q.Pid, q.Image, plural(int(q.Count), "time")),
	}
	if len(q.Modules) > 0 {
		about = append(about, say(dimLine, "by its stack it came through %s (a guess)", strings.Join(q.Modules, " < ")))
	}
	lines := d.fold(append(about,
		say(plainLine, "o  allow it this time"),
		say(plainLine, "a  allow it from now on (an edit of the run set)"),
		say(plainLine, "d  deny it this time"),
		say(plainLine, "n  deny it from now on, without a question"),
		say(plainLine, "e  deny it with another error"),
	), w)
	return "Allow " + q.What() + "?", d.window(lines, &b.scroll, w, max(1, h)), d.dim.Render(short("o once  a allow  d deny  n never  e error  esc leaves it", w, d.dots))
}
