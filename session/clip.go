package session

import (
	"cmp"

	"speaker/policy"
)

// Longest strings that a session keeps, in bytes. Longer ones are cut, also when
// they come from a file.
const (
	maxWord     = 256  // names, comms, kinds
	maxText     = 4096 // paths, sentences, commands
	maxEvidence = 64   // facts of one split
	maxPayload  = 1 << 20
)

func clip(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

func (m Meta) clipped() Meta {
	t := &m.Target
	t.Engine, t.ID, t.Name = clip(t.Engine, maxWord), clip(t.ID, maxWord), clip(t.Name, maxWord)
	t.Image, t.Command = clip(t.Image, maxText), clip(t.Command, maxText)
	m.Kernel, m.Host, m.Tool = clip(m.Kernel, maxWord), clip(m.Host, maxWord), clip(m.Tool, maxWord)
	m.EngineVersion = clip(m.EngineVersion, maxWord)
	return m
}

func (m Mark) clipped() Mark {
	m.Kind, m.Comm, m.Text = clip(m.Kind, maxWord), clip(m.Comm, maxWord), clip(m.Text, maxText)
	return m
}

func (sp Split) clipped() Split {
	sp.How, sp.By = clip(sp.How, maxText), clip(sp.By, maxWord)
	sp.Confidence, sp.Rule = clip(sp.Confidence, maxWord), clip(sp.Rule, maxWord)
	sp.Waits = sp.Waits && sp.Rule != ""
	sp.At, sp.Stop = max(-maxOffset, min(sp.At, maxOffset)), max(0, min(sp.Stop, maxOffset))
	ev := make([]Evidence, 0, min(len(sp.Evidence), maxEvidence))
	for _, e := range sp.Evidence[:cap(ev)] {
		e.Text = clip(e.Text, maxText)
		ev = append(ev, e)
	}
	sp.Evidence = ev
	return sp
}

func (a Admin) clipped() Admin {
	a.How, a.By = clip(a.How, maxText), clip(a.By, maxWord)
	return a
}

func (r Run) clipped() Run {
	r.Name, r.Meta, r.Split = clip(r.Name, maxWord), r.Meta.clipped(), r.Split.clipped()
	notes := make([]string, 0, min(len(r.Notes), maxNotes))
	for _, text := range r.Notes[:cap(notes)] {
		notes = append(notes, clip(text, maxText))
	}
	r.Notes = notes
	return r
}

func (t Trial) clipped() Trial {
	t.Kind, t.Text = clip(t.Kind, maxWord), clip(t.Text, maxText)
	return t
}

func (x Sample) clipped() Sample {
	x.Comm, x.Path = clip(x.Comm, maxWord), clip(x.Path, maxText)
	return x
}

func clipEdit(e policy.Edit) policy.Edit {
	e.Op, e.Note = policy.EditOp(clip(string(e.Op), maxWord)), clip(e.Note, maxText)
	e.From = policy.Origin(clip(string(e.From), maxWord))
	return e
}

func compareSamples(a, b Sample) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Group, b.Group), compareCalls(a.Call, b.Call))
}
