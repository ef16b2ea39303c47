package tui

import (
	"strings"

	"speaker/policy"
)

// does says what a call does, first of all that is told of it.
func does(c policy.Call) []line {
	i, ok := c.Info()
	if !ok {
		return []line{say(dimLine, "nothing is known of this number: it is newer than the table of calls, or no call")}
	}
	return []line{say(strong, "%s", i.Words)}
}

// about is what is known of a call whatever the target does with it.
func about(c policy.Call) []line {
	i, ok := c.Info()
	if !ok {
		return nil
	}
	var out []line
	fact := func(label, text string) {
		if text != "" {
			out = append(out, say(plainLine, "%s: %s", label, text))
		}
	}
	for n, cause := range i.Risk.Causes {
		if n == 0 {
			out = append(out, line{riskLook(i.Risk.Level), "risk " + i.Risk.Level.String() + ", for leaving it open:"})
		}
		out = append(out, say(plainLine, "  %s: %s (%s)", cause.Level, cause.Text, cause.Source))
	}
	if len(i.Risk.Causes) == 0 {
		fact("risk", i.Risk.Level.String())
	}
	fact("needs", i.Needs)
	fact("since", sinceText(i))
	if family := c.Family().Without(c); family.Len() > 0 {
		fact("the same job do", family.String()+" (F edits them all)")
	}
	fact("systemd", strings.Join(i.Groups, " "))
	fact("Docker's default profile", i.DockerText())
	return out
}

func sinceText(i policy.Info) string {
	if i.Since == "" {
		return ""
	}
	return "Linux " + i.Since
}

// riskLook is how a risk is drawn; its word says the same.
func riskLook(l policy.RiskLevel) look {
	switch l {
	case policy.RiskHigh:
		return bad
	case policy.RiskMedium:
		return warn
	}
	return plainLine
}

// riskOf ranks a call that has no name with those of which nothing is known.
func riskOf(c policy.Call) policy.RiskLevel {
	i, _ := c.Info()
	return i.Risk.Level
}

// riskWord is the risk in a table: four cells at most.
func riskWord(c policy.Call) string {
	return [...]string{"-", "low", "med", "high"}[riskOf(c)]
}
