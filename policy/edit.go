package policy

import (
	"fmt"
	"time"
)

// EditOp is what an edit does.
type EditOp string

// The edits. Allow and deny are about one call in one phase, or about all of its
// family; include and leave out are about all that was seen in stop, exec or admin.
const (
	OpAllow       EditOp = "allow"
	OpDeny        EditOp = "deny"
	OpAllowFamily EditOp = "allow-family"
	OpDenyFamily  EditOp = "deny-family"
	OpInclude     EditOp = "include"
	OpLeaveOut    EditOp = "leave-out"
	// OpCondition puts conditions on a call, in place of those that it had in that
	// phase, and OpNoCondition takes them off.
	OpCondition   EditOp = "condition"
	OpNoCondition EditOp = "no-condition"
	// OpDenied, OpNewer and OpAnswer say what calls get that the filter of Boot or
	// Run does not let through: all that are not new, those that are (see Answers),
	// and one call. The action 0 takes back what was said before.
	OpDenied EditOp = "answer-denied"
	OpNewer  EditOp = "answer-newer"
	OpAnswer EditOp = "answer"
)

// Edit is one decision made by hand. Edits are absolute ("allow bind in run"),
// so that they mean the same after the split has moved.
//
// Boot and Run stand for the wide and the narrow filter, and the decision holds
// whatever else speaks for the call: denied in run, it is denied although stop,
// say, is included. The narrow filter stays within the wide one: what is allowed
// in run is allowed in boot, what is denied in boot is denied in run. On Stop,
// Exec and Admin an edit takes the call into or out of what was seen there.
//
// A condition is put on the wide filter (Boot), and so holds in the narrow one
// too, or on the narrow one (Run). It says how a call is allowed, not whether: it
// stands while the call is denied and allowed again. So do answers, of which those
// of the wide filter hold in the narrow one too, unless that has its own.
type Edit struct {
	At    time.Time `json:"at" cbor:"at"`
	Op    EditOp    `json:"op" cbor:"op"`
	Call  Call      `json:"call" cbor:"call"`
	Phase Phase     `json:"phase" cbor:"phase"`
	Note  string    `json:"note,omitempty" cbor:"note,omitempty"`
	// When and From are of OpCondition alone: the alternatives, of which one has to
	// hold, and what they were made of: OriginObserved, OriginHand or OriginImported.
	When [][]Condition `json:"when,omitempty" cbor:"when,omitempty"`
	From Origin        `json:"from,omitempty" cbor:"from,omitempty"`
	// Action is of OpDenied, OpNewer and OpAnswer alone.
	Action Action `json:"action,omitempty" cbor:"action,omitempty"`
}

// Check returns an error when the edit means nothing. Derive passes over such
// edits.
func (e Edit) Check() error {
	group := e.Phase.IsGroup()
	switch e.Op {
	case OpAllow, OpDeny, OpAllowFamily, OpDenyFamily:
		if e.Call.ABI >= abis || e.Call.Nr > maxNr {
			return fmt.Errorf("check edit: no such call: %s", e.Call)
		}
		if !group && e.Phase != Boot && e.Phase != Run {
			return fmt.Errorf("check edit: cannot %s a call in phase %s", e.Op, e.Phase)
		}
		return nil
	case OpInclude, OpLeaveOut:
		if !group {
			return fmt.Errorf("check edit: cannot %s phase %s", e.Op, e.Phase)
		}
		return nil
	}
	if e.conditions() {
		return e.checkCondition()
	}
	if e.answers() {
		return e.checkAnswer()
	}
	return fmt.Errorf("check edit: unknown operation %q", shorten(string(e.Op)))
}

// conditions reports whether the edit is about conditions.
func (e Edit) conditions() bool { return e.Op == OpCondition || e.Op == OpNoCondition }

func (e Edit) checkCondition() error {
	switch {
	case e.Call.ABI >= abis || e.Call.Nr > maxNr:
		return fmt.Errorf("check edit: no such call: %s", e.Call)
	case e.Phase != Boot && e.Phase != Run:
		return fmt.Errorf("check edit: no condition on a call in phase %s: boot and run have filters", e.Phase)
	case e.Op == OpNoCondition:
		return nil
	case e.From != OriginObserved && e.From != OriginHand && e.From != OriginImported:
		return fmt.Errorf("check edit: a condition cannot come from %q", shorten(string(e.From)))
	}
	if err := checkConditions(e.Call, e.When); err != nil {
		return fmt.Errorf("check edit: condition on %s: %w", e.Call, err)
	}
	return nil
}

// answers reports whether the edit is about what calls get that are not let through.
func (e Edit) answers() bool { return e.Op == OpDenied || e.Op == OpNewer || e.Op == OpAnswer }

func (e Edit) checkAnswer() error {
	switch {
	case e.Op == OpAnswer && (e.Call.ABI >= abis || e.Call.Nr > maxNr):
		return fmt.Errorf("check edit: no such call: %s", e.Call)
	case e.Phase != Boot && e.Phase != Run:
		return fmt.Errorf("check edit: no answer in phase %s: boot and run have filters", e.Phase)
	case e.Action == 0:
		return nil
	}
	if err := CheckAnswer(e.Action); err != nil {
		return fmt.Errorf("check edit: %w", err)
	}
	return nil
}

// reason words the edit for the entry it is about.
func (e Edit) reason() Reason {
	text := "denied by hand"
	if e.allows() {
		text = "allowed by hand"
	}
	if e.isFamily() {
		text += ", as all of " + e.Call.Name() + "'s family"
	}
	if e.Note != "" {
		text += ": " + e.Note
	}
	return Reason{Origin: OriginHand, Phase: e.Phase, Text: text}
}

// allows reports whether an edit about calls allows them.
func (e Edit) allows() bool { return e.Op == OpAllow || e.Op == OpAllowFamily }

func (e Edit) isFamily() bool { return e.Op == OpAllowFamily || e.Op == OpDenyFamily }

// calls returns the calls that an edit about calls is about.
func (e Edit) calls() []Call {
	if e.isFamily() {
		return e.Call.Family().Calls()
	}
	return []Call{e.Call}
}

// verdict is what the edits so far say of a call in one filter.
type verdict uint8

const (
	silent verdict = iota
	allowed
	denied
)

// decided is what the edits so far say of a call.
type decided struct{ wide, narrow verdict }

// after returns the decision once e, which is about the call in Boot or Run,
// is made.
func (d decided) after(e Edit) decided {
	switch {
	case e.allows() && e.Phase == Run:
		return decided{allowed, allowed}
	case e.allows():
		d.wide = allowed
	case e.Phase == Boot:
		return decided{denied, denied}
	default:
		d.narrow = denied
	}
	return d
}
