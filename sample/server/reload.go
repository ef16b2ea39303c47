package server

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// reload reads the configuration again, builds a new generation of the cache,
// has the workers change over to it, and removes the old one. If any step
// fails, the old generation goes on being served; the error names the call.
func (m *master) reload() (said string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, next := m.gen, m.gen+1
	defer func() {
		if err != nil {
			err = fmt.Errorf("reload failed: %w; still serving generation %d", err, old)
			logf("%v", err)
		}
	}()
	c, err := readConfig(m.path)
	if err != nil {
		return "", err
	}
	if err := m.makeDir(next); err != nil {
		return "", err
	}
	cache, err := m.changeOver(old, next, c.Pages)
	if err != nil {
		if undo := m.remove(next); undo != nil {
			logf("clean up: %v", undo)
		}
		return "", err
	}
	m.Pages = c.Pages
	cache, m.cache, m.gen = m.cache, cache, next
	said = fmt.Sprintf("reloaded: generation %d, %d pages", next, c.Pages)
	logf("%s", said)
	// The new generation is in use, so what is left over is no failure.
	if err := tried("munmap", "the old cache", unix.Munmap(cache)); err != nil {
		logf("clean up: %v", err)
	}
	if err := m.remove(old); err != nil {
		logf("clean up: %v", err)
	}
	return said, nil
}

// changeOver fills the directory of a new generation and makes it the current
// one everywhere, or nowhere.
func (m *master) changeOver(old, next, pages int) (cache []byte, err error) {
	dir := m.dir(next)
	if err := writeCache(dir, next, pages); err != nil {
		return nil, err
	}
	if err := m.manifest(next); err != nil {
		return nil, err
	}
	if cache, err = mapCache(dir); err != nil {
		return nil, err
	}
	var changed []*handle
	for _, h := range m.workers {
		if h == nil {
			continue
		}
		if err = h.command("map " + dir); err != nil {
			err = fmt.Errorf("worker %d: %w", h.slot, err)
			break
		}
		changed = append(changed, h)
	}
	if err == nil {
		err = m.publish(next)
	}
	if err == nil {
		return cache, nil
	}
	for _, h := range changed {
		if back := h.command("map " + m.dir(old)); back != nil {
			logf("worker %d stays on generation %d: %v", h.slot, next, back)
		}
	}
	unix.Munmap(cache)
	return nil, err
}
