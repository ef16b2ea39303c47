package policy

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// lateComers are calls that libraries try before an older one of the family.
// They fall back to that when told that the kernel lacks the call (ENOSYS), and
// take any other error for final.
var lateComers = []string{"clone3", "statx", "renameat2", "preadv2", "pwritev2"}

// warnFamily is about families of which run allows a part that does not do. A
// call without its successor is fine where the answer lets libraries fall back.
func warnFamily(p Policy) []Warning {
	var out []Warning
	for _, c := range p.named(p.wide, lateComers...) {
		older := c.Family().Intersect(p.narrow)
		answer := p.NarrowSpec().Want(c)
		if p.narrow.Has(c) || older.Len() == 0 || answer == RefuseWith(unix.ENOSYS) || answer.Allows() {
			continue
		}
		out = append(out, Warning{
			Text:   fmt.Sprintf("run answers %s to %s and allows %s: libraries try %s first and fall back only when told ENOSYS", answer, c, older, c),
			Remedy: fmt.Sprintf("allow %s in run too", c),
			Calls:  []Call{c},
		})
	}
	for _, c := range p.named(p.narrow, "clone3") {
		clone := Call{c.ABI, numbers()[c.ABI]["clone"]}
		if p.narrow.Has(clone) {
			continue
		}
		out = append(out, Warning{
			Text:   fmt.Sprintf("run allows %s and not %s: glibc makes threads by the one and forks by the other, and under a filter that answers ENOSYS to %s, as Docker's default does, threads too", c, clone, c),
			Remedy: fmt.Sprintf("allow %s in run too, if the program may fork or run elsewhere", clone),
			Calls:  []Call{clone},
		})
	}
	return out
}

// warnDocker is about a filter that Docker's own would be better than.
func warnDocker(p Policy) []Warning {
	// Of rings warnUring says more.
	wider := p.narrow.Minus(DockerDefault()).Without(p.named(p.narrow, uring...)...).Calls()
	if len(wider) == 0 {
		return nil
	}
	return []Warning{{
		Text:   "run allows calls that Docker's default profile denies to a container without more capabilities: there the filter is no narrower than what every container has",
		Remedy: "deny them if the program does without; where Docker's own profile stays below, it goes on denying them",
		Calls:  wider,
	}}
}
