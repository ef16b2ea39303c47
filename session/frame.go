package session

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// magic opens a session file. A file whose magic is damaged is still read when
// it holds a good frame.
const magic = "speaker session\n"

const (
	frameVersion = 1
	frameHead    = 16
)

// marker opens a frame. 0xf5 is in no UTF-8 text and in no CBOR header.
var marker = []byte{0xf5, 'S', 'p', 'k'}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frame is one piece of a session file: its type and its encoded payload.
type frame struct {
	kind    frameKind
	payload []byte // CBOR, not yet compressed
}

// appendFrame appends f as it lies in the file: marker, version, type, two zero
// bytes, length of what follows, CRC-32C of all but itself, payload in zstd.
func appendFrame(dst []byte, f frame) []byte {
	at := len(dst)
	dst = append(dst, marker...)
	dst = append(dst, frameVersion, byte(f.kind), 0, 0)
	dst = append(dst, make([]byte, 8)...)
	dst = encoder().EncodeAll(f.payload, dst)
	head := dst[at : at+frameHead]
	body := dst[at+frameHead:]
	binary.LittleEndian.PutUint32(head[8:], uint32(len(body)))
	binary.LittleEndian.PutUint32(head[12:], frameSum(head, body))
	return dst
}

func frameSum(head, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(head[:12], castagnoli), castagnoli, body)
}

// scanner finds the whole frames of a file, whatever lies between them.
type scanner struct {
	r    io.ReaderAt
	size int64
	off  int64 // next byte to look at
	buf  []byte
	base int64 // file offset of buf[0]
	work int64 // bytes that may still be summed

	bad []badBytes // what was passed over
}

// badBytes is a stretch of a file that is no frame, and what it held if all of
// it is what heads of frames, one after the other, say.
type badBytes struct {
	from, to int64
	held     kindSet
}

// newScanner reads the frames of r after the magic.
func newScanner(r io.ReaderAt, size int64) *scanner {
	// A hostile file can ask for sums without end, by markers whose lengths
	// overlap; an honest one is summed once, a damaged one little more.
	return &scanner{r: r, size: size, work: 8*size + 64*maxPayload}
}

// errWork is returned when a file asks for too much.
var errWork = errors.New("the file is damaged in too many places")

// next returns the type, the version and the compressed payload of the next
// whole frame, io.EOF after the last. The payload is good until the next call.
func (s *scanner) next() (kind frameKind, version byte, body []byte, err error) {
	from := s.off
	torn := badBytes{from, from, 0}
	for {
		at, err := s.find(from + maxGap)
		if err != nil {
			s.skip(from, s.size, torn)
			s.off = s.size
			return 0, 0, nil, err
		}
		head, body, err := s.frameAt(at)
		if err != nil {
			s.skip(from, s.size, torn)
			return 0, 0, nil, err
		}
		if head == nil {
			if at == torn.to {
				torn = s.headAt(torn)
			}
			s.off = at + 1
			continue
		}
		s.skip(from, at, torn)
		s.off = at + frameHead + int64(len(body))
		return frameKind(head[5]), head[4], body, nil
	}
}

// skip notes that the bytes from a up to b were no frame. torn is what the heads
// of damaged frames say of them; it counts when they end where b is, or beyond
// the end of a file that was cut.
func (s *scanner) skip(a, b int64, torn badBytes) {
	if b <= a {
		return
	}
	held := torn.held
	if torn.to != b && (b != s.size || torn.to < b) {
		held = 0
	}
	if n := len(s.bad); n > 0 && s.bad[n-1].to == a {
		s.bad[n-1].to = b
		s.bad[n-1].held |= held
		return
	}
	s.bad = append(s.bad, badBytes{a, b, held})
}

// headAt adds to torn the damaged frame that follows it, as its head tells it.
func (s *scanner) headAt(torn badBytes) badBytes {
	head, err := s.peek(torn.to, frameHead)
	if err != nil || len(head) < frameHead {
		return torn
	}
	torn.held = torn.held.with(frameKind(head[5]))
	torn.to += frameHead + int64(binary.LittleEndian.Uint32(head[8:]))
	return torn
}

// maxGap is how many bytes without a frame are looked through: far more than an
// accident leaves in a session, and what is no session is found out in a moment,
// however large it is.
const maxGap = 256 << 20

// find returns the offset of the next marker, which is sought up to the offset end.
func (s *scanner) find(end int64) (int64, error) {
	for {
		if s.off > end {
			return 0, errWork
		}
		b, err := s.peek(s.off, maxPayload)
		if err != nil {
			return 0, err
		}
		if i := bytes.Index(b, marker); i >= 0 {
			return s.off + int64(i), nil
		}
		if s.off+int64(len(b)) >= s.size || len(b) < len(marker) {
			return 0, io.EOF
		}
		s.off += int64(len(b) - len(marker) + 1)
	}
}

// frameAt returns the frame that begins at off; head is nil when there is none.
func (s *scanner) frameAt(off int64) (head, body []byte, err error) {
	head, err = s.peek(off, frameHead)
	if err != nil || len(head) < frameHead {
		return nil, nil, err
	}
	n := int64(binary.LittleEndian.Uint32(head[8:]))
	if n > maxPayload || off+frameHead+n > s.size {
		return nil, nil, nil
	}
	whole, err := s.peek(off, frameHead+int(n))
	if err != nil {
		return nil, nil, err
	}
	if s.work -= n + frameHead; s.work < 0 {
		return nil, nil, errWork
	}
	head, body = whole[:frameHead], whole[frameHead:]
	if frameSum(head, body) != binary.LittleEndian.Uint32(head[12:]) {
		return nil, nil, nil
	}
	return head, body, nil
}

// peek returns up to n bytes at off; fewer only at the end of the file.
func (s *scanner) peek(off int64, n int) ([]byte, error) {
	n = int(min(int64(n), s.size-off))
	if n <= 0 {
		return nil, nil
	}
	if off < s.base || off+int64(n) > s.base+int64(len(s.buf)) {
		if s.buf == nil {
			s.buf = make([]byte, 0, min(s.size, 2*(maxPayload+frameHead)))
		}
		s.base = off
		s.buf = s.buf[:min(int64(cap(s.buf)), s.size-off)]
		m, err := s.r.ReadAt(s.buf, off)
		s.buf = s.buf[:m]
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("read session: %w", err)
		}
		n = min(n, m)
	}
	i := off - s.base
	return s.buf[i : i+int64(n)], nil
}
