package ready

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"speaker/trace/target"
)

// Limit is how long a probe is asked for.
const Limit = 10 * time.Minute

// Help says how probes are written, a line each.
const Help = `tcp:80, tcp:ADDRESS:80      a connection is accepted (by the kernel, once it listens)
http://:8080/health         it answers with a status from 200 to 399; https too
log:TEXT                    a line of its log holds TEXT (Docker, Podman; --output of run)
logfile:PATH:TEXT           a line added to a file on this host holds TEXT
health                      the container's own health check (Docker, Podman)
notify                      it says READY=1 (sd_notify): of run, and units of Type=notify
cmd:COMMAND                 a shell command on this host ends well (SPEAKER_PID is the target's)`

// Probe is a question that a target answers once it is ready.
type Probe struct {
	// Name is what it is called in marks: "tcp 127.0.0.1:80".
	Name string
	// Asks says that it does something to the target, if only to connect.
	Asks   bool
	Notify bool // it needs a socket in the target's environment

	text string // as it was written
	by   asker
}

// asker is one way to ask. It calls tell with every answer and returns nil when
// there was one, else why not. It returns when ctx ends.
type asker interface {
	ask(ctx context.Context, t Target, tell func(Answer)) error
}

// Answer is a target's word that it is ready.
type Answer struct {
	At    time.Time
	Said  string // what follows the probe's name: "answers 200"
	First bool   // it was the answer to the first asking: it may have been ready for long
}

// Target is what a probe must know of the target. Funcs may be called at any time.
type Target struct {
	// Pid returns a process of the program, in whose namespaces it is; 0 while it
	// has not begun: a container's runtime must not be asked, for its network is
	// the host's.
	Pid    func() int
	Owns   func(pid int) bool   // whether a process is the target's
	Found  func() target.Target // where it is, and of which engine
	Engine func() (*target.Docker, error)
	Since  time.Time // its log counts from then on; zero: from its start
	Socket *Socket   // what its NOTIFY_SOCKET is; nil: it has none of ours
}

// ErrUnsupported is that a target cannot be asked in this way.
var ErrUnsupported = errors.New("cannot be asked of this target")

// String is the probe as it was written.
func (p Probe) String() string { return p.text }

// Ask asks until there is an answer; the log and notices are listened to until ctx
// ends, for a set-up's server may have given the first answer. It returns nil if
// there was an answer.
func (p Probe) Ask(ctx context.Context, t Target, tell func(Answer)) error {
	return p.by.ask(ctx, t, tell)
}

// Parse reads a probe.
func Parse(s string) (Probe, error) {
	p := Probe{text: s}
	kind, rest, _ := strings.Cut(s, ":")
	var err error
	switch {
	case len(s) > maxText:
		return p, fmt.Errorf("a readiness probe of %d characters: %d at most", len(s), maxText)
	case s == "health":
		p.Name, p.by = s, health{}
	case s == "notify":
		p.Name, p.Notify, p.by = s, true, notice{}
	case kind == "tcp":
		p.Asks = true
		err = p.tcp(rest)
	case kind == "http", kind == "https":
		p.Asks = true
		err = p.http(s)
	case kind == "log" && rest != "":
		p.Name, p.by = fmt.Sprintf("log %q", rest), log{text: rest}
	case kind == "logfile":
		err = p.file(rest)
	case kind == "cmd" && strings.TrimSpace(rest) != "":
		p.Name, p.Asks, p.by = fmt.Sprintf("command %q", rest), true, command(rest)
	default:
		err = errors.New("say tcp:PORT, http://:PORT/PATH, log:TEXT, logfile:PATH:TEXT, health, notify or cmd:COMMAND")
	}
	if err != nil {
		return p, fmt.Errorf("readiness probe %q: %w", s, err)
	}
	return p, nil
}

// The most that is taken of probes: of one's characters, and how many.
const (
	maxText   = 1000
	maxProbes = 16
)

// ParseAll reads several probes; the same one twice is one.
func ParseAll(list []string) ([]Probe, error) {
	if len(list) > maxProbes {
		return nil, fmt.Errorf("%d readiness probes: %d at most", len(list), maxProbes)
	}
	var out []Probe
	seen := map[string]bool{}
	for _, s := range list {
		p, err := Parse(s)
		if err != nil {
			return nil, err
		}
		if !seen[p.Name] {
			seen[p.Name], out = true, append(out, p)
		}
	}
	return out, nil
}

// tcp reads 80 or ADDRESS:80.
func (p *Probe) tcp(s string) error {
	host, port := "", s
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, port = s[:i], s[i+1:]
	}
	to, err := places(strings.Trim(host, "[]"), port)
	if err != nil {
		return err
	}
	p.Name, p.by = "tcp "+to[0].String(), tcp(to)
	return nil
}

// http reads a URL whose host may be left out.
func (p *Probe) http(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Opaque != "" || u.User != nil {
		return errors.New("say http://:PORT/PATH, or with an address before the port")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	to, err := places(u.Hostname(), port)
	if err != nil {
		return err
	}
	if u.Hostname() == "" {
		u.Host = to[0].String()
	}
	p.Name, p.by = u.String(), web{u.String(), to}
	return nil
}

// places are where to connect to: without an address the target's loopback.
func places(host, port string) ([]netip.AddrPort, error) {
	n, err := netip.ParseAddrPort("127.0.0.1:" + port)
	if err != nil || n.Port() == 0 {
		return nil, fmt.Errorf("%q is not a port: give 1 to 65535", port)
	}
	if host == "" || host == "localhost" {
		return []netip.AddrPort{n, netip.AddrPortFrom(netip.IPv6Loopback(), n.Port())}, nil
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return nil, fmt.Errorf("%q is not an address: names are not looked up, for they mean something else in a container", host)
	}
	return []netip.AddrPort{netip.AddrPortFrom(a, n.Port())}, nil
}
