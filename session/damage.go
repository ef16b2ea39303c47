package session

import (
	"fmt"
	"strings"
	"time"
)

// Damage is what a session file lost.
type Damage struct {
	// Bytes and Places count what is no whole frame; Cut is set when the last
	// of them is the end of the file. Held names what was in there, where the
	// heads of the lost frames still tell.
	Bytes  int64  `json:"bytes"`
	Places int    `json:"places"`
	Cut    bool   `json:"cut"`
	Held   string `json:"held"`
	// Sets is set when something of what sets are made of may have been lost. It
	// is not when all that was lost is known to be of other kinds.
	Sets bool `json:"sets"`
	// Time is how much of the recording is missing where something was lost,
	// but for what came last. Which times these are, the gaps tell.
	Time time.Duration `json:"nanoseconds"`
	// BadFrames are whole and make no sense; NewerFrames are of a kind or
	// version that this program does not know.
	BadFrames   int `json:"bad_frames"`
	NewerFrames int `json:"newer_frames"`
	// Head is set when the first bytes of the file are not those of a session.
	Head bool `json:"head"`
	// Unclosed is set when the file was not closed: what recorded it was
	// killed, or is still recording.
	Unclosed bool `json:"unclosed"`
	// GaveUp is set when the rest of the file was left out because it asks for
	// more memory or time than a file of its size may.
	GaveUp bool `json:"gave_up"`
}

// Any reports whether anything was lost. A file that was merely not closed may
// lack its last second; that alone is not counted.
func (d Damage) Any() bool {
	return d.Bytes > 0 || d.BadFrames > 0 || d.NewerFrames > 0 || d.Head || d.GaveUp
}

// unclosed says what a file lacks that was not closed.
const unclosed = "the recording was not closed: its last second may be missing"

// String says in one line what was lost; "" when nothing was.
func (d Damage) String() string {
	var out []string
	say := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	held := ""
	if d.Held != "" {
		held = " (" + d.Held + ")"
	}
	say(d.Head, "the head of the file is damaged")
	say(d.Places > 0, "%s lost in %s%s", count(int(d.Bytes), "byte"), count(d.Places, "place"), held)
	say(d.Time > 0, "%s of the recording is missing there", seconds(d.Time))
	say(d.Cut, "the end is cut off")
	say(d.BadFrames > 0, "%s left out", count(d.BadFrames, "senseless frame"))
	say(d.NewerFrames > 0, "%s of a newer version left out", count(d.NewerFrames, "frame"))
	say(d.GaveUp, "the rest was left out: the file asks for too much")
	say(d.Unclosed, unclosed)
	return strings.Join(out, "; ")
}

// kindNames say what frames hold.
var kindNames = map[frameKind]string{
	kindMeta: "what is known of the whole", kindEpochs: "calls", kindMark: "marks", kindSplit: "splits",
	kindEdit: "edits", kindTrial: "trials", kindSample: "samples", kindEnd: "the end mark", kindMissing: "what it says of its completeness",
	kindLearned: "what was learned from another recording", kindArguments: "argument values",
	kindProcesses: "uses by process", kindAdmin: "intervals of administration",
	kindVisits: "how often calls came up", kindRun: "recordings that were merged",
}

// kindSet is a set of the kinds of frames whose names are known.
type kindSet uint64

// outOfSets are the kinds of frames that no set is made of.
const outOfSets kindSet = 1<<kindTrial | 1<<kindSample | 1<<kindEnd | 1<<kindArguments | 1<<kindProcesses | 1<<kindVisits

// inSets reports whether something of sets may be among what was lost; of what is
// not known, it may.
func (s kindSet) inSets() bool { return s == 0 || s&^outOfSets != 0 }

func (s kindSet) with(k frameKind) kindSet {
	if _, ok := kindNames[k]; ok {
		s |= 1 << k
	}
	return s
}

func (s kindSet) String() string {
	var out []string
	for k := kindMeta; k < 64; k++ {
		if s&(1<<k) != 0 {
			out = append(out, kindNames[k])
		}
	}
	return strings.Join(out, ", ")
}
