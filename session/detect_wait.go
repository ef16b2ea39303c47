package session

import (
	"fmt"
	"time"
)

// listeningWait: a thread waits on a listening socket, and then nothing new is
// called for a while. A server that ends soon and is followed by another one was
// the entrypoint's own, part of boot.
func (f *facts) listeningWait() Opinion {
	if len(f.servers) == 0 {
		return Opinion{How: "no thread was seen waiting on a listening socket"}
	}
	if w := f.servers[0]; !f.s.meta.StartSeen && w.first.At <= f.began()+atOnce {
		return f.serving(w)
	}
	w := f.servers[f.main]
	at, last, ok := f.quiet(w.first.At, min(w.ended, f.end), quietWait)
	var o Opinion
	if ok {
		o = f.settled(w)
		o.At = f.s.snap(f.joined(at))
		o.Evidence = append(o.Evidence, f.flatFact(o.At, last, quietWait))
		o.Evidence = append(o.Evidence, f.supporting(o.At, w.first.Pid)...)
		if f.script(o.At, w.first.Pid) != nil {
			o.Confidence = Medium
		}
	} else {
		o = Opinion{Pending: true, At: at, How: fmt.Sprintf("%s, but it has not gone %v without a new call%s",
			w.waits(f.end), quietWait, f.newest())}
	}
	for _, w := range f.setup() {
		o.Evidence = append(o.Evidence, w.passed())
	}
	return o
}

// waits says from when on it was seen waiting, and until when if that is over by end.
func (w server) waits(end time.Duration) string {
	text := fmt.Sprintf("%s waits in %s since %s", named(w.first), w.first.Text, seconds(w.first.At))
	if w.ended < end {
		text += ", until it ended at " + seconds(w.ended)
	}
	return text
}

// settled begins the opinion on a server that went quiet.
func (f *facts) settled(w server) Opinion {
	o := Opinion{
		Found: true, Confidence: High,
		How:      fmt.Sprintf("%s waits in %s, then %v without a new call", named(w.first), w.first.Text, quietWait),
		Evidence: []Evidence{{w.first.At, true, fmt.Sprintf("%s waits in %s", named(w.first), w.first.Text)}},
	}
	if !f.s.meta.StartSeen {
		o.Confidence = Medium
	}
	return o
}

// serving is the opinion on a program that served before anyone watched.
func (f *facts) serving(w server) Opinion {
	return Opinion{
		Found: true, At: min(0, f.began()), Confidence: Medium,
		How: fmt.Sprintf("%s was already waiting in %s when the recording began: all that was seen is run", named(w.first), w.first.Text),
		Evidence: []Evidence{
			{w.first.At, true, fmt.Sprintf("%s waits in %s at the first look", named(w.first), w.first.Text)},
			{0, false, "boot was not seen: boot it again to learn what it needs"},
		},
	}
}
