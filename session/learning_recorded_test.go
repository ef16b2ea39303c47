package session

import (
	"testing"
	"time"
)

// What was estimated on the way through the recorded demo is held against what came
// then: its load repeats itself, so nothing did, and the estimate must have said so
// as soon as it says anything. A split in the midst of boot puts into run what comes
// up once, and the estimate must tell that.
func TestLearningOfTheRecordedDemo(t *testing.T) {
	s, damage, err := Open("../sample/demo.speaker")
	if err != nil || damage.Any() {
		t.Fatal(err, damage)
	}
	sp, ok := s.Split()
	if !ok || sp.Stop == 0 {
		t.Fatalf("%+v", sp)
	}
	all := s.Learning(sp)
	if !all.Enough || all.Known < 10 || len(all.Curve) != all.Known || all.Length != sp.Stop-sp.At {
		t.Fatalf("%+v", all)
	}
	early := Split{At: s.Snap(500 * ms), Stop: sp.Stop}
	so, told := New(s.Meta()), 0
	for _, e := range epochsOf(s) {
		if e.End > sp.Stop {
			break
		}
		if err := so.AddEpoch(e); err != nil {
			t.Fatal(err)
		}
		l := so.Learning(Split{At: sp.At})
		if !l.Enough {
			continue
		}
		told++
		came := 0
		for _, d := range all.Curve {
			if d.At > e.End {
				came++
			}
		}
		if l.Known+came != all.Known || l.Low > float64(came) || float64(came) > l.High+3 || l.Next <= 0 {
			t.Errorf("at %v: %d came, estimated %+v", e.End, came, l)
		}
		if l.AtLeast && came > 0 && sp.Stop-e.End < l.Next {
			t.Errorf("at %v: %d came in %v, told was none in %v", e.End, came, sp.Stop-e.End, l.Next)
		}
		if x := so.Learning(early); x.Once < 10 || x.Low <= l.High || x.Next > 2*time.Second {
			t.Errorf("at %v, cut in boot: estimated %+v, and behind it %+v", e.End, x, l)
		}
	}
	if told < 20 {
		t.Errorf("an estimate was made after %d epochs", told)
	}
	t.Logf("%d estimates; at the end %v, and cut in boot %v", told, all, s.Learning(early))
}
