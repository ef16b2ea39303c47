package target

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// What a daemon tells of is passed on with its name, whatever the other engines
// do; and all of it ends with the context.
func TestCreated(t *testing.T) {
	id := strings.Repeat("0a", 32)
	docker := fakeDaemon(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/events") {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"Type":"container","Action":"create","Actor":{"ID":"%s","Attributes":{"name":"web","image":"nginx"}},"timeNano":1}`, id)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}).place.at
	for name, x := range map[string]struct {
		socket string
		want   string // is said
	}{
		"hangs":   {server(t, hangs), "in time"},
		"garbage": {server(t, garbage), "does not speak as a"},
		"none":    {"/nonexistent/s", "there is no such socket"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			told := make(chan Target, 10)
			var mu sync.Mutex
			var said []string
			began := time.Now()
			wait := Find(Hosts{Docker: docker, Podman: "unix://" + x.socket, Containerd: x.socket, CRI: x.socket}).
				Created(ctx, func(c Target) { told <- c }, func(text string) {
					mu.Lock()
					defer mu.Unlock()
					said = append(said, text)
				})
			if took := time.Since(began); took > hearTime+engineTime {
				t.Errorf("heard after %v", took)
			}
			select {
			case c := <-told:
				if c.ID != id || c.Name != "web" || c.Engine != "docker" || !c.CanStart() {
					t.Errorf("got %+v", c)
				}
			case <-time.After(5 * time.Second):
				t.Error("nothing is told")
			}
			cancel()
			wait()
			mu.Lock()
			defer mu.Unlock()
			if !strings.Contains(strings.Join(said, "\n"), x.want) {
				t.Errorf("said %q, want %q", said, x.want)
			}
		})
	}
}

// A daemon that is not there is told of once, and not as one that went.
func TestCreatedWithoutDocker(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var said []string
	h := alone(t)
	var mu sync.Mutex
	wait := Find(h).Created(ctx, func(Target) {}, func(text string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, text)
	})
	cancel()
	wait()
	if all := strings.Join(said, "\n"); strings.Contains(all, "no longer") || !strings.Contains(all, "no docker daemon answers") {
		t.Errorf("said %q", said)
	}
}
