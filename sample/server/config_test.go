package server

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

var whole = Config{Listen: netip.MustParseAddrPort("127.0.0.1:8080"), Self: "/bin/self", Helper: "/bin/help",
	WWW: "/srv", State: "/var/lib/x", Run: "/run/x", UID: 1000, GID: 1001, Workers: 2, Threads: 3, Pages: 64, Pace: time.Second}

func TestConfigRoundTrip(t *testing.T) {
	got, err := ParseConfig(whole.Bytes())
	if err != nil || !reflect.DeepEqual(got, whole) {
		t.Errorf("got %+v, %v, want %+v", got, err, whole)
	}
}

func TestConfigRefuses(t *testing.T) {
	tests := []struct{ name, from, to, want string }{
		{"a missing name", "workers 2\n", "", "workers is missing"},
		{"a name given twice", "workers 2\n", "workers 2\nworkers 2\n", "given twice"},
		{"an unknown name", "workers 2\n", "workers 2\nwrokers 2\n", "unknown"},
		{"no number", "uid 1000", "uid root", "invalid syntax"},
		{"no worker", "workers 2", "workers 0", "not within 1 to 16"},
		{"too many pages", "pages 64", "pages 5000", "not within 1 to 4096"},
		{"an address that is none", "127.0.0.1:8080", "here", "listen"},
		{"IPv6", "127.0.0.1:8080", "[::1]:8080", "not IPv4"},
		{"a pace beyond all bounds", "pace 1s", "pace 1h", "not within 0 to 10 s"},
		{"no value", "www /srv", "www", "without a value"},
		{"a line without end", "www /srv", "www " + strings.Repeat("x", 1<<17), "too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(string(whole.Bytes()), tt.from, tt.to, 1)
			if _, err := ParseConfig([]byte(text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(whole.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			return
		}
		if again, err := ParseConfig(c.Bytes()); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%+v comes back as %+v, %v", c, again, err)
		}
	})
}
