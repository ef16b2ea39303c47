package policy

import "testing"

// busy is a recording of a server that uses much.
func busy() Observed {
	obs := Observed{}
	for i, c := range Calls(Native()) {
		if i%3 == 0 {
			obs[Run] = append(obs[Run], Use{Call: c, Count: 1})
		}
		if i%2 == 0 {
			obs[Boot] = append(obs[Boot], Use{Call: c, Count: 1})
		}
	}
	return obs
}

// Derive runs each time the split is moved by a key.
func BenchmarkDerive(b *testing.B) {
	obs := busy()
	for b.Loop() {
		Derive(obs, nil)
	}
}

func BenchmarkCompile(b *testing.B) {
	s := Derive(busy(), nil).StartSpec()
	for b.Loop() {
		if _, err := Compile(s); err != nil {
			b.Fatal(err)
		}
	}
}

// A proof evaluates every filter of every thread for every call.
func BenchmarkEval(b *testing.B) {
	f, err := Compile(Derive(busy(), nil).StartSpec())
	if err != nil {
		b.Fatal(err)
	}
	d := DataOf(Call{Native(), 200})
	b.ReportMetric(float64(len(f.Insns)), "insns")
	for b.Loop() {
		if _, err := Eval(f.Insns, d); err != nil {
			b.Fatal(err)
		}
	}
}
