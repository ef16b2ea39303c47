package session

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"speaker/policy"
)

// layout is a session file in memory, and where its frames lie.
type layout struct {
	bytes  []byte
	frames [][2]int
}

func layoutOf(t testing.TB, s *Session) layout {
	t.Helper()
	var buf bytes.Buffer
	if err := s.writeTo(&buf); err != nil {
		t.Fatal(err)
	}
	l := layout{bytes: buf.Bytes()}
	sc := newScanner(bytes.NewReader(l.bytes), int64(buf.Len()))
	sc.off = int64(len(magic))
	for {
		from := int(sc.off)
		if _, _, _, err := sc.next(); err != nil {
			return l
		}
		l.frames = append(l.frames, [2]int{from, int(sc.off)})
	}
}

// good returns the whole frames that read finds in b.
func good(t testing.TB, b []byte) (int, Damage) {
	t.Helper()
	l := loader{s: New(Meta{}), room: 1 << 30}
	sc := newScanner(bytes.NewReader(b), int64(len(b)))
	for {
		kind, version, body, err := sc.next()
		if err != nil {
			break
		}
		l.frame(kind, version, body)
	}
	l.finish(sc, int64(len(b)))
	return l.good, l.damage
}

func TestCutAtEveryByte(t *testing.T) {
	s, _ := fullSession(t, 60)
	l := layoutOf(t, s)
	for cut := range len(l.bytes) {
		whole := 0
		torn := cut
		for _, f := range l.frames {
			if f[1] <= cut {
				whole++
				torn = cut - f[1]
			}
		}
		n, _ := good(t, l.bytes[:cut])
		if n != whole {
			t.Fatalf("cut at %d: %d frames, want %d", cut, n, whole)
		}
		got, damage, err := read(bytes.NewReader(l.bytes[:cut]), int64(cut))
		if whole == 0 {
			if err != ErrNotSession {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			continue
		}
		if err != nil || got == nil || !damage.Unclosed || damage.Head {
			t.Fatalf("cut at %d: %v, %v", cut, damage, err)
		}
		if damage.Bytes != int64(torn) || damage.Cut != (torn > 0) {
			t.Fatalf("cut at %d: lost %d bytes, want %d: %v", cut, damage.Bytes, torn, damage)
		}
	}
}

func TestFlipsCostOnlyTheFramesTheyTouch(t *testing.T) {
	s, _ := fullSession(t, 400)
	l := layoutOf(t, s)
	r := rand.New(rand.NewPCG(5, 6))
	for range 1500 {
		b := bytes.Clone(l.bytes)
		hit := map[int]bool{}
		for range 1 + r.IntN(4) {
			at := len(magic) + r.IntN(len(b)-len(magic))
			b[at] ^= 1 << r.IntN(8)
			for i, f := range l.frames {
				if f[0] <= at && at < f[1] {
					hit[i] = b[at] != l.bytes[at] || hit[i]
				}
			}
		}
		n, damage := good(t, b)
		if want := len(l.frames) - len(hit); n < want || damage.BadFrames > 0 {
			t.Fatalf("%d frames of %d, want %d: %v", n, len(l.frames), want, damage)
		}
		if n < len(l.frames) && damage.Bytes == 0 {
			t.Fatalf("%d frames of %d and nothing said", n, len(l.frames))
		}
	}
}

// A whole frame is found behind any rubbish, also rubbish that looks like the
// head of a long frame.
func TestFramesBehindRubbish(t *testing.T) {
	s, _ := fullSession(t, 20)
	l := layoutOf(t, s)
	torn := l.bytes[l.frames[0][0] : l.frames[0][1]-3]
	big := append(bytes.Clone(marker), 1, 2, 0, 0, 0xff, 0xff, 0x0f, 0, 1, 2, 3, 4)
	for name, rubbish := range map[string][]byte{
		"torn frame": torn, "long head": big, "half marker": marker[:2], "zeros": make([]byte, 3*maxPayload),
	} {
		b := append(bytes.Clone(l.bytes), rubbish...)
		b = append(b, l.bytes[l.frames[0][0]:]...)
		n, damage := good(t, b)
		if n != 2*len(l.frames) {
			// Edits and epochs of the second copy are refused by content.
			n += damage.BadFrames
		}
		if n != 2*len(l.frames) {
			t.Errorf("%s: %d frames, want %d: %v", name, n, 2*len(l.frames), damage)
		}
	}
}

// zeros is a large sparse file, and counts what is read of it.
type zeros struct{ read int64 }

func (z *zeros) ReadAt(b []byte, _ int64) (int, error) {
	clear(b)
	z.read += int64(len(b))
	return len(b), nil
}

// What is no session is not read to its end, which may be far away.
func TestLargeFileOfNothing(t *testing.T) {
	var z zeros
	if _, damage, err := read(&z, 1<<40); err != ErrNotSession || !damage.GaveUp {
		t.Error(damage, err)
	}
	if z.read > 2*maxGap {
		t.Errorf("%d bytes were read", z.read)
	}
}

func TestDamagedHeadStillOpens(t *testing.T) {
	s, epochs := fullSession(t, 20)
	b := layoutOf(t, s).bytes
	b[3] ^= 1
	got, damage, err := read(bytes.NewReader(b), int64(len(b)))
	if err != nil || !damage.Head || !damage.Any() {
		t.Fatal(damage, err)
	}
	compareRest(t, got, s)
	compareEpochs(t, got, epochs)
}

// What was lost is said by the session itself, wherever it is looked at, and by
// every copy of it.
func TestDamageIsCarried(t *testing.T) {
	s := New(Meta{StartSeen: true})
	for i := range time.Duration(3 * batch) {
		if err := s.AddEpoch(Epoch{Start: i * sec, End: (i + 1) * sec}); err != nil {
			t.Fatal(err)
		}
	}
	s.AddMark(Mark{Kind: MarkUser})
	l := layoutOf(t, s) // meta, mark, three of epochs, end
	at := func(frame, off int) int { return l.frames[frame][0] + off }
	const lacks, frame = "may lack calls", batch * sec
	missing := seconds(frame) + " of the recording is missing"
	first, second := fmt.Sprintf("%s to %s", seconds(0), seconds(frame)), fmt.Sprintf("%s to %s", seconds(frame), seconds(2*frame))
	for name, x := range map[string]struct {
		flip int
		says []string
		gap  Gap
	}{
		"a mark":           {at(1, 20), []string{"1 place (marks)", lacks}, Gap{}},
		"visits":           {at(5, 20), []string{"1 place (how often calls came up); no set is made of that"}, Gap{}},
		"the first epochs": {at(2, 20), []string{"1 place (calls)", missing, first, lacks}, Gap{0, frame}},
		"epochs":           {at(3, 20), []string{"1 place (calls)", missing, second, lacks}, Gap{frame, 2 * frame}},
		"the last epochs":  {at(4, 20), []string{"1 place (calls)", lacks}, Gap{}},
		"a length":         {at(3, 8), []string{"1 place;", second, lacks}, Gap{frame, 2 * frame}},
	} {
		b := bytes.Clone(l.bytes)
		b[x.flip] ^= 1
		got, damage, err := read(bytes.NewReader(b), int64(len(b)))
		if err != nil || !damage.Any() {
			t.Fatal(name, damage, err)
		}
		m := got.Missing()
		text := strings.Join(m.Sentences(), "\n")
		for _, want := range append(x.says, "this session is damaged: ") {
			if !strings.Contains(text, want) {
				t.Errorf("%s: does not say %q:\n%s", name, want, text)
			}
		}
		if damage.Sets != slices.Contains(x.says, lacks) {
			t.Errorf("%s: %+v", name, damage)
		}
		if m.Damage != damage || x.gap != (Gap{}) && (len(m.Gaps) != 1 || m.Gaps[0] != x.gap || damage.Time != frame) {
			t.Errorf("%s: %+v", name, m)
		}
		path := tempPath(t)
		if err := Save(path, got); err != nil {
			t.Fatal(err)
		}
		copied, damage, err := Open(path)
		if err != nil || damage != (Damage{}) {
			t.Fatal(name, damage, err)
		}
		if text := strings.Join(copied.Completeness(), "\n"); !strings.Contains(text, "copied from a file that lost something: ") {
			t.Errorf("%s: the copy says %q", name, text)
		}
	}
}

// Hostile files may not ask for time or memory without bound.
func TestHostileFiles(t *testing.T) {
	fake := append(bytes.Clone(marker), 1, 2, 0, 0, 0, 0, 0x0f, 0, 1, 2, 3, 4)
	b := append([]byte(magic), bytes.Repeat(fake, 1<<17)...)
	if _, damage, err := read(bytes.NewReader(b), int64(len(b))); err != ErrNotSession || !damage.GaveUp {
		t.Error(damage, err)
	}
	n := maxFrameEpochs
	bomb := newFrame(kindEpochs, wireEpochs{Since: make([]int64, n), Took: make([]int64, n), Rows: make([]int, n), Asleep: make([]int, n)})
	b = []byte(magic)
	for range 2000 {
		b = appendFrame(b, bomb)
	}
	got, damage, err := read(bytes.NewReader(b), int64(len(b)))
	if err != nil || !damage.GaveUp {
		t.Error(damage, err)
	}
	if n := len(got.table.starts); n > 1<<23 {
		t.Errorf("%d epochs of %d bytes", n, len(b))
	}
	over := appendFrame([]byte(magic), frame{kindMark, make([]byte, maxUnpacked+1)})
	if _, damage, err := read(bytes.NewReader(over), int64(len(over))); err != ErrNotSession || damage.BadFrames != 1 {
		t.Error(damage, err)
	}
}

// Frames whose lists are long and empty cost a thousand times what they take of
// the file: each kind may have so many elements and no more, and all together
// so many for the file's size.
func TestHostileLists(t *testing.T) {
	for name, bomb := range map[string]frame{
		"samples":  newFrame(kindSample, make([]struct{}, maxFrameSamples+1)),
		"learned":  newFrame(kindLearned, make([]struct{}, maxLearned+1)),
		"values":   newFrame(kindArguments, make([]struct{}, maxFrameSamples+1)),
		"by pid":   newFrame(kindProcesses, make([]struct{}, maxFrameSamples+1)),
		"runs":     newFrame(kindRun, map[int]any{1: "x", 11: make([]uint64, maxRunUses+1)}),
		"evidence": newFrame(kindSplit, map[int]any{6: make([]struct{}, maxEvidence+1)}),
		"a column": newFrame(kindEpochs, map[int]any{8: make([]int64, maxColumn+1)}),
	} {
		b := appendFrame([]byte(magic), bomb)
		if _, damage, err := read(bytes.NewReader(b), int64(len(b))); err != ErrNotSession || damage.BadFrames != 1 {
			t.Error(name, damage, err)
		}
	}
	for name, x := range map[string]struct {
		kind frameKind
		n    int
	}{"samples": {kindSample, maxFrameSamples}, "learned": {kindLearned, maxLearned}} {
		b := []byte(magic)
		for range 1000 {
			b = appendFrame(b, newFrame(x.kind, make([]struct{}, x.n)))
		}
		s, damage, err := read(bytes.NewReader(b), int64(len(b)))
		if err != nil || !damage.GaveUp {
			t.Error(name, damage, err)
			continue
		}
		if n := s.samples.total; n > 1<<19 {
			t.Errorf("%s: %d elements of %d bytes", name, n, len(b))
		}
	}
}

func FuzzOpen(f *testing.F) {
	s, _ := fullSession(f, 4)
	f.Add(layoutOf(f, s).bytes)
	f.Add(layoutOf(f, mergedSession(f)).bytes)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _, err := read(bytes.NewReader(b), int64(len(b)))
		if err == nil {
			exercise(t, s)
		}
	})
}

// FuzzPayload gets past the checksum: any bytes as the content of any frame.
func FuzzPayload(f *testing.F) {
	s, epochs := fullSession(f, 12)
	coarse, _ := fullSession(f, 12)
	coarse.table.fine = fineness{share: 1}
	coarse.coalesce()
	for _, x := range slices.Concat(s.frames(), mergedSession(f).frames(),
		[]frame{epochsFrame(epochs), epochsFrame(epochsOf(coarse)), s.table.visitsFrame()}) {
		f.Add(uint8(x.kind), x.payload)
	}
	f.Fuzz(func(t *testing.T, kind uint8, payload []byte) {
		b := appendFrame([]byte(magic), frame{frameKind(kind), payload})
		s, _, err := read(bytes.NewReader(b), int64(len(b)))
		if err == nil {
			exercise(t, s)
		}
	})
}

// joinAll makes a session as coarse as can be: no phase may lose a call by it.
func joinAll(t *testing.T, s *Session) {
	t.Helper()
	if len(s.table.starts) == 0 {
		return
	}
	sp := Split{At: s.Length() / 2}
	before := s.Observed(sp)
	s.table.fine = fineness{share: 1}
	s.coalesce()
	after := s.Observed(sp)
	for ph, uses := range before {
		want := map[policy.Call]bool{}
		for _, u := range uses {
			want[u.Call] = true
		}
		compareMore(t, want, after[ph])
	}
	s.Precision(sp.At)
	s.Blurred(sp)
}

// exercise does what a screen does with a session from anywhere, and writes it.
func exercise(t *testing.T, s *Session) {
	t.Helper()
	s.Propose(s.Length())
	sp, _ := s.Split()
	s.Policy(sp)
	s.Policy(Split{At: s.Length() / 2, Stop: s.Length()})
	s.Recognise(sp)
	s.Timeline(0, s.Length(), 40)
	s.Rate()
	s.Completeness()
	s.Samples()
	Rehearse(s, sp, s.Policy(sp))
	joinAll(t, s)
	if m, _, err := Merge("test", Input{"a\x1b", s}, Input{"b", s}); err == nil {
		sp, _ := m.Split()
		m.Policy(sp)
	}
	s.damage = Damage{} // a copy would tell of it in a mark
	var buf bytes.Buffer
	if err := s.writeTo(&buf); err != nil {
		t.Fatal(err)
	}
	got, damage, err := read(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil || damage != (Damage{}) {
		t.Fatalf("saved again: %v, %v", damage, err)
	}
	compareRest(t, got, s)
}
