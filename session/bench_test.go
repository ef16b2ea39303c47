package session

import (
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// hour is one hour of a busy server: 36,000 epochs of about 30 rows, most of which
// are joined.
var hour = sync.OnceValue(func() *Session {
	r := rand.New(rand.NewPCG(1, 2))
	s := New(Meta{StartSeen: true})
	for i := range 36_000 {
		start := time.Duration(i) * 100 * ms
		e := Epoch{Start: start, End: start + 100*ms, InFlight: []policy.Call{{Nr: 232}, {Nr: 202}}}
		for nr := range uint32(60) {
			if nr > 25 && r.IntN(8) != 0 {
				continue
			}
			first := start + time.Duration(r.IntN(int(50*ms)))
			if r.IntN(1000) == 0 {
				first = start - time.Duration(r.IntN(20_000)) // after the flip, in the older half
			}
			e.Rows = append(e.Rows, Row{trace.Main, policy.Call{Nr: nr}, 2 + uint64(r.IntN(2000)), first, first + time.Duration(r.IntN(int(50*ms)))})
		}
		if err := s.AddEpoch(e); err != nil {
			panic(err)
		}
	}
	return s
})

func BenchmarkHour(b *testing.B) {
	s := hour()
	sp := Split{At: 20*time.Minute + 33*ms, Stop: 59 * time.Minute}
	p := s.Policy(sp)
	for _, x := range []struct {
		name string
		f    func()
	}{
		{"Observed", func() { s.Observed(sp) }},
		{"Policy", func() { s.Policy(sp) }},
		{"Rehearse", func() { Rehearse(s, sp, p) }},
		{"Timeline", func() { s.Timeline(0, s.Length(), 200) }},
		{"Propose", func() { s.Propose(s.Length()) }},
		{"Rate", func() { s.Rate() }},
		{"Samples", func() { s.Samples() }},
		{"Marks", func() { s.Marks() }},
	} {
		b.Run(x.name, func(b *testing.B) {
			for b.Loop() {
				x.f()
			}
		})
	}
}

// BenchmarkRehearseWorst is a key press in the editor at the worst: run is cut by all
// the administration there can be, half of the calls are denied, and all processes
// and samples are kept that can be.
func BenchmarkRehearseWorst(b *testing.B) {
	s := hour()
	sp := Split{At: 20*time.Minute + 33*ms, Stop: 59 * time.Minute}
	for i := range maxAdmin {
		at := sp.At + time.Duration(i)*30*time.Second
		if err := s.ChangeAdmin(AdminChange{AdminAdd, Admin{From: at, To: at + 2*time.Second}}); err != nil {
			b.Fatal(err)
		}
	}
	for nr := range uint32(30) {
		s.AddEdit(policy.Edit{Op: policy.OpDeny, Call: policy.Call{Nr: nr}, Phase: policy.Run})
	}
	var uses []ProcessUse
	for i := range uint32(maxProcessUses) {
		uses = append(uses, ProcessUse{Process{Pid: 1 + i/60}, trace.Main, policy.Call{Nr: i % 60}, 5, time.Minute, 50 * time.Minute})
	}
	s.SetProcesses(uses)
	for i := range maxSamples {
		s.AddSamples([]Sample{{At: 30*time.Minute + time.Duration(i), Group: trace.Main, Call: policy.Call{Nr: uint32(i % 60)}}})
	}
	b.Cleanup(func() {
		for s.UndoEdit() {
		}
		clear(s.processes)
	})
	for b.Loop() {
		Rehearse(s, sp, s.Policy(sp))
	}
}

func BenchmarkHourFile(b *testing.B) {
	s := hour()
	path := tempPath(b)
	if err := Save(path, s); err != nil {
		b.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := Open(path); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(st.Size()), "file-bytes")
	})
	b.Run("Save", func(b *testing.B) {
		for b.Loop() {
			if err := Save(tempPath(b), s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAddEpoch(b *testing.B) {
	e := Epoch{End: 100 * ms}
	for nr := range uint32(30) {
		e.Rows = append(e.Rows, Row{trace.Main, policy.Call{Nr: nr}, 5, 0, ms})
	}
	s := New(Meta{})
	for b.Loop() {
		if err := s.AddEpoch(e); err != nil {
			b.Fatal(err)
		}
		e.Start, e.End = e.Start+100, e.End+100
	}
}
