package server

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// Config is the server's configuration file, one "name value" a line.
type Config struct {
	Listen  netip.AddrPort // IPv4
	Self    string         // this program, to start workers from
	Helper  string         // the program that writes a generation's manifest
	WWW     string         // the documents
	State   string         // the generations of the cache
	Run     string         // process id, scoreboard
	UID     int            // who to become; 0 stays
	GID     int
	Workers int           // 1 to 16
	Threads int           // accepting threads of each worker, 1 to 16
	Pages   int           // cached pages of 4 KiB, 1 to 4096
	Pace    time.Duration // shortest time of a boot stage, 0 to 10 s
}

// fields ties names to where their values go: text, or a number in a range.
func (c *Config) fields() (text map[string]*string, num map[string]*int, limit map[string][2]int) {
	text = map[string]*string{"self": &c.Self, "helper": &c.Helper, "www": &c.WWW, "state": &c.State, "run": &c.Run}
	num = map[string]*int{"uid": &c.UID, "gid": &c.GID, "workers": &c.Workers, "threads": &c.Threads, "pages": &c.Pages}
	limit = map[string][2]int{"uid": {0, 1 << 30}, "gid": {0, 1 << 30}, "workers": {1, 16}, "threads": {1, 16}, "pages": {1, 4096}}
	return text, num, limit
}

// ParseConfig reads a configuration. Every name must be there, once.
func ParseConfig(data []byte) (Config, error) {
	var c Config
	text, num, limit := c.fields()
	seen := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		name, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		value = strings.TrimSpace(value)
		if name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		var err error
		switch {
		case seen[name]:
			err = fmt.Errorf("given twice")
		case text[name] != nil && value != "":
			*text[name] = value
		case num[name] != nil:
			err = inRange(num[name], value, limit[name])
		case name == "listen":
			c.Listen, err = netip.ParseAddrPort(value)
			if err == nil && !c.Listen.Addr().Is4() {
				err = fmt.Errorf("not IPv4")
			}
		case name == "pace":
			c.Pace, err = time.ParseDuration(value)
			if err == nil && (c.Pace < 0 || c.Pace > 10*time.Second) {
				err = fmt.Errorf("not within 0 to 10 s")
			}
		default:
			err = fmt.Errorf("unknown, or without a value")
		}
		if err != nil {
			return Config{}, fmt.Errorf("read line %d: %s: %w", n, name, err)
		}
		seen[name] = true
	}
	if err := lines.Err(); err != nil {
		return Config{}, fmt.Errorf("read lines: %w", err)
	}
	for name := range strings.FieldsSeq("listen self helper www state run uid gid workers threads pages pace") {
		if !seen[name] {
			return Config{}, fmt.Errorf("read config: %s is missing", name)
		}
	}
	return c, nil
}

func inRange(to *int, value string, limit [2]int) error {
	n, err := strconv.Atoi(value)
	if err != nil {
		return err
	}
	if n < limit[0] || n > limit[1] {
		return fmt.Errorf("%d is not within %d to %d", n, limit[0], limit[1])
	}
	*to = n
	return nil
}

// Bytes is the file that ParseConfig reads.
func (c Config) Bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# the demo server\nlisten %s\nself %s\nhelper %s\nwww %s\nstate %s\nrun %s\n",
		c.Listen, c.Self, c.Helper, c.WWW, c.State, c.Run)
	fmt.Fprintf(&b, "uid %d\ngid %d\nworkers %d\nthreads %d\npages %d\npace %s\n",
		c.UID, c.GID, c.Workers, c.Threads, c.Pages, c.Pace)
	return b.Bytes()
}

func readConfig(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read config: %w", err)
	}
	return ParseConfig(data)
}
