package policy_test

import (
	"fmt"
	"log"

	"speaker/policy"
)

// A policy is made of what was seen and of edits, and answers for its own filters.
func Example() {
	obs := policy.Observed{}
	for _, name := range []string{"openat", "bind", "socket"} {
		obs[policy.Boot] = append(obs[policy.Boot], policy.Use{Call: call(name), Count: 1})
	}
	for _, name := range []string{"accept4", "read", "write"} {
		obs[policy.Run] = append(obs[policy.Run], policy.Use{Call: call(name), Count: 9})
	}
	edit, err := policy.ParseEdit("answer bind in run: EACCES")
	if err != nil {
		log.Fatal(err)
	}
	p := policy.Derive(obs, []policy.Edit{edit})
	filter, err := policy.Compile(p.NarrowSpec())
	if err != nil {
		log.Fatal(err)
	}
	proof, err := policy.VerifySpec(filter.Insns, filter.Spec)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("proved:", proof.OK())
	for _, name := range []string{"read", "bind", "openat", "clone3"} {
		fmt.Println(name, "in run:", filter.Spec.Want(call(name)))
	}
	// Output:
	// proved: true
	// read in run: allow
	// bind in run: EACCES
	// openat in run: EPERM
	// clone3 in run: ENOSYS
}

func call(name string) policy.Call {
	c, err := policy.ParseCall(name)
	if err != nil {
		log.Fatal(err)
	}
	return c
}
