package tui

import "strings"

// action is something the user can ask for. Keys, the help and the palette are
// all made from the one list below.
type action int

const (
	doNothing action = iota
	// everywhere
	actQuit
	actHelp
	actPalette
	actBack
	// lists
	actUp
	actDown
	actPageUp
	actPageDown
	actTop
	actBottom
	actFilter
	actCopy
	actCopyAll
	// picker
	actWatch
	actBoot
	actOther
	actRefresh
	// workbench
	actNextPane
	actPrevPane
	actPane1
	actPane2
	actPane3
	actPane4
	actPane5
	actTimeline
	actAccept
	actEvidence
	actReady
	actSplitLeft
	actSplitRight
	actStopLeft
	actStopRight
	actZoomIn
	actZoomOut
	actUserMark
	actSave
	actExport
	actUndo
	actRedo
	actReboot
	actWatchAgain
	// test and apply
	actDryRun
	actPreflight
	actHold
	actAutoHold
	actCross
	actAsk
	actQuestion
	actRule
	actKeepHold
	actUndoHold
	actGuard
	actLate
	actSeal
	actHoldRunning
	actInject
	actProve
	actReload
	// live
	actPause
	// sets
	actToggleRun
	actToggleBoot
	actToggleFamily
	actWhy
	actWho
	actSort
	actReverse
	actOnlyRemoved
	actStopPhase
	actExecPhase
	actAdminPhase
	actAnswers
	// reloads
	actAdminFrom
	actAdminTo
	actAdminTake
	actAdminDrop
	actAdminMove
	// marks
	actSplitHere
	// timeline
	actFineLeft
	actFineRight
	actMarker
	actNextMark
	actPrevMark
	actUndoSplit
	actRedoSplit
	actPin
	actSplitCost
	actions
)

// where is a set of places in which a key means something.
type where uint

const (
	inPicker where = 1 << iota
	inLive
	inSets
	inTest
	inMarks
	inLog
	inTimeline

	inPanes    = inLive | inSets | inTest | inMarks | inLog
	inBench    = inPanes | inTimeline
	inLists    = inPicker | inPanes
	everywhere = inPicker | inBench
)

// binding says which keys ask for an action, where, and how to call it. hint
// is the word shown at the bottom of the screen ("" keeps it to the help).
type binding struct {
	act   action
	keys  []string
	where where
	group string
	hint  string
	help  string
	// changes marks what --readonly leaves out.
	changes bool
}

// The groups of the help, in its order.
const (
	groupGo     = "Getting around"
	groupPick   = "Picking a target"
	groupSplit  = "Timeline and split"
	groupLive   = "1 Live"
	groupSets   = "2 Sets"
	groupTest   = "3 Test and apply"
	groupMarks  = "4 Marks and evidence"
	groupAdmin  = "Reloads (phase admin)"
	groupRecord = "The session"
)

// keymap is all that can be asked for.
func keymap() []binding {
	return []binding{
		{actWatch, []string{"enter"}, inPicker, groupPick, "watch", "watch the target from now on", false},
		{actBoot, []string{"b"}, inPicker, groupPick, "boot again", "boot it again and watch from its first call", true},
		{actOther, []string{"o"}, inPicker, groupPick, "other", "watch what is not listed: a pid and its descendants, a cgroup", false},
		{actRefresh, []string{"R"}, inPicker, groupPick, "refresh", "list the targets anew", false},

		{actPause, []string{"p"}, inLive, groupLive, "pause", "pause and resume the stream (the recording goes on)", false},

		{actToggleRun, []string{"space", "enter"}, inSets, groupSets, "run", "allow or deny the call in run", false},
		{actToggleBoot, []string{"e"}, inSets, groupSets, "boot", "allow or deny the call in boot", false},
		{actToggleFamily, []string{"F"}, inSets, groupSets, "", "allow or deny in run all calls that do the same job (open, openat, …)", false},
		{actUndo, []string{"u"}, inBench, groupSets, "undo", "undo the last edit", false},
		{actRedo, []string{"U"}, inBench, groupSets, "", "redo it", false},
		{actSort, []string{">"}, inSets, groupSets, "sort", "sort by the next column", false},
		{actReverse, []string{"<"}, inSets, groupSets, "", "reverse the order", false},
		{actOnlyRemoved, []string{"r"}, inSets, groupSets, "removed", "show only what the split removes, or all", false},
		{actWhy, []string{"v"}, inSets, groupSets, "why", "show all that is known of the call: what it does, its risk, why it is in", false},
		{actWho, []string{"w"}, inSets, groupSets, "", "count per process, so that v tells who calls; it slows the target a little", false},
		{actStopPhase, []string{"i"}, inSets, groupSets, "", "include what was seen while stopping, or leave it out", false},
		{actExecPhase, []string{"o"}, inSets, groupSets, "", "include what later entered processes (docker exec, probes) used, or leave it out", false},

		{actAdminPhase, []string{"O"}, inSets, groupSets, "admin", "include what reloads used (admin), or leave it out", false},

		{actAnswers, []string{"!"}, inSets, groupSets, "", "choose what calls get that are not allowed: an error, kill process, trap, log", false},

		{actDryRun, []string{"d"}, inBench, groupTest, "dry run", "judge the live target against the run set; nothing is denied", false},
		{actPreflight, []string{"f"}, inBench, groupTest, "checks", "check what speaks for and against an apply", false},
		{actHold, []string{"H"}, inBench, groupTest, "hold", "boot it again under the two-phase filter; cross the split by hand (c)", true},
		{actAutoHold, []string{"A"}, inBench, groupTest, "", "the same, and the split is crossed by itself when its evidence shows", true},
		{actCross, []string{"c"}, inBench, groupTest, "cross", "cross the split: removed calls are denied, to be kept (K) within a minute (z undoes it)", true},
		{actAsk, []string{"C"}, inBench, groupTest, "ask", "cross the split, but that each removed call waits for your answer, to be kept (K), too", true},
		{actQuestion, []string{"Q"}, inBench, groupTest, "question", "show the question that waits", true},
		{actRule, []string{"T"}, inBench, groupTest, "", "allow or deny a single call of a hold, in all processes or in one", true},
		{actKeepHold, []string{"K"}, inBench, groupTest, "keep", "keep what was crossed: without it the keeper undoes it when its time is over", true},
		{actUndoHold, []string{"z"}, inBench, groupTest, "undo", "undo the hold: removed calls are allowed again", true},
		{actGuard, []string{"B"}, inBench, groupTest, "", "switch the watchdog: the keeper undoes a hold by itself on a storm of denials or a death", true},
		{actLate, []string{"J"}, inBench, groupTest, "late", "choose what becomes of who comes into a held container later (docker exec, probes)", true},
		{actSeal, []string{"S"}, inBench, groupTest, "seal", "make the hold permanent, and prove it", true},
		{actHoldRunning, []string{"V"}, inBench, groupTest, "", "hold it as it runs, with no restart; reversible, as H", true},
		{actInject, []string{"I"}, inBench, groupTest, "inject", "put the run filter into the running target, for good", true},
		{actProve, []string{"P"}, inBench, groupTest, "prove", "read the filters of every thread back and compare them with the policy", true},
		{actReload, []string{"L"}, inBench, groupTest, "reload", "send the demo its administrative request", true},

		{actSplitHere, []string{"enter"}, inMarks, groupMarks, "split here", "set the split at this mark", false},

		{actAdminFrom, []string{"("}, inBench, groupAdmin, "reload from", "a reload begins now, drawn (=); on 4: at the row under the cursor", false},
		{actAdminTo, []string{")"}, inBench, groupAdmin, "reload ends", "the reload ends now; on 4: at the row under the cursor", false},
		{actAdminTake, []string{"M"}, inBench, groupAdmin, "take reload", "take the recognised reload, drawn <~>, as admin: the newest, on 4 the one under the cursor", false},
		{actAdminDrop, []string{"X"}, inBench, groupAdmin, "dismiss", "dismiss it; on the row of one that is taken: remove that", false},
		{actAdminMove, []string{"E"}, inMarks, groupAdmin, "adjust", "adjust the reload under the cursor", false},

		{actAccept, []string{"a"}, inBench, groupSplit, "accept", "accept the proposed split", false},
		{actSplitLeft, []string{"["}, inBench, groupSplit, "split", "move the split left by one column", false},
		{actSplitRight, []string{"]"}, inBench, groupSplit, "", "move the split right by one column", false},
		{actStopLeft, []string{"{"}, inBench, groupSplit, "stop", "move the stop mark left, or set it", false},
		{actStopRight, []string{"}"}, inBench, groupSplit, "", "move the stop mark right; past the end it is gone", false},
		{actTimeline, []string{"t", "0"}, inBench, groupSplit, "timeline", "go to the timeline", false},
		{actFineLeft, []string{"h", "left"}, inTimeline, groupSplit, "fine", "move the chosen marker left by 0.1 s", false},
		{actFineRight, []string{"l", "right"}, inTimeline, groupSplit, "", "move the chosen marker right by 0.1 s", false},
		{actMarker, []string{"space", "j", "k", "up", "down"}, inTimeline, groupSplit, "marker", "choose the marker to move: split or stop", false},
		{actNextMark, []string{"n"}, inTimeline, groupSplit, "next mark", "move the marker to the next mark or new call", false},
		{actPrevMark, []string{"N"}, inTimeline, groupSplit, "", "move the marker to the one before", false},
		{actUndoSplit, []string{","}, inBench, groupSplit, "", "undo the last move of the split", false},
		{actRedoSplit, []string{"."}, inBench, groupSplit, "", "redo it", false},
		{actPin, []string{"p"}, inTimeline, groupSplit, "pin", "pin the split by a rule: ready 80, 2s after listen-wait, call accept4", false},
		{actSplitCost, []string{"v", "enter"}, inTimeline, groupSplit, "cost", "show what the split rests on, what it costs, and what is unseen", false},
		{actZoomIn, []string{"+", "="}, inBench, groupSplit, "", "zoom in around the marker", false},
		{actZoomOut, []string{"-"}, inBench, groupSplit, "", "zoom out", false},
		{actEvidence, []string{"D"}, inBench, groupSplit, "detectors", "show what each detector thinks of the split, and why", false},
		{actReady, []string{"W"}, inBench, groupSplit, "", "wait until it is ready: name a readiness probe (a port, a page, a log line, …)", false},

		{actUserMark, []string{"m"}, inBench, groupRecord, "mark", "put a mark of your own at this moment", false},
		{actSave, []string{"s"}, inBench, groupRecord, "save", "save the whole session as another file", false},
		{actExport, []string{"x"}, inBench, groupRecord, "export", "export the policy for other tools", false},
		{actWatchAgain, []string{"R"}, inBench, groupRecord, "watch again", "go over to the next life of a container that ended and that somebody started again", false},
		{actReboot, []string{"b"}, inBench, groupRecord, "", "boot the target again: a new recording from its first call", true},

		{actNextPane, []string{"tab"}, inBench, groupGo, "", "next pane", false},
		{actPrevPane, []string{"shift+tab"}, inBench, groupGo, "", "previous pane", false},
		{actPane1, []string{"1"}, inBench, groupGo, "", "live stream", false},
		{actPane2, []string{"2"}, inBench, groupGo, "", "sets: what boot and run may call", false},
		{actPane3, []string{"3"}, inBench, groupGo, "", "test and apply", false},
		{actPane4, []string{"4"}, inBench, groupGo, "", "marks and evidence", false},
		{actPane5, []string{"5"}, inBench, groupGo, "", "warnings and log", false},
		{actUp, []string{"k", "up"}, inLists, groupGo, "", "up", false},
		{actDown, []string{"j", "down"}, inLists, groupGo, "", "down", false},
		{actPageUp, []string{"pgup", "ctrl+b"}, inLists, groupGo, "", "a page up", false},
		{actPageDown, []string{"pgdown", "ctrl+f"}, inLists, groupGo, "", "a page down", false},
		{actTop, []string{"g", "home"}, inLists, groupGo, "", "to the top", false},
		{actBottom, []string{"G", "end"}, inLists, groupGo, "", "to the bottom", false},
		{actFilter, []string{"/"}, inLists, groupGo, "filter", "filter the list; empty shows all again", false},
		{actCopy, []string{"y"}, inLists, groupGo, "", "copy the line to the clipboard, and into a file", false},
		{actCopyAll, []string{"Y"}, inLists, groupGo, "", "copy all lines", false},
		{actPalette, []string{":"}, everywhere, groupGo, "", "all commands, by name", false},
		{actBack, []string{"esc"}, everywhere, groupGo, "", "one level back; it never quits", false},
		{actHelp, []string{"?"}, everywhere, groupGo, "help", "this help", false},
		{actQuit, []string{"q", "ctrl+c"}, everywhere, groupGo, "quit", "quit", false},
	}
}

// find returns what a key asks for in a place.
func find(keys []binding, at where, key string) action {
	for _, b := range keys {
		if b.where&at == 0 {
			continue
		}
		for _, k := range b.keys {
			if k == key {
				return b.act
			}
		}
	}
	return doNothing
}

// bindingOf returns the binding of an action.
func bindingOf(keys []binding, a action) binding {
	for _, b := range keys {
		if b.act == a {
			return b
		}
	}
	return binding{}
}

// keyNames writes the keys of a binding for people: "k, up".
func (b binding) keyNames() string { return strings.Join(b.keys, ", ") }
