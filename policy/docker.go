package policy

import (
	"slices"
	"strings"
	"sync"
)

// DockerRule says under which conditions Docker's default profile allows a call.
type DockerRule struct {
	Caps      []string // the container has to have all of these
	Unless    []string // and none of these
	MinKernel string   // and the kernel has to be this new
	Args      bool     // and only some arguments are allowed
}

// dockerCaps are the capabilities that Docker gives a container unless told
// otherwise and that its default profile asks for.
var dockerCaps = []string{"CAP_SYS_CHROOT"}

// DockerDefault returns the calls that Docker's default profile allows, be it
// with some arguments only, a container of Docker's default capabilities on the
// kernels that speaker runs on.
func DockerDefault() Set { return dockerDefault() }

var dockerDefault = sync.OnceValue(func() Set {
	var out []Call
	for _, a := range possible(Native()) {
		for _, c := range Calls(a) {
			if i, _ := c.Info(); slices.ContainsFunc(i.Docker, DockerRule.byDefault) {
				out = append(out, c)
			}
		}
	}
	return NewSet(out...)
})

// byDefault reports whether a container of the default capabilities passes.
func (r DockerRule) byDefault() bool {
	lacks := func(c string) bool { return !slices.Contains(dockerCaps, c) }
	return !slices.ContainsFunc(r.Caps, lacks)
}

// String words the conditions: "with CAP_SYS_ADMIN", "some arguments", "" for
// none.
func (r DockerRule) String() string {
	var out []string
	if r.Args {
		out = append(out, "some arguments")
	}
	if len(r.Caps) > 0 {
		out = append(out, "with "+strings.Join(r.Caps, " and "))
	}
	if len(r.Unless) > 0 {
		out = append(out, "without "+strings.Join(r.Unless, " and "))
	}
	if r.MinKernel != "" {
		out = append(out, "since Linux "+r.MinKernel)
	}
	return strings.Join(out, " ")
}

// DockerText words what Docker's default profile does with the call: "allowed",
// "denied", "allowed with CAP_SYS_ADMIN".
func (i Info) DockerText() string {
	if len(i.Docker) == 0 {
		return "denied"
	}
	var out []string
	for _, r := range i.Docker {
		if r.String() == "" {
			return "allowed"
		}
		out = append(out, r.String())
	}
	return "allowed " + strings.Join(out, ", or ")
}
