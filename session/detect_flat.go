package session

import (
	"fmt"
	"slices"
)

// flatCurve: nothing new is called for long. It is all there is to tell of a
// program that never listens, a batch job or a worker; of servers it is right 26
// times of 30.
func (f *facts) flatCurve() Opinion {
	if len(f.news) == 0 {
		return Opinion{How: "the program was not seen to call anything yet"}
	}
	seen := "no thread was seen waiting on a listening socket, and "
	if len(f.servers) > 0 {
		seen = ""
	}
	at, last, ok := f.quiet(f.news[0].At, f.end, quietFlat)
	if !ok {
		return Opinion{How: fmt.Sprintf("%sthe program has not gone %v without a new call%s", seen, quietFlat, f.newest())}
	}
	at = f.s.snap(at)
	o := Opinion{
		Found: true, At: at, Confidence: Low,
		How:      fmt.Sprintf("%v without a new call", quietFlat),
		Evidence: []Evidence{f.flatFact(at, last, quietFlat)},
	}
	if len(f.servers) > 0 {
		return o
	}
	o.How += ", and no thread was seen waiting on a listening socket"
	no := Evidence{at, false, "no thread was seen waiting on a listening socket: the program may just be slow to start"}
	if i := slices.IndexFunc(f.marks, func(m Mark) bool { return m.Kind == MarkListen }); i >= 0 {
		no = Evidence{f.marks[i].At, false, named(f.marks[i]) + " listens, but no thread was seen waiting on it"}
	}
	o.Evidence = append(o.Evidence, no)
	o.Evidence = append(o.Evidence, f.privileges(at)...)
	return o
}
