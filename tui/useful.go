package tui

import (
	"slices"
	"strings"

	"speaker/session"
	"speaker/tui/bench"
)

// useful reports whether a key is worth a hint in the last row just now. All
// keys work and are in the help whatever this says.
func (m *model) useful(b binding) bool {
	if b.changes && m.opt.ReadOnly {
		return false
	}
	if m.work == nil || m.snap == nil {
		return true
	}
	s := m.snap.state
	test := m.focus == testID
	held := strings.HasPrefix(string(s.Applied), "hold")
	live := s.Mode == bench.Live && !s.Ended
	switch b.act {
	case actAccept:
		return m.snap.proposed && (m.snap.standing != decided || m.snap.split.At != m.snap.proposal.At)
	case actUndo:
		return m.focus == setsID && m.snap.edits > 0
	case actDryRun:
		return test && live && s.Applied == bench.Nothing
	case actPreflight:
		return test && live
	case actHold:
		return test && live && s.Item.CanBoot && s.Applied == bench.Nothing
	case actCross:
		return live && (s.Applied == bench.HoldBoot || s.Applied == bench.HoldOpen)
	case actAsk:
		return test && live && (s.Applied == bench.HoldBoot || s.Applied == bench.HoldOpen || s.Applied == bench.HoldDeny)
	case actQuestion:
		return len(open(m.snap)) > 0
	case actKeepHold:
		return live && m.snap.keepLeft() > 0
	case actLate:
		return test && live && s.Hold != nil && s.Hold.Late != nil
	case actUndoHold:
		return live && (s.Applied == bench.HoldDeny || s.Applied == bench.HoldAsk)
	case actSeal:
		return test && live && held
	case actHoldRunning:
		return test && live && (s.Applied == bench.Nothing || s.Applied == bench.Bereft)
	case actInject:
		return test && live && s.Applied == bench.Nothing
	case actProve:
		return test && live && s.Applied != bench.Nothing
	case actReload:
		return test && live && s.Item.Engine == "demo"
	case actWatchAgain:
		return s.Again != 0
	case actAdminFrom:
		return m.focus == marksID && m.snap.standing == decided
	case actAdminTo:
		return slices.ContainsFunc(m.snap.admins, func(a session.Admin) bool { return a.To == 0 })
	case actAdminTake, actAdminDrop:
		return len(m.snap.recognised) > 0
	case actAdminMove, actAdminPhase:
		return len(m.snap.admins) > 0
	case actUserMark:
		return live
	case actTimeline, actSplitLeft, actStopLeft:
		return m.focus != testID
	}
	return true
}
