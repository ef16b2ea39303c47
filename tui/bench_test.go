package tui

import "testing"

// What one picture costs; ten a second are drawn.
func BenchmarkPicture(b *testing.B) {
	for name, keys := range map[string][]string{"live": {"1"}, "sets": {"2"}, "test": {"3"}, "marks": {"4"}, "log": {"5"}} {
		b.Run(name, func(b *testing.B) {
			d, _ := openDemo(b)
			d.size(200, 50)
			d.keys(keys...)
			b.ReportAllocs()
			for b.Loop() {
				d.m.screen()
			}
		})
	}
}

func BenchmarkSnapshot(b *testing.B) {
	d, w := openDemo(b)
	b.ReportAllocs()
	for b.Loop() {
		take(w, wish{columns: 194, fresh: true}, d.clock.now())
	}
}
