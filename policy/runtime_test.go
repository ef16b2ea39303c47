package policy

import (
	"strings"
	"testing"
)

// A name with a slip of the pen would silently be left out.
func TestRuntimeCallsHaveNames(t *testing.T) {
	lists := []string{runtimeMargin}
	for _, r := range runtimes {
		lists = append(lists, r.calls, r.privs, r.waits)
	}
	for _, list := range lists {
		for _, name := range strings.Fields(list) {
			if _, err := ParseCall("x86_64:" + name); err != nil {
				t.Error(err)
			}
		}
	}
	for _, c := range []string{"execve", "capset", "setresuid", "rseq", "pselect6"} {
		if !RuntimeCalls().Has(call(c)) {
			t.Errorf("%s is missing", c)
		}
	}
}
