package ready

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"speaker/trace/target"
)

// What can be asked at any time says what is so now, and once only.
func TestOnce(t *testing.T) {
	sick, asked := false, 0
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; sick {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer web.Close()
	mark := filepath.Join(t.TempDir(), "sick")
	me := Target{Pid: os.Getpid, Engine: func() (*target.Docker, error) { return nil, errors.New("none") }}
	_, port, _ := net.SplitHostPort(web.Listener.Addr().String())
	for text, want := range map[string]string{"tcp:" + port: "", "http://:" + port + "/": "500", "cmd:test ! -e " + mark: "exit status 1"} {
		p, err := Parse(text)
		if err != nil || !p.Askable() {
			t.Fatal(text, err)
		}
		sick = false
		_ = os.Remove(mark)
		if err := p.Once(context.Background(), me); err != nil {
			if strings.HasPrefix(text, "cmd") || os.Geteuid() == 0 {
				t.Error(text, err)
			}
			continue // another's namespaces are root's to enter
		}
		sick = true
		if err := os.WriteFile(mark, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := p.Once(context.Background(), me); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if os.Geteuid() == 0 && asked != 2 {
		t.Errorf("the page was asked for %d times", asked)
	}
	for _, text := range []string{"log:x", "notify", "logfile:/tmp/x:y"} {
		p, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Once(context.Background(), me); !errors.Is(err, ErrUnsupported) || p.Askable() {
			t.Errorf("%s: %v", text, err)
		}
	}
	p, _ := Parse("health")
	if err := p.Once(context.Background(), me); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}
