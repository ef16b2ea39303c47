package trace

import (
	"math"
	"os"
	"strconv"
	"testing"
	"time"
)

// Two threads at full speed for a long time: none of their calls may be missing.
// A minute of it has hundreds of millions of calls in six hundred epochs; that is
// too long for every change, so ten seconds are run unless SPEAKER_TEST_LONG is set,
// as make test-all does.
func TestLongRunIsExact(t *testing.T) {
	needRoot(t)
	seconds := 10
	if os.Getenv("SPEAKER_TEST_LONG") != "" {
		seconds = 60
	}
	cg := anyCgroup(t)
	tr := open(t, Config{CgroupPath: cg, SameMountNS: true})
	stop := snapshots(t, tr, 100*time.Millisecond)
	cmd := enter(t, cg, program(t, "count"), "2", strconv.Itoa(math.MaxInt64), strconv.Itoa(seconds))
	begun := time.Now()
	out := run(t, cmd)
	if took := time.Since(begun); took < time.Duration(seconds-1)*time.Second {
		t.Errorf("the program ran for %v", took)
	}
	compare(t, out, stop())
}
