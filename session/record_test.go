package session

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"speaker/policy"
	"speaker/trace"
)

// fakeSource is a source whose snapshots are given by the test. base is where
// its clock begins.
type fakeSource struct {
	args   []trace.ArgRow
	procs  []trace.ProcRow
	mu     sync.Mutex
	snaps  []trace.Snapshot
	errs   []error
	events []trace.Event
	sample []trace.Sample
	pids   []int
	now    uint64
	closed int
}

const base = 5_000_000_000

func (f *fakeSource) Snapshot() (trace.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		return trace.Snapshot{}, err
	}
	start := f.now
	f.now += 100
	if len(f.snaps) == 0 {
		return trace.Snapshot{Start: start, End: f.now}, nil
	}
	x := f.snaps[0]
	f.snaps = f.snaps[1:]
	x.Start, x.End = start, f.now
	for i := range x.Rows {
		x.Rows[i].First += start
		x.Rows[i].Last += start
	}
	return x, nil
}

func (f *fakeSource) Samples(dst []trace.Sample) []trace.Sample {
	f.mu.Lock()
	defer f.mu.Unlock()
	dst, f.sample = append(dst, f.sample...), nil
	return dst
}

func (f *fakeSource) Events(dst []trace.Event) []trace.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	dst, f.events = append(dst, f.events...), nil
	return dst
}

func (f *fakeSource) Pids() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.pids)
}

func (f *fakeSource) clock() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fakeSource) Arguments() ([]trace.ArgRow, error) { return f.args, nil }

func (f *fakeSource) Processes() ([]trace.ProcRow, error) { return f.procs, nil }

func (f *fakeSource) StartSeen() bool { return true }

func (f *fakeSource) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return nil
}

func (f *fakeSource) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// fakeProbe sees one call in flight and one wait of every pid.
type fakeProbe struct{ asked [][]int }

func (p *fakeProbe) InFlight(pids []int) []policy.Call {
	p.asked = append(p.asked, slices.Clone(pids))
	if len(pids) == 0 {
		return nil
	}
	return []policy.Call{{Nr: 232}}
}

func (p *fakeProbe) ListenWaits(pids []int) (out []ListenWait) {
	for _, pid := range pids {
		out = append(out, ListenWait{uint32(pid), "web", policy.Call{Nr: 232}, "tcp 0.0.0.0:80"})
	}
	return out
}

func (p *fakeProbe) Frozen(int) bool { return false }

func (p *fakeProbe) First(pids []int) uint32 {
	if len(pids) == 0 {
		return 0
	}
	return uint32(pids[0])
}

// driven is a recorder whose epochs end when the test says so.
type driven struct {
	*Recorder
	tick  chan time.Time
	ended chan struct{}
}

func drive(ctx context.Context, s *Session, w *Writer, src *fakeSource, probe Probe) driven {
	d := driven{tick: make(chan time.Time), ended: make(chan struct{}, 100)}
	d.Recorder = Record(ctx, s, w, src, probe, Options{Tick: d.tick, Now: src.clock, OnTick: func() { d.ended <- struct{}{} }})
	return d
}

func (d driven) step() {
	d.tick <- time.Time{}
	<-d.ended
}

func TestRecord(t *testing.T) {
	src := &fakeSource{now: base, pids: []int{7, 8, 9}}
	src.snaps = []trace.Snapshot{
		{Rows: []trace.Row{{Group: trace.Main, Nr: 257, Count: 3, First: 10, Last: 20}, {Group: trace.Init, Nr: 1, Count: 1, First: 1, Last: 1}}},
		{Rows: []trace.Row{{Group: trace.Main, ABI: trace.I386, Nr: 5, Count: 1, First: 30, Last: 30}}, Lost: trace.Lost{Table: 2}},
	}
	src.events = []trace.Event{
		{Time: base + 5, Kind: trace.EventExec, Pid: 7, Group: trace.Main, Comm: "web", Path: "/bin/web"},
		{Time: base + 6, Kind: trace.EventEnter, Pid: 8, Group: trace.Init, Comm: "runc"},
		{Time: base + 7, Kind: trace.EventFork, Pid: 8, Group: trace.Exec, Args: [2]uint64{9}},
		{Time: base + 8, Kind: 99},
	}
	src.args = []trace.ArgRow{{Group: trace.Main, Nr: 41, N: 2, Values: [2]uint64{2, 1}, Count: 3, First: base + 20, Last: base + 30}}
	src.procs = []trace.ProcRow{{Pid: 7, Comm: "web", Group: trace.Main, Nr: 257, Count: 3, First: base + 10, Last: base + 20},
		{Pid: 9, Comm: "runc", Group: trace.Exec, Nr: 1, Count: 1, First: base + 9, Last: base + 9}}
	src.sample = []trace.Sample{{Time: base + 10, Pid: 7, Group: trace.Main, Nr: 257, Path: "/etc/x"}}
	probe := &fakeProbe{}
	path := tempPath(t)
	w, err := Create(path, Meta{Tool: "test"})
	if err != nil {
		t.Fatal(err)
	}
	s := New(Meta{Tool: "test"})
	d := drive(t.Context(), s, w, src, probe)
	d.step()
	src.set(func() {
		src.pids = nil
		src.events = []trace.Event{{Time: base + 150, Kind: trace.EventExit, Pid: 7, Group: trace.Main, Args: [2]uint64{9}}}
	})
	d.step()
	if err := errors.Join(d.Stop(), d.Stop(), w.Close()); err != nil {
		t.Fatal(err)
	}
	checkRecorded(t, s)
	if got, want := s.Arguments(), []Argument{{trace.Main, policy.Call{Nr: 41}, []uint64{2, 1}, 3, 20, 30}}; !reflect.DeepEqual(got, want) {
		t.Errorf("arguments %+v, want %+v", got, want)
	}
	if got, want := s.Processes(), []ProcessUse{
		{Process{7, "web", "/bin/web", 0}, trace.Main, policy.Call{Nr: 257}, 3, 10, 20},
		{Process{9, "runc", "", 7}, trace.Exec, policy.Call{Nr: 1}, 1, 9, 9},
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("processes %+v, want %+v", got, want)
	}
	if src.closed != 1 || s.Length() != 300 {
		t.Errorf("closed %d times, %v long", src.closed, s.Length())
	}
	if len(probe.asked) == 0 || !slices.Equal(probe.asked[0], []int{7}) {
		t.Errorf("asked about %v: the others are not the program's", probe.asked)
	}
	got, damage, err := Open(path)
	if err != nil || damage != (Damage{}) {
		t.Fatal(damage, err)
	}
	checkRecorded(t, got)
	compareRest(t, got, s)
}

func checkRecorded(t *testing.T, s *Session) {
	t.Helper()
	if m := s.Meta(); m.Base != base || !m.StartSeen || m.Tool != "test" || time.Since(m.Start) > time.Hour {
		t.Errorf("meta %+v", m)
	}
	var marks []string
	for _, m := range s.Marks() {
		marks = append(marks, strings.TrimSpace(m.Kind+" "+m.Text))
	}
	want := []string{"listen-wait epoll_wait on tcp 0.0.0.0:80", "start /bin/web", "enter", "fork child 9", "ended the last process is gone", "exit killed by SIGKILL"}
	if !slices.Equal(marks, want) {
		t.Errorf("marks %q, want %q", marks, want)
	}
	obs := s.Observed(Split{At: 50})
	if b := obs[policy.Boot]; len(b) != 1 || b[0].Count != 3 || b[0].First != 10 || b[0].Last != 20 {
		t.Errorf("boot %+v", b)
	}
	if r := obs[policy.Run]; len(r) != 2 || !r[0].InFlight || r[1].Call != (policy.Call{ABI: policy.I386, Nr: 5}) || r[1].First != 130 {
		t.Errorf("run %+v", r)
	}
	if x := s.FirstSamples(); len(x) != 1 || x[0].Path != "/etc/x" || x[0].At != 10 {
		t.Errorf("samples %+v", x)
	}
	if s.Lost().Table != 0 || s.table.lost[0].lost.Table != 2 {
		t.Errorf("lost %+v", s.table.lost)
	}
}

func TestRecordEndsWithItsContextAndIsCounted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	src := &fakeSource{now: base}
	s := New(Meta{})
	d := drive(ctx, s, nil, src, nil)
	d.step()
	before := s.Generation()
	cancel()
	<-d.Done()
	if err := d.Err(); err != nil || src.closed != 1 || s.Length() != 200 || s.Generation() == before {
		t.Errorf("%v, closed %d times, %v long", err, src.closed, s.Length())
	}
}

func TestFailingSnapshots(t *testing.T) {
	broken := errors.New("no table today")
	src := &fakeSource{now: base, errs: []error{broken, broken, broken}}
	s := New(Meta{Base: base})
	d := drive(t.Context(), s, nil, src, nil)
	d.step()
	d.step()
	if err := d.Err(); !errors.Is(err, broken) {
		t.Errorf("err is %v", err)
	}
	d.step()
	d.step()
	if err := d.Stop(); err != nil {
		t.Errorf("it came back, and err is %v", err)
	}
	if m := s.Marks(); len(m) != 1 || m[0].Kind != MarkGap || !strings.Contains(m[0].Text, broken.Error()) {
		t.Errorf("marks %+v", m)
	}
	src = &fakeSource{errs: []error{trace.ErrClosed}}
	d = drive(t.Context(), New(Meta{}), nil, src, nil)
	d.step()
	<-d.Done()
	if err := d.Err(); !errors.Is(err, trace.ErrClosed) {
		t.Errorf("err is %v", err)
	}
}

// A probe that is slow is asked seldom.
func TestSlowProbeIsAskedSeldom(t *testing.T) {
	w := watcher{probe: slowProbe{}, seen: map[waitKey]bool{}}
	if inFlight, _ := w.look([]int{1}, true); inFlight == nil {
		t.Fatal("not asked at first")
	}
	if inFlight, _ := w.look([]int{1}, true); inFlight != nil {
		t.Error("asked again at once")
	}
}

// Where nothing was called, the last answer still holds, and nobody is asked.
func TestIdleProbeIsNotAsked(t *testing.T) {
	p := &countingProbe{}
	w := watcher{probe: p, seen: map[waitKey]bool{}}
	for i := range 5 {
		if inFlight, _ := w.look([]int{1}, i == 0); len(inFlight) != 1 {
			t.Errorf("look %d answers %v", i, inFlight)
		}
	}
	if p.asked != 1 {
		t.Errorf("asked %d times", p.asked)
	}
	w.next, w.idle = time.Time{}, time.Time{}
	if w.look([]int{1}, false); p.asked != 2 {
		t.Errorf("after a while it is asked %d times", p.asked)
	}
}

type countingProbe struct {
	asked  int
	frozen bool
}

func (p *countingProbe) InFlight([]int) []policy.Call {
	p.asked++
	return []policy.Call{{Nr: 281}}
}

func (p *countingProbe) ListenWaits([]int) []ListenWait { return nil }
func (p *countingProbe) First([]int) uint32             { return 0 }
func (p *countingProbe) Frozen(int) bool                { return p.frozen }

type slowProbe struct{}

func (slowProbe) InFlight([]int) []policy.Call {
	for end := time.Now().Add(20 * ms); time.Now().Before(end); {
		continue // as /proc does with many threads
	}
	return nil
}

func (slowProbe) ListenWaits([]int) []ListenWait { return nil }
func (slowProbe) First([]int) uint32             { return 0 }
func (slowProbe) Frozen(int) bool                { return false }

// A v1 freezer is asked now and then, and a change that the kernel told of is not
// told again.
func TestFreezerTellsChangesOnce(t *testing.T) {
	p := &countingProbe{}
	f := freezer{probe: p}
	look := func() bool { f.next = time.Time{}; return f.look([]int{1}) }
	if look() {
		t.Error("a change at the first look")
	}
	p.frozen = true
	if !look() || f.kind() != MarkFrozen || look() {
		t.Error("frozen is not told once")
	}
	p.frozen = false
	f.told(false)
	if look() || f.kind() != MarkThawed {
		t.Error("what was told is told again")
	}
	p.frozen = true
	if f.look(nil) || f.look([]int{1}) {
		t.Error("asked too soon, or about nobody")
	}
}
