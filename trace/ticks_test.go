package trace

import "testing"

// Borders that are forgotten make ticks longer: what is said of a call is never too
// early, and they stay few however long nobody takes a snapshot.
func TestForgottenBorders(t *testing.T) {
	x := ticks{control: &bpfControl{}}
	for range 10 * maxBorders {
		x.next()
	}
	if n := len(x.past); n > maxBorders || n < maxBorders/2 {
		t.Errorf("%d borders are kept", n)
	}
	_, past := x.flip()
	for i, b := range past[1:] {
		if b.before < past[i].after {
			t.Fatalf("border %d begins at %d, the one before ended at %d", i+1, b.before, past[i].after)
		}
		if at := past[i].before; end(past, at) < b.before {
			t.Fatalf("a call at %d is said to be made before %d", at, end(past, at))
		}
	}
}
