package session

import (
	"time"

	"speaker/policy"
	"speaker/trace"
)

// The wire types are what the frames hold, as CBOR maps with small numbers for
// keys. Fields may be added; a number is never given another meaning. Times in a
// recording are nanoseconds from its start, other times Unix nanoseconds.

type wireMeta struct {
	Engine    string `cbor:"1,keyasint,omitempty"`
	ID        string `cbor:"2,keyasint,omitempty"`
	Name      string `cbor:"3,keyasint,omitempty"`
	Image     string `cbor:"4,keyasint,omitempty"`
	Command   string `cbor:"5,keyasint,omitempty"`
	Kernel    string `cbor:"6,keyasint,omitempty"`
	Host      string `cbor:"7,keyasint,omitempty"`
	Tool      string `cbor:"8,keyasint,omitempty"`
	Start     int64  `cbor:"9,keyasint"`
	Base      uint64 `cbor:"10,keyasint"`
	StartSeen bool   `cbor:"11,keyasint"`
	Version   string `cbor:"12,keyasint,omitempty"` // of the engine
}

func metaFrame(m Meta) frame { return newFrame(kindMeta, wireMetaOf(m)) }

func wireMetaOf(m Meta) wireMeta {
	start := int64(0) // stands for a zero time, which has no UnixNano
	if !m.Start.IsZero() {
		start = m.Start.UnixNano()
	}
	return wireMeta{
		m.Target.Engine, m.Target.ID, m.Target.Name, m.Target.Image, m.Target.Command,
		m.Kernel, m.Host, m.Tool, start, m.Base, m.StartSeen, m.EngineVersion,
	}
}

func (w wireMeta) meta() Meta {
	m := Meta{
		Target: Target{w.Engine, w.ID, w.Name, w.Image, w.Command},
		Kernel: w.Kernel, Host: w.Host, Tool: w.Tool, Base: w.Base, StartSeen: w.StartSeen,
		EngineVersion: w.Version,
	}
	if w.Start != 0 {
		m.Start = time.Unix(0, w.Start)
	}
	return m
}

type wireMark struct {
	At   int64  `cbor:"1,keyasint"`
	Kind string `cbor:"2,keyasint"`
	Pid  uint32 `cbor:"3,keyasint,omitempty"`
	Comm string `cbor:"4,keyasint,omitempty"`
	Text string `cbor:"5,keyasint,omitempty"`
}

func markFrame(m Mark) frame {
	return newFrame(kindMark, wireMark{int64(m.At), m.Kind, m.Pid, m.Comm, m.Text})
}

func (w wireMark) mark() Mark {
	return Mark{time.Duration(w.At), w.Kind, w.Pid, w.Comm, w.Text}
}

type wireEvidence struct {
	At   int64  `cbor:"1,keyasint"`
	For  bool   `cbor:"2,keyasint"`
	Text string `cbor:"3,keyasint"`
}

// splitStep is one step in the history of splits. Files from before there were
// steps have 0, which adds one.
type splitStep uint8

const (
	splitAdd   splitStep = 1
	splitUndo  splitStep = 2
	splitRedo  splitStep = 3
	splitAmend splitStep = 4 // the current one becomes another, and the one before is not kept
)

type wireSplit struct {
	At         int64          `cbor:"1,keyasint"`
	Stop       int64          `cbor:"2,keyasint,omitempty"`
	How        string         `cbor:"3,keyasint,omitempty"`
	By         string         `cbor:"4,keyasint,omitempty"`
	Confidence string         `cbor:"5,keyasint,omitempty"`
	Evidence   []wireEvidence `cbor:"6,keyasint,omitempty"`
	Rule       string         `cbor:"7,keyasint,omitempty"`
	Waits      bool           `cbor:"8,keyasint,omitempty"`
	Step       splitStep      `cbor:"9,keyasint,omitempty"`
}

// splitFrame packs a step and the split that is current after it: what knows of
// no steps takes the last one.
func splitFrame(step splitStep, sp Split) frame {
	return newFrame(kindSplit, wireSplitOf(step, sp))
}

func wireSplitOf(step splitStep, sp Split) wireSplit {
	w := wireSplit{int64(sp.At), int64(sp.Stop), sp.How, sp.By, sp.Confidence, nil, sp.Rule, sp.Waits, step}
	for _, e := range sp.Evidence {
		w.Evidence = append(w.Evidence, wireEvidence{int64(e.At), e.For, e.Text})
	}
	return w
}

func (w wireSplit) split() Split {
	sp := Split{time.Duration(w.At), time.Duration(w.Stop), w.How, w.By, w.Confidence, nil, w.Rule, w.Waits}
	for _, e := range w.Evidence[:min(len(w.Evidence), maxEvidence)] {
		sp.Evidence = append(sp.Evidence, Evidence{time.Duration(e.At), e.For, e.Text})
	}
	return sp
}

// editStep is one step in the history of edits.
type editStep uint8

const (
	editAdd  editStep = 1
	editUndo editStep = 2
	editRedo editStep = 3
)

type wireEdit struct {
	Step  editStep   `cbor:"1,keyasint"`
	At    int64      `cbor:"2,keyasint,omitempty"`
	Op    string     `cbor:"3,keyasint,omitempty"`
	ABI   policy.ABI `cbor:"4,keyasint,omitempty"`
	Nr    uint32     `cbor:"5,keyasint,omitempty"`
	Phase uint8      `cbor:"6,keyasint,omitempty"`
	Note  string     `cbor:"7,keyasint,omitempty"`
	// When are alternatives of conditions, and From what they were made of. Readers
	// that know no conditions pass over the edit, and keep its place in the history.
	When [][]wireCondition `cbor:"8,keyasint,omitempty"`
	From string            `cbor:"9,keyasint,omitempty"`
	// Action is what calls get that are not let through. Readers that do not know it
	// pass over the edit, too.
	Action uint32 `cbor:"10,keyasint,omitempty"`
}

type wireCondition struct {
	_     struct{} `cbor:",toarray"`
	Arg   uint8
	Op    uint8
	Value uint64
	Mask  uint64
}

func editFrame(step editStep, e policy.Edit) frame {
	w := wireEdit{Step: step}
	if step == editAdd {
		w = wireEdit{step, 0, string(e.Op), e.Call.ABI, e.Call.Nr, uint8(e.Phase), e.Note, wireWhen(e.When), string(e.From), uint32(e.Action)}
		if !e.At.IsZero() {
			w.At = e.At.UnixNano()
		}
	}
	return newFrame(kindEdit, w)
}

func wireWhen(when [][]policy.Condition) [][]wireCondition {
	var out [][]wireCondition
	for _, all := range when {
		var list []wireCondition
		for _, c := range all {
			list = append(list, wireCondition{Arg: c.Arg, Op: uint8(c.Op), Value: c.Value, Mask: c.Mask})
		}
		out = append(out, list)
	}
	return out
}

func (w wireEdit) when() [][]policy.Condition {
	var out [][]policy.Condition
	for _, all := range w.When {
		var list []policy.Condition
		for _, c := range all {
			list = append(list, policy.Condition{Arg: c.Arg, Op: policy.Compare(c.Op), Value: c.Value, Mask: c.Mask})
		}
		out = append(out, list)
	}
	return out
}

func (w wireEdit) edit() policy.Edit {
	e := policy.Edit{
		Op: policy.EditOp(w.Op), Call: policy.Call{ABI: w.ABI, Nr: w.Nr},
		Phase: policy.Phase(w.Phase), Note: w.Note, When: w.when(), From: policy.Origin(w.From), Action: policy.Action(w.Action),
	}
	if w.At != 0 {
		e.At = time.Unix(0, w.At)
	}
	return e
}

type wireTrial struct {
	At   int64  `cbor:"1,keyasint"`
	Kind string `cbor:"2,keyasint"`
	OK   bool   `cbor:"3,keyasint"`
	Text string `cbor:"4,keyasint,omitempty"`
}

func trialFrame(t Trial) frame {
	return newFrame(kindTrial, wireTrial{int64(t.At), t.Kind, t.OK, t.Text})
}

func (w wireTrial) trial() Trial {
	return Trial{time.Duration(w.At), w.Kind, w.OK, w.Text}
}

type wireSample struct {
	At    int64       `cbor:"1,keyasint"`
	Pid   uint32      `cbor:"2,keyasint"`
	Tid   uint32      `cbor:"3,keyasint"`
	Group trace.Group `cbor:"4,keyasint"`
	ABI   policy.ABI  `cbor:"5,keyasint"`
	Nr    uint32      `cbor:"6,keyasint"`
	Args  [6]uint64   `cbor:"7,keyasint"`
	Comm  string      `cbor:"8,keyasint,omitempty"`
	Path  string      `cbor:"9,keyasint,omitempty"`
}

// sampleFrame packs samples: the first of a call as it comes, or many at once.
func sampleFrame(xs ...Sample) frame {
	w := make([]wireSample, len(xs))
	for i, x := range xs {
		w[i] = wireSample{
			int64(x.At), x.Pid, x.Tid, x.Group, x.Call.ABI, x.Call.Nr, x.Args, x.Comm, x.Path,
		}
	}
	return newFrame(kindSample, w)
}

func (w wireSample) sample() Sample {
	return Sample{
		time.Duration(w.At), w.Pid, w.Tid, w.Group, policy.Call{ABI: w.ABI, Nr: w.Nr},
		w.Args, w.Comm, w.Path,
	}
}
