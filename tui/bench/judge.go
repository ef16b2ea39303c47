package bench

import (
	"speaker/policy"
	"speaker/trace"
)

// allowedBy is a set as the tracer asks for it.
func allowedBy(s policy.Set) func(trace.ABI, uint32) bool {
	return func(abi trace.ABI, nr uint32) bool {
		return s.Has(policy.Call{ABI: policy.ABI(abi), Nr: nr})
	}
}

// WatchProcesses implements Work.
func (w *live) WatchProcesses(on bool) error {
	err := w.tracer.WatchProcesses(on)
	if err == nil {
		w.mu.Lock()
		w.naming = on
		w.mu.Unlock()
	}
	return err
}

// judge reads what the dry run counted, and keeps it judging by the run set as
// it is: what the screen foretells is what applying the set now would do.
func (w *live) judge() (would, joined []trace.ProcRow, refused []Refused, unsure []string) {
	p, err := w.decided()
	if err != nil {
		return nil, nil, nil, nil
	}
	narrow := p.Narrow()
	w.mu.Lock()
	changed := w.dryRun && !narrow.Equal(w.judged)
	if changed {
		w.judged = narrow
	}
	values := w.values
	w.mu.Unlock()
	if changed {
		if err := w.tracer.Rejudge(allowedBy(narrow)); err != nil {
			w.problem("the dry run judges by an old run set: " + err.Error())
		}
	}
	rows, err := w.tracer.Judged()
	if err != nil {
		w.problem("the dry run cannot be read: " + err.Error())
	}
	for _, r := range rows {
		if narrow.Has(CallOf(r)) {
			joined = append(joined, r)
		} else {
			would = append(would, r)
		}
	}
	refused, unsure = w.judgeValues(p, values)
	return would, joined, refused, unsure
}

// CallOf is the call of a tracer's row.
func CallOf(r trace.ProcRow) policy.Call { return policy.Call{ABI: policy.ABI(r.ABI), Nr: r.Nr} }
