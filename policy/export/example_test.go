package export_test

import (
	"fmt"
	"log"
	"os"
	"strings"

	"speaker/policy"
	"speaker/policy/export"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// A profile is read, compiled, proved, asked what calls get, and written for another
// tool. Nothing of it needs root, or a kernel that would load the filter.
func Example() {
	profile, _, err := export.Read([]byte("@default: EPERM\nread\nexit_group\nsocket: allow if arg0 == AF_UNIX\nmount: EACCES\n"), "text")
	check(err)
	rules, _, err := profile.Resolve(export.Host{ABI: policy.Native(), Caps: export.DefaultCaps()})
	check(err)
	program, err := policy.CompileRules(rules)
	check(err)
	proof, err := policy.Verify(program, rules)
	check(err)
	socket, err := policy.ParseCall("socket")
	check(err)
	fmt.Println(proof.OK(), rules.Want(socket, policy.Args{1}), rules.Want(socket, policy.Args{2}))

	notes, err := export.WriteProfile(os.Stdout, "systemd", profile)
	check(err)
	lost, _, _ := strings.Cut(notes[0], ",")
	fmt.Println("but", lost)
	// Output:
	// true allow EPERM
	// # A drop-in for a service: put it into /etc/systemd/system/NAME.service.d/
	// [Service]
	// SystemCallArchitectures=native
	// SystemCallErrorNumber=EPERM
	// SystemCallFilter=
	// SystemCallFilter=exit_group read socket
	// SystemCallFilter=~mount:EACCES
	// but systemd allows its group @default in every list
}
