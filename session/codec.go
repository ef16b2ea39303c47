package session

import (
	"errors"
	"fmt"
	"sync"

	"github.com/fxamacker/cbor/v2"
	"github.com/klauspost/compress/zstd"
)

// frameKind says what a frame holds. The numbers are the file format: never
// reuse one. Kinds that are not known are passed over and counted.
type frameKind uint8

const (
	kindMeta      frameKind = 1
	kindEpochs    frameKind = 2
	kindMark      frameKind = 3
	kindSplit     frameKind = 4
	kindEdit      frameKind = 5
	kindTrial     frameKind = 6
	kindSample    frameKind = 7
	kindEnd       frameKind = 8 // the file was closed; frames after it were appended later
	kindLearned   frameKind = 9 // what was taken over from another recording
	kindArguments frameKind = 10
	kindProcesses frameKind = 11
	kindAdmin     frameKind = 13 // a step in the history of intervals of administration
	kindVisits    frameKind = 14 // in which intervals calls came up
	kindRun       frameKind = 15 // one recording of a merged session
	kindMissing   frameKind = 16 // what keeps the recording from being complete

	lastKind = kindMissing
)

// maxUnpacked is the most that one frame may unpack to.
const maxUnpacked = 8 << 20

// errFrame is a frame whose sum is right and whose content is not.
var errFrame = errors.New("frame makes no sense")

// encoder and decoder are shared: EncodeAll and DecodeAll may run side by side.
var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20),
		zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
})

var decoder = sync.OnceValue(func() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxUnpacked), zstd.WithDecoderMaxWindow(maxUnpacked))
	if err != nil {
		panic(err)
	}
	return d
})

// encMode and decMode are the CBOR of the file. Strings are hostile bytes: they
// need not be UTF-8.
var encMode = sync.OnceValue(func() cbor.EncMode {
	m, err := cbor.EncOptions{Sort: cbor.SortNone}.EncMode()
	if err != nil {
		panic(err)
	}
	return m
})

func decMode(elements int) cbor.DecMode {
	m, err := cbor.DecOptions{
		MaxNestedLevels:  8,
		MaxArrayElements: elements,
		MaxMapPairs:      64,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		UTF8:             cbor.UTF8DecodeInvalid,
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
	}.DecMode()
	if err != nil {
		panic(err) // the options are ours
	}
	return m
}

const (
	// maxFrameSamples and maxColumn bound the lists of a frame, which can be
	// long and empty: an element takes a byte of the file, and up to 200 of
	// memory. Writers stay far below.
	maxFrameSamples = 4096 // and of what else is a list of its own
	maxColumn       = 1 << 17
)

// The modes differ in how long a list may be.
var (
	columnMode = sync.OnceValue(func() cbor.DecMode { return decMode(maxColumn) })
	sampleMode = sync.OnceValue(func() cbor.DecMode { return decMode(maxFrameSamples) })
	learnMode  = sync.OnceValue(func() cbor.DecMode { return decMode(maxLearned) })
	shortMode  = sync.OnceValue(func() cbor.DecMode { return decMode(maxEvidence) })
)

// modeOf is how a wire value is decoded.
func modeOf(v any) cbor.DecMode {
	switch v.(type) {
	case *wireEpochs:
		return columnMode()
	case *wireMeta, *wireMissing, *wireMark, *wireSplit, *wireEdit, *wireTrial, *wireAdmin:
		return shortMode()
	case *[]wireLearned, *wireRun:
		return learnMode()
	}
	return sampleMode()
}

// newFrame encodes v, one of the wire types of this package.
func newFrame(kind frameKind, v any) frame {
	b, err := encMode().Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("session: encode %T: %v", v, err)) // plain structs of numbers and strings
	}
	return frame{kind, b}
}

// unpack returns the payload of a frame, of at most maxUnpacked bytes.
func unpack(body []byte) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(body); err != nil || h.Skippable {
		return nil, fmt.Errorf("%w: not compressed", errFrame)
	}
	if h.HasFCS && h.FrameContentSize > maxUnpacked {
		return nil, fmt.Errorf("%w: unpacks to %d bytes", errFrame, h.FrameContentSize)
	}
	out, err := decoder().DecodeAll(body, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFrame, err)
	}
	return out, nil
}

// decode reads one wire value from an unpacked payload.
func decode[T any](payload []byte) (v T, err error) {
	if err := modeOf(&v).Unmarshal(payload, &v); err != nil {
		return v, fmt.Errorf("%w: %w", errFrame, err)
	}
	return v, nil
}
