package tui

import (
	"testing"

	"speaker/policy"
)

// What a call is, and what it costs to leave it open, is told with its sources.
func TestWhyTellsWhatACallIs(t *testing.T) {
	d, _ := openDemo(t)
	d.size(120, 50)
	d.keys("a", "/", "c", "l", "o", "n", "e", "enter", "v")
	d.wants("starts a thread or process", "risk medium, for leaving it open", "(CVE-2013-1858)", "needs: CAP_SYS_ADMIN for namespaces",
		"since: Linux 1.0", "the same job do: clone3 fork vfork", "systemd: @process @system-service", "allowed with CAP_SYS_ADMIN, or some arguments")
	d.whole()
}

// A number that no table has is no reason to fail.
func TestAboutUnknownCall(t *testing.T) {
	c := policy.Call{ABI: policy.Native(), Nr: 999}
	if len(does(c)) != 1 || about(c) != nil || riskWord(c) != "-" {
		t.Errorf("got %v, %v, %s", does(c), about(c), riskWord(c))
	}
}

func TestSetsSortAndFilterByRisk(t *testing.T) {
	d, _ := openDemo(t)
	d.keys("a", "G")
	for d.m.sets.order != byRisk {
		d.keys(">")
	}
	d.wants("by risk")
	if d.m.sets.cursor != 0 || d.m.sets.top != 0 {
		t.Errorf("the cursor is on row %d, row %d is the first", d.m.sets.cursor, d.m.sets.top)
	}
	rows := d.m.sets.table(d.m.snap)
	for i := 1; i < len(rows); i++ {
		if riskOf(rows[i].Call) > riskOf(rows[i-1].Call) {
			t.Errorf("%s comes behind %s", rows[i].Call, rows[i-1].Call)
		}
	}
	if riskOf(rows[0].Call) == policy.RiskNone {
		t.Fatalf("nothing in the sample is a risk: %s first", rows[0].Call)
	}
	d.keys("/", "r", "i", "s", "k", "space", "m", "e", "d", "enter")
	shown, _ := d.m.sets.rows(nil, d.m.snap).keep(d.m.sets.filter)
	if shown.n == 0 || shown.n == len(rows) {
		t.Errorf("%d of %d rows pass the filter %q", shown.n, len(rows), d.m.sets.filter)
	}
}

// One key denies a family, and one undo brings it back.
func TestFamilyIsOneEdit(t *testing.T) {
	d, w := openDemo(t)
	d.keys("a", "/", "o", "p", "e", "n", "a", "t", "enter")
	narrow := func(name string) bool {
		sp, _ := w.s.Split()
		return w.s.Policy(sp).Narrow().Has(call(name))
	}
	if !narrow("openat") {
		t.Fatal("the sample opens nothing")
	}
	d.keys("F")
	d.wants("denied in run: creat open openat openat2; u undoes it")
	if narrow("openat") {
		t.Error("it is still allowed")
	}
	d.keys("F")
	if !narrow("openat") || !narrow("openat2") || !narrow("creat") {
		t.Error("the family is not allowed")
	}
	d.keys("u")
	if narrow("openat") || narrow("creat") {
		t.Error("undo left some of the family")
	}
	d.keys("u")
	if !narrow("openat") || narrow("creat") {
		t.Error("it is not as it was")
	}
}
