package target

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
	findEvery  = time.Second
	maxStore   = 16 << 20
)

func defaultStores() []store { return storesAt(storeRoot, storeRun) }

// storesAt are the lists below an engine's two storage folders, for any driver.
func storesAt(root, run string) (out []store) {
	for _, driver := range []string{"overlay", "vfs", "btrfs"} {
		out = append(out, storesIn(root, driver, "")...)
		out = append(out, storesIn(run, driver, "")...)
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

// hearStores looks for containers that come into the lists. Which lists there are
// is asked again each second: of one that is then new, what is older than the
// listening is not told.
func hearStores(ctx context.Context, find func() []store, ready func(), tell func(Target)) error {
	began := time.Now()
	last := map[store]version{}
	seen := map[string]bool{}
	look := func(stores []store, report func(Target)) {
		for _, s := range stores {
			v := s.version()
			if v == last[s] {
				continue
			}
			list, err := s.read()
			if err != nil {
				continue // half replaced: it is read when it has changed again, or at the next look
			}
			last[s] = v
			for _, t := range list {
				if !seen[t.ID] {
					seen[t.ID] = true
					report(t)
				}
			}
		}
	}
	stores := find()
	look(stores, func(Target) {})
	ready()
	tick, again := time.NewTicker(storeEvery), time.NewTicker(findEvery)
	defer tick.Stop()
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			look(stores, tell)
		case <-again.C:
			now := find()
			added := slices.DeleteFunc(slices.Clone(now), func(s store) bool { return slices.Contains(stores, s) })
			look(added, func(t Target) {
				if t.Created.After(began) {
					tell(t)
				}
			})
			stores = now
		}
	}
}

// read reads a list; one that is not there is empty.
func (s store) read() ([]Target, error) {
	// It may be a user's, who may have put anything there.
	f, err := os.OpenFile(s.path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", s.path)
	}
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
