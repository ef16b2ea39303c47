package target

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLines(t *testing.T) {
	var got []string
	l := &Lines{Each: func(s string) bool { got = append(got, s); return s != "last" }}
	for _, x := range []string{"a", "b\nc\r\n\n", strings.Repeat("x", 2*maxLine), "y\nz\n"} {
		if n, err := l.Write([]byte(x)); n != len(x) || err != nil {
			t.Fatal(n, err)
		}
	}
	want := []string{"ab", "c", "", strings.Repeat("x", maxLine), "z"}
	if !slices.Equal(got, want) {
		t.Errorf("%.40q", got)
	}
	if _, err := l.Write([]byte("last\nmore\n")); !errors.Is(err, errEnough) || len(got) != 6 {
		t.Error(err, len(got))
	}
}

func frame(stream byte, text string) string {
	head := []byte{stream, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint32(head[4:], uint32(len(text)))
	return string(head) + text
}

// A log is put together by stream; a cut one ends, and one of another form fails.
func TestDemultiplex(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want []string
		err  error
	}{
		"two streams": {frame(1, "a") + frame(2, "err\n") + frame(1, "b\n"), []string{"err", "ab"}, nil},
		"cut head":    {frame(1, "a\n") + "\x01\x00", []string{"a"}, io.ErrUnexpectedEOF},
		"cut body":    {frame(1, "a\n") + frame(1, "bc\n")[:9], []string{"a"}, io.EOF},
		"huge":        {frame(1, "a\n") + "\x01\x00\x00\x00\xff\xff\xff\xff", []string{"a"}, io.EOF},
		"unknown":     {frame(7, "a\n"), nil, nil},
	} {
		var got []string
		to := func() *Lines { return &Lines{Each: func(s string) bool { got = append(got, s); return true }} }
		err := demultiplex(bytes.NewReader([]byte(c.in)), [3]*Lines{to(), to(), to()})
		if !slices.Equal(got, c.want) || c.err != nil && !errors.Is(err, c.err) || name == "unknown" && err == nil || name == "two streams" && err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestTimed(t *testing.T) {
	at, text := timed("2024-01-02T03:04:05.123456789Z ready to accept")
	if text != "ready to accept" || at.Nanosecond() != 123456789 {
		t.Error(at, text)
	}
	if at, text := timed("ready to accept"); text != "ready to accept" || time.Since(at) > time.Minute {
		t.Error(at, text)
	}
}
