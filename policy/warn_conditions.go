package policy

import (
	"fmt"
	"strings"
)

// warnConditions is about conditions that keep little away, or too much.
func warnConditions(p Policy) []Warning {
	var out []Warning
	for c := range p.Conditional(Run).All() {
		if why, ok := p.essential[c]; ok {
			out = append(out, Warning{
				Block:  true,
				Text:   fmt.Sprintf("run allows %s under a condition: %s", c, why),
				Remedy: fmt.Sprintf("take the condition on %s back", c),
				Calls:  []Call{c},
			})
		}
	}
	return append(append(out, warnUnseen(p)...), warnRefused(p)...)
}

// warnUnseen is about what a filter cannot look at, or not look at alone.
func warnUnseen(p Policy) []Warning {
	var out []Warning
	for c := range p.Conditional(Boot).Union(p.Conditional(Run)).All() {
		d := decidings[c.Name()]
		if d.warn != "" {
			out = append(out, Warning{
				Text:   fmt.Sprintf("the condition on %s is not to be relied on: %s", c, d.warn),
				Remedy: "deny the call if the program does without it",
				Calls:  []Call{c},
			})
		}
		clone3 := Call{c.ABI, numbers()[c.ABI]["clone3"]}
		if c.Name() == "clone" && (p.narrow.Has(clone3) || p.wide.Has(clone3) && p.gates[c].wide != nil) {
			out = append(out, Warning{
				Text:   fmt.Sprintf("the condition on %s keeps nothing away: %s is allowed, and does the same with flags that a filter never sees", c, clone3),
				Remedy: fmt.Sprintf("deny %s, which then fails with ENOSYS: libraries fall back to %s", clone3, c),
				Calls:  []Call{c, clone3},
			})
		}
		if multiplex := (Call{I386, numbers()[I386]["socketcall"]}); c.ABI == I386 && strings.HasPrefix(c.Name(), "socket") && p.narrow.Has(multiplex) && c != multiplex {
			out = append(out, Warning{
				Text:   fmt.Sprintf("the condition on %s keeps nothing away: %s does the same with arguments in memory", c, multiplex),
				Remedy: fmt.Sprintf("deny %s if the program does without it", multiplex),
				Calls:  []Call{c, multiplex},
			})
		}
	}
	return out
}

// warnRefused is about recorded values that a condition would have refused.
func warnRefused(p Policy) []Warning {
	var out []Warning
	for ph := Boot; ph < phases; ph++ {
		if !p.Included(ph) {
			continue
		}
		refused := map[Call][]string{}
		for _, s := range p.values[ph] {
			if (p.wide.Has(s.Call) && ph == Boot || p.narrow.Has(s.Call)) && p.Refuses(ph, s) {
				refused[s.Call] = append(refused[s.Call], fmt.Sprintf("%s, %d times", s, s.Count))
			}
		}
		for _, e := range p.entries {
			if list := refused[e.Call]; len(list) > 0 {
				const most = 4
				if n := len(list); n > most {
					list = append(list[:most:most], fmt.Sprintf("%d more values", n-most))
				}
				out = append(out, Warning{
					Text:   fmt.Sprintf("the condition on %s refuses what was recorded in %s: %s", e.Call, ph, strings.Join(list, "; ")),
					Remedy: "take the condition back, or let it allow these values",
					Calls:  []Call{e.Call},
				})
			}
		}
	}
	return out
}
