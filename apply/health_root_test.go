package apply

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"speaker/apply/keeper"
)

// A probe that fails under a denial undoes it, says why, and not while nothing is
// denied, or while a question waits.
func TestHealth(t *testing.T) {
	s, h := held(t, "health")
	s.wants("ping", "pong")
	sick := filepath.Join(s.dir, "sick")
	for probe, want := range map[string]string{"cmd:test -e " + sick: "fails already", "log:ready": "tells of the start alone",
		"health": "which container it is was not said", "tcp:0": "not a port"} {
		if err := h.WatchHealth(Health{Probes: []string{probe}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", probe, err)
		}
	}
	if err := h.WatchHealth(Health{Probes: []string{"cmd:test ! -e " + sick}}); err != nil {
		t.Fatal(err)
	}
	if got := status(t, h).Health; len(got.Probes) != 1 || got.Failing != "" {
		t.Errorf("%+v", got)
	}
	falls := func() {
		t.Helper()
		if err := os.WriteFile(sick, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getenv("SPEAKER_TEST_LONG") != "" {
		if err := h.AskFor(0, Asking{Limit: 20 * time.Second}); err != nil {
			t.Fatal(err)
		}
		got := s.later()
		q := asked(t, h, 1)
		falls()
		time.Sleep((keeper.HealthFails + 2) * keeper.HealthEvery) // there is nothing to wait for
		if now := status(t, h); now.Mode != keeper.Ask || now.Health.Failing != "" {
			t.Errorf("%+v", now)
		}
		_ = os.Remove(sick)
		if err := h.Answer(q.ID, AllowOnce, 0); err != nil {
			t.Fatal(err)
		}
		t.Log(<-got)
	}
	falls()
	if err := h.Deny(); err != nil {
		t.Fatal(err)
	}
	s.wants("mkdir", "EPERM")
	begin := time.Now()
	undone(t, h, "3 times in a row")
	t.Log("undone after ", time.Since(begin), ": ", status(t, h).Why)
	s.wants("mkdir", "ok")
	if err := h.WatchHealth(Health{}); err != nil {
		t.Fatal(err)
	}
	if got := status(t, h).Health; len(got.Probes) != 0 {
		t.Errorf("%+v", got)
	}
}
