package policy

import "testing"

// What is said of arguments is what the conditions look at, and holds for them alone.
func TestWith(t *testing.T) {
	when, err := ParseConditions("arg0 == AF_UNIX || arg0 == AF_INET && arg1 & 0xf == SOCK_STREAM")
	if err != nil {
		t.Fatal(err)
	}
	socket := call("socket")
	p := Derive(Observed{Run: saw("socket", "mmap")}, []Edit{{Op: OpCondition, Call: socket, Phase: Run, When: when, From: OriginHand}})
	spec := p.NarrowSpec()
	for _, tt := range []struct {
		args Args
		want string
	}{
		{Args{16, 3, 9}, "socket with AF_NETLINK, SOCK_RAW"},
		{Args{2, 0x80001}, "socket with AF_INET, SOCK_STREAM"},
		{Args{99, 0x80007}, "socket with arg0 == 0x63, arg1 & 0xf == 0x7"},
	} {
		values := socket.Values(spec.Looks(socket), tt.args)
		if got := socket.With(values); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
		if !allHold(values, tt.args) || allHold(values, Args{77, 1}) {
			t.Errorf("%s does not hold for %#x alone", ConditionsText([][]Condition{values}), tt.args)
		}
	}
	if got := call("mmap").Values(spec.Looks(call("mmap")), Args{1, 2, 3}); got != nil {
		t.Errorf("a call without conditions: %v", got)
	}
}
