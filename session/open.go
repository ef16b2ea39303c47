package session

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"speaker/policy"
	"speaker/trace"
)

// ErrNotSession is returned for a file that holds no session at all.
var ErrNotSession = errors.New("not a session file")

// Open reads a session file, from any source: sizes are checked before anything
// is allocated, and what is damaged is passed over and told in Damage. It needs
// no privilege and changes nothing. The error is ErrNotSession for a file
// without a single good frame.
func Open(path string) (*Session, Damage, error) {
	f, err := openRegular(path, os.O_RDONLY)
	if err != nil {
		return nil, Damage{}, err
	}
	defer f.Close()
	return openFile(f)
}

// OpenAppend opens a session file as Open does, and goes on writing to it: the
// Writer is attached, and the caller closes it. Nothing that is in the file is
// changed, unless epochs are added: then it is written anew as Create says, if
// nothing of it was lost. It fails while another process writes the file.
func OpenAppend(path string) (*Session, *Writer, Damage, error) {
	f, err := openRegular(path, os.O_RDWR|os.O_APPEND)
	if err != nil {
		return nil, nil, Damage{}, err
	}
	err = lock(f)
	if err == nil {
		err = inPlace(f, path)
	}
	if err != nil {
		return nil, nil, Damage{}, errors.Join(err, f.Close())
	}
	s, damage, err := openFile(f)
	if err != nil {
		return nil, nil, damage, errors.Join(err, f.Close())
	}
	clearAside(path)
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, nil, damage, errors.Join(fmt.Errorf("open session: %w", err), f.Close())
	}
	w := newWriter(path, f, size)
	w.saved = s.Length()
	s.log = w
	w.of(s)
	return s, w, damage, nil
}

// inPlace makes sure that f, which is locked now, is still what lies at path:
// whoever wrote it may have put a shorter one there since it was opened.
func inPlace(f *os.File, path string) error {
	have, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open session: %w", err)
	}
	if now, err := os.Stat(path); err != nil || !os.SameFile(have, now) {
		return fmt.Errorf("open session: %s was just replaced: open it again", path)
	}
	return nil
}

// openRegular opens a file without waiting: a pipe's open or a device's could
// last for ever.
func openRegular(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("open session: %w", err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", path, ErrNotSession)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open session: %w", err), f.Close())
	}
	return f, nil
}

func openFile(f *os.File) (*Session, Damage, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, Damage{}, fmt.Errorf("open session: %w", err)
	}
	s, damage, err := read(f, st.Size())
	if err != nil {
		return nil, damage, fmt.Errorf("open session: %s: %w", f.Name(), err)
	}
	return s, damage, nil
}

// loader builds a session from frames.
type loader struct {
	s      *Session
	damage Damage
	room   int64 // bytes that frames may still unpack to
	good   int   // frames
	places int   // of damage, before the frame at hand
	torn   bool  // something was lost since the last epochs
	ended  bool
}

func read(r io.ReaderAt, size int64) (*Session, Damage, error) {
	head := make([]byte, len(magic))
	if _, err := r.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, Damage{}, fmt.Errorf("read session: %w", err)
	}
	// An honest file packs at most about tenfold: this bounds the memory that
	// a hostile one can ask for by its own size.
	l := loader{s: New(Meta{}), room: 32*size + 16<<20}
	l.s.loading = true // a file's epochs stay as they are
	l.damage.Head = !bytes.Equal(head, []byte(magic))
	sc := newScanner(r, size)
	if !l.damage.Head {
		sc.off = int64(len(magic))
	}
	for {
		kind, version, body, err := sc.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, errWork) {
			l.damage.GaveUp = true
			break
		}
		if err != nil {
			return nil, l.damage, err
		}
		l.torn = l.torn || len(sc.bad) > l.places
		l.places = len(sc.bad)
		if !l.frame(kind, version, body) {
			break
		}
	}
	l.finish(sc, size)
	l.s.damage, l.s.opened = l.damage, len(l.s.marks)
	l.s.loading = false
	l.s.resolve()
	if l.good == 0 {
		return nil, l.damage, ErrNotSession
	}
	return l.s, l.damage, nil
}

// finish tells what the scanner passed over.
func (l *loader) finish(sc *scanner, size int64) {
	var held kindSet
	for _, b := range sc.bad {
		l.damage.Places++
		l.damage.Bytes += b.to - b.from
		l.damage.Cut = b.to == size
		held |= b.held
		l.damage.Sets = l.damage.Sets || b.held.inSets()
	}
	d := &l.damage
	d.Sets = d.Sets || d.Cut || d.Time > 0 || d.NewerFrames > 0 || d.GaveUp
	l.damage.Held = held.String()
	l.damage.Unclosed = !l.ended
}

// frame takes one frame, and reports whether reading should go on.
func (l *loader) frame(kind frameKind, version byte, body []byte) bool {
	if version != frameVersion || kind < kindMeta || kind > lastKind {
		l.damage.NewerFrames++
		l.torn = true
		return true
	}
	payload, err := unpack(body)
	if l.room -= int64(len(payload)); l.room < 0 {
		l.damage.GaveUp = true
		return false
	}
	if err == nil {
		err = l.apply(kind, payload)
	}
	if err != nil {
		l.damage.BadFrames++
		l.damage.Sets = l.damage.Sets || kindSet(1<<kind).inSets()
		l.torn = true
		return true
	}
	l.good++
	l.ended = kind == kindEnd
	return true
}

// apply adds what a payload holds to the session.
func (l *loader) apply(kind frameKind, payload []byte) error {
	s := l.s
	switch kind {
	case kindMeta:
		return apply(payload, func(w wireMeta) error { s.SetMeta(w.meta()); return nil })
	case kindEpochs:
		return apply(payload, func(w wireEpochs) error { return w.epochs(l.epoch) })
	case kindMark:
		return apply(payload, func(w wireMark) error { s.AddMark(w.mark()); return nil })
	case kindSplit:
		return apply(payload, l.split)
	case kindTrial:
		return apply(payload, func(w wireTrial) error { s.AddTrial(w.trial()); return nil })
	case kindEdit:
		return apply(payload, l.edit)
	case kindMissing:
		return apply(payload, func(w wireMissing) error { l.s.change(func() { l.s.takeMissing(w) }); return nil })
	case kindSample:
		return apply(payload, l.samples)
	case kindLearned:
		return apply(payload, l.learned)
	case kindArguments:
		return apply(payload, l.arguments)
	case kindProcesses:
		return apply(payload, l.processes)
	case kindVisits:
		return apply(payload, func(w wireVisits) (err error) {
			s.change(func() { err = s.table.takeVisits(w) })
			return err
		})
	case kindAdmin:
		return apply(payload, l.admin)
	case kindRun:
		return apply(payload, l.run)
	}
	return nil
}

// apply decodes a payload and hands it on.
func apply[T any](payload []byte, f func(T) error) error {
	v, err := decode[T](payload)
	if err != nil {
		return err
	}
	return f(v)
}

// epoch adds an epoch. Of the first one behind damage it tells the time that is
// missing before it; a recording begins at 0.
func (l *loader) epoch(e Epoch) error {
	from, first := l.s.table.length(), len(l.s.table.starts) == 0
	if err := l.s.AddEpoch(e); err != nil {
		return err
	}
	if l.torn && e.Start > from+leastGap {
		l.damage.Time += e.Start - from
		if first {
			l.s.table.addGap(from, e.Start)
		}
	}
	l.torn = false
	return nil
}

// maxElement is what one element of a list takes of the room, about half of the
// memory that it takes.
const maxElement = 64

// take takes n elements of a list out of the room that is left.
func (l *loader) take(n int) { l.room -= int64(n) * maxElement }

func (l *loader) learned(ws []wireLearned) error {
	l.take(len(ws))
	for _, w := range ws {
		if w.Phase > uint8(policy.Admin) || w.ABI > policy.ARM64 {
			return errFrame
		}
	}
	l.s.change(func() { l.s.takeLearned(ws) })
	return nil
}

func (l *loader) arguments(ws []wireArgument) error {
	l.take(len(ws))
	list := make([]Argument, 0, min(len(ws), maxArguments))
	for _, w := range ws {
		a, err := w.argument()
		if err != nil {
			return err
		}
		list = append(list, a)
	}
	l.s.SetArguments(list, false)
	return nil
}

func (l *loader) processes(ws []wireProcessUse) error {
	l.take(len(ws))
	list := make([]ProcessUse, 0, min(len(ws), maxFrameTable))
	for _, w := range ws {
		u, err := w.use()
		if err != nil {
			return err
		}
		list = append(list, u)
	}
	l.s.SetProcesses(list)
	return nil
}

func (l *loader) split(w wireSplit) error {
	ok := false
	l.s.change(func() { ok = l.s.stepSplit(max(w.Step, splitAdd), w.split()) })
	if !ok {
		return errFrame
	}
	return nil
}

func (l *loader) run(w wireRun) error {
	l.take(len(w.Phase) + len(w.Notes) + len(w.Values))
	r, err := w.run()
	if err != nil {
		return err
	}
	ok := false
	l.s.change(func() { ok = l.s.merged.add(r) })
	if !ok {
		return errFrame
	}
	return nil
}

func (l *loader) edit(w wireEdit) error {
	if w.ABI > policy.ARM64 {
		return errFrame
	}
	return l.step(w.Step, decision{edit: w.edit()}, false)
}

func (l *loader) admin(w wireAdmin) error {
	c, err := w.change()
	if err != nil {
		return err
	}
	return l.step(w.Step, decision{admin: c}, true)
}

// step takes one step in the history of decisions. One that takes back another
// kind of decision than it says follows on something that was lost.
func (l *loader) step(step editStep, d decision, admin bool) error {
	ok := false
	l.s.change(func() {
		ok = (step == editAdd || l.s.next(step).isAdmin() == admin) && l.s.step(step, d)
	})
	if !ok {
		return errFrame
	}
	return nil
}

func (l *loader) samples(ws []wireSample) error {
	l.take(len(ws))
	var xs []Sample
	for _, w := range ws {
		if w.Group > trace.Exec || w.ABI > policy.ARM64 {
			return errFrame
		}
		xs = append(xs, w.sample())
	}
	l.s.AddSamples(xs)
	return nil
}
