package target

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// store is a list of containers as Podman and CRI-O keep it on disk: written when
// one is made, before it is started. It is what tells of new ones where no
// service runs, as is usual for Podman.
type store struct {
	path string
	host string // the Podman service that keeps it; "": none, or none is known
}

const (
	storeRoot  = "/var/lib/containers/storage"
	storeRun   = "/run/containers/storage" // of those that do not outlive the host's boot
	storeEvery = 2 * time.Millisecond      // a look costs a microsecond for each list
	maxStore   = 16 << 20
)

func defaultStores() []store {
	var out []store
	for _, driver := range []string{"overlay", "vfs", "btrfs"} {
		out = append(out, storesIn(storeRoot, driver, "")...)
		out = append(out, storesIn(storeRun, driver, "")...)
	}
	return out
}

// storesIn are the lists below a storage folder, for a driver.
func storesIn(root, driver, host string) []store {
	dir := filepath.Join(root, filepath.Base(driver)+"-containers")
	return []store{{filepath.Join(dir, "containers.json"), host}, {filepath.Join(dir, "volatile-containers.json"), host}}
}

// version tells one state of a list from another: it is replaced as a whole.
type version struct {
	inode uint64
	size  int64
	at    time.Time
}

func (s store) version() version {
	fi, err := os.Stat(s.path)
	if err != nil {
		return version{}
	}
	v := version{size: fi.Size(), at: fi.ModTime()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		v.inode = st.Ino
	}
	return v
}

// hearStores looks for containers that come into the lists.
func hearStores(ctx context.Context, stores []store, ready func(), tell func(Target)) error {
	last := make([]version, len(stores))
	seen := map[string]bool{}
	look := func(report func(Target)) {
		for i, s := range stores {
			v := s.version()
			if v == last[i] {
				continue
			}
			list, err := s.read()
			if err != nil {
				continue // half replaced: it is read when it has changed again, or at the next look
			}
			last[i] = v
			for _, t := range list {
				if !seen[t.ID] {
					seen[t.ID] = true
					report(t)
				}
			}
		}
	}
	look(func(Target) {})
	ready()
	tick := time.NewTicker(storeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			look(tell)
		}
	}
}

// read reads a list; one that is not there is empty.
func (s store) read() ([]Target, error) {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxStore))
	if err != nil {
		return nil, err
	}
	return parseStore(b, s.host)
}

// parseStore takes ids and names out of a list. Image is what the engine noted
// of it.
func parseStore(b []byte, host string) ([]Target, error) {
	var list []struct {
		ID       string    `json:"id"`
		Names    []string  `json:"names"`
		Metadata string    `json:"metadata"`
		Created  time.Time `json:"created"`
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, err
	}
	var out []Target
	for _, c := range list {
		if !isID(c.ID) || len(c.Names) == 0 {
			continue
		}
		t := Target{Engine: "podman", host: host, ID: c.ID, Name: cut(c.Names[0]), State: "created", Created: c.Created}
		var m struct {
			Image string `json:"image-name"`
		}
		if json.Unmarshal([]byte(c.Metadata), &m) == nil {
			t.Image = cut(m.Image)
		}
		if !ofCRIO(&t) {
			continue
		}
		out = append(out, t)
	}
	return out, nil
}

// ofCRIO takes CRI-O's names apart: k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT. It is
// false for what only holds a pod's namespaces.
func ofCRIO(t *Target) bool {
	f := strings.Split(t.Name, "_")
	if len(f) != 6 || f[0] != "k8s" {
		return true
	}
	t.Engine, t.Namespace, t.Name = "cri", f[3], f[2]+"/"+f[1]
	return f[1] != "POD"
}
