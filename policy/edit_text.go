package policy

import (
	"fmt"
	"slices"
	"strings"
)

// String writes the edit as ParseEdit reads it, with where a condition comes from and
// the note behind " # ":
//
//	deny mount in run
//	deny-family openat in boot
//	leave-out exec
//	condition socket in run: arg0 == 0x1, or arg0 == 0x2 and arg1 & 0xf == 0x1 # imported: of web.json
//	no-condition socket in run
//	answer-denied in run: kill process
//	answer-newer in boot: ENOSYS
//	answer mount in run: EACCES
//
// An answer of "default" takes back what was said before. Notes are as they were given:
// hostile bytes where they come from a file.
func (e Edit) String() string {
	out := string(e.Op)
	if e.aboutCall() {
		out += " " + e.Call.String()
	}
	if e.Op == OpInclude || e.Op == OpLeaveOut {
		out += " " + e.Phase.String()
	} else {
		out += " in " + e.Phase.String()
	}
	var notes []string
	switch {
	case e.Op == OpCondition:
		out += ": " + ConditionsText(e.When)
		notes = append(notes, string(e.From))
	case e.answers() && e.Action == 0:
		out += ": default"
	case e.answers():
		out += ": " + e.Action.String()
	}
	if e.Note != "" {
		notes = append(notes, e.Note)
	}
	if len(notes) > 0 {
		out += " # " + strings.Join(notes, ": ")
	}
	return out
}

// aboutCall reports whether the edit is about one call, or its family.
func (e Edit) aboutCall() bool {
	return !slices.Contains([]EditOp{OpInclude, OpLeaveOut, OpDenied, OpNewer}, e.Op)
}

// operations are the edits that ParseEdit knows.
var operations = []EditOp{OpAllow, OpDeny, OpAllowFamily, OpDenyFamily, OpInclude, OpLeaveOut,
	OpCondition, OpNoCondition, OpDenied, OpNewer, OpAnswer}

// ParseEdit reads what String writes, without the time. What stands behind " # " is the
// note, and of a condition, too, what it was made of; without that it is by hand.
// Conditions may be written as ParseConditions reads them. Any input is safe; an error is one line that names the
// column, counted from 1, where that says more.
func ParseEdit(s string) (Edit, error) {
	text, note, _ := strings.Cut(s, " # ")
	head, rest, has := strings.Cut(text, ": ") // an ABI has a colon, and no space behind it
	f := strings.Fields(head)
	if len(f) == 0 {
		return Edit{}, fmt.Errorf("no edit: want one of %s", operationsText())
	}
	e := Edit{Op: EditOp(f[0]), Note: strings.TrimSpace(note)}
	if !slices.Contains(operations, e.Op) {
		return Edit{}, fmt.Errorf("column %d: no edit %q: there are %s", column(s, f[0]), shorten(f[0]), operationsText())
	}
	f = f[1:]
	var err error
	if e.aboutCall() {
		if len(f) == 0 {
			return Edit{}, fmt.Errorf("%s what? Say %s", e.Op, e.example())
		}
		if e.Call, err = ParseCall(f[0]); err != nil {
			return Edit{}, fmt.Errorf("column %d: %w", column(s, f[0]), err)
		}
		f = f[1:]
	}
	if e.Op != OpInclude && e.Op != OpLeaveOut {
		if len(f) != 2 || f[0] != "in" {
			return Edit{}, fmt.Errorf("%s where? Say %s", e.Op, e.example())
		}
		f = f[1:]
	}
	if len(f) != 1 {
		return Edit{}, fmt.Errorf("%s what? Say %s", e.Op, e.example())
	}
	at := slices.IndexFunc(Phases(), func(p Phase) bool { return p.String() == f[0] })
	if at < 0 {
		return Edit{}, fmt.Errorf("column %d: no phase %q", column(s, f[0]), shorten(f[0]))
	}
	e.Phase = Phases()[at]
	if has != (e.Op == OpCondition || e.answers()) {
		return Edit{}, fmt.Errorf("%s is written as %s", e.Op, e.example())
	}
	switch {
	case e.Op == OpCondition:
		e.From = OriginHand
		from, more, _ := strings.Cut(e.Note, ":")
		if o := Origin(strings.TrimSpace(from)); o == OriginObserved || o == OriginHand || o == OriginImported {
			e.From, e.Note = o, strings.TrimSpace(more)
		}
		if e.When, err = ParseConditions(rest); err != nil {
			return Edit{}, shifted(err, len([]rune(text))-len([]rune(rest)))
		}
	case e.answers() && strings.TrimSpace(rest) != "default":
		if e.Action, err = ParseAction(strings.TrimSpace(rest)); err != nil {
			return Edit{}, fmt.Errorf("column %d: %w", column(s, strings.TrimSpace(rest)), err)
		}
	}
	return e, e.Check()
}

// example is how an edit of that kind is written.
func (e Edit) example() string {
	switch {
	case e.Op == OpInclude || e.Op == OpLeaveOut:
		return string(e.Op) + " exec"
	case e.Op == OpCondition:
		return "condition socket in run: arg0 == AF_UNIX"
	case e.Op == OpAnswer:
		return "answer mount in run: EACCES"
	case e.answers():
		return string(e.Op) + " in run: kill process"
	}
	return string(e.Op) + " mount in run"
}

func operationsText() string {
	out := make([]string, len(operations))
	for i, op := range operations {
		out[i] = string(op)
	}
	return strings.Join(out, ", ")
}

// column is where a word of s begins, counted from 1.
func column(s, word string) int {
	before, _, _ := strings.Cut(s, word)
	return len([]rune(before)) + 1
}
