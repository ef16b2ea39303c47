package target

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

// Health is how a container's own health check came out.
type Health struct {
	Status  string    // "starting", "healthy", "unhealthy"; "" without a check
	Failing int       // checks in a row
	Checked time.Time // when the last check ended; now if the engine does not say
}

// Health asks for the health of a container.
func (d *Docker) Health(ctx context.Context, id string) (Health, error) {
	ctx, cancel := bounded(ctx, callTime)
	defer cancel()
	res, err := d.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return Health{}, d.place.explain(ctx, err)
	}
	s := res.Container.State
	if s == nil || s.Health == nil || s.Health.Status == "none" {
		return Health{}, nil
	}
	h := Health{Status: cut(string(s.Health.Status)), Failing: s.Health.FailingStreak, Checked: time.Now()}
	if n := len(s.Health.Log); n > 0 && !s.Health.Log[n-1].End.IsZero() && s.Health.Log[n-1].End.Before(h.Checked) {
		h.Checked = s.Health.Log[n-1].End
	}
	return h, nil
}

// Logs follows what a container writes, from since on (zero: from its present
// start), and calls line with each line, cut at 16 KiB, and when it was written.
// It goes on until line answers false, the container or ctx ends.
func (d *Docker) Logs(ctx context.Context, id string, since time.Time, line func(at time.Time, text string) bool) error {
	ask, cancel := bounded(ctx, callTime)
	res, err := d.api.ContainerInspect(ask, id, client.ContainerInspectOptions{})
	cancel()
	if err != nil {
		return d.place.explain(ctx, err)
	}
	c := res.Container
	if since.IsZero() && c.State != nil {
		since, _ = time.Parse(time.RFC3339Nano, c.State.StartedAt)
	}
	opt := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: true}
	if !since.IsZero() {
		opt.Since = fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond())
	}
	r, err := d.api.ContainerLogs(ctx, id, opt)
	if err != nil {
		return d.place.explain(ctx, err)
	}
	defer r.Close()
	to := func() *Lines { return &Lines{Each: func(text string) bool { return line(timed(text)) }} }
	if c.Config != nil && c.Config.Tty {
		_, err = io.Copy(to(), r)
	} else {
		err = demultiplex(r, [3]*Lines{to(), to(), to()})
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return d.place.explain(ctx, err)
}

// demultiplex reads what an engine writes for a container without a terminal:
// frames of one stream, of the length that stands before each.
func demultiplex(r io.Reader, to [3]*Lines) error {
	var head [8]byte // stream, 0, 0, 0, length
	for {
		switch _, err := io.ReadFull(r, head[:]); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if head[0] > 2 {
			return errors.New("its log is not in the form that is known")
		}
		n := int64(binary.BigEndian.Uint32(head[4:]))
		if _, err := io.CopyN(to[head[0]], r, n); err != nil {
			return err
		}
	}
}

// timed parts a line from the time before it.
func timed(line string) (time.Time, string) {
	word, text, _ := strings.Cut(line, " ")
	at, err := time.Parse(time.RFC3339Nano, word)
	if err != nil {
		return time.Now(), line
	}
	return at, text
}

const maxLine = 16 << 10

// errEnough is that no more lines are wanted.
var errEnough = errors.New("enough")

// Lines is a writer that gives Each every whole line that is written to it. What
// is longer than 16 KiB is cut. It fails once Each answers false.
type Lines struct {
	Each func(line string) bool
	part []byte
}

// Write implements io.Writer.
func (l *Lines) Write(b []byte) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		piece := b
		if i >= 0 {
			piece = b[:i]
		}
		l.part = append(l.part, piece[:min(len(piece), maxLine-len(l.part))]...)
		if i < 0 {
			return n, nil
		}
		line := strings.TrimSuffix(string(l.part), "\r")
		l.part, b = l.part[:0], b[i+1:]
		if !l.Each(line) {
			return n, errEnough
		}
	}
}
