package bench

import (
	"fmt"
	"strings"

	"speaker/apply"
)

// handProbes gives the keeper those of the named readiness probes that can be asked at
// any time: it undoes what is denied when they fail. It is about to be crossed, and
// goes on without them if it must.
func (w *live) handProbes() {
	w.mu.Lock()
	hold, t := w.hold, w.target
	w.mu.Unlock()
	w.probing.mu.Lock()
	var askable []string
	for _, p := range w.probing.named {
		if p.Askable() {
			askable = append(askable, p.String())
		}
	}
	w.probing.mu.Unlock()
	if hold == nil || len(askable) == 0 || w.bench.opt.ReadOnly {
		return
	}
	x := apply.Health{Probes: askable, Hosts: w.bench.hosts()}
	if t.CanStart() {
		x.Container = t.Ref()
	}
	if err := hold.WatchHealth(x); err != nil {
		w.problem(fmt.Sprintf("nothing undoes it should %s fail: %v", strings.Join(askable, ", "), err))
	}
}
