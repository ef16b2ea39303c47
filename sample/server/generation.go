package server

import (
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

const pageSize = 4096

// The files of a generation: a directory of its own under State, so that a new
// one is made beside the old and takes its place at once, or not at all.
const (
	cacheFile    = "pages"
	manifestFile = "manifest"
	currentLink  = "current"
)

// dir is the directory of a generation.
func (c Config) dir(gen int) string {
	return filepath.Join(c.State, "gen-"+strconv.Itoa(gen))
}

// makeDir makes an empty directory for a generation. Its first call is one that
// serving never makes, so a refused reload ends here, with nothing to undo. One
// that was refused later may have left a directory that it could not remove.
func (c Config) makeDir(gen int) error {
	dir := c.dir(gen)
	err := unix.Mkdirat(unix.AT_FDCWD, dir, 0o755)
	if err == unix.EEXIST {
		if err := c.remove(gen); err != nil {
			return err
		}
		err = unix.Mkdirat(unix.AT_FDCWD, dir, 0o755)
	}
	return tried("mkdirat", dir, err)
}

// writeCache renders the pages of a generation into its cache file.
func writeCache(dir string, gen, pages int) error {
	path := filepath.Join(dir, cacheFile)
	fd, err := unix.Openat(unix.AT_FDCWD, path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return tried("openat", path, err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(pages)*pageSize); err != nil {
		return tried("ftruncate", path, err)
	}
	var page [pageSize]byte
	for i := range pages {
		text := fmt.Appendf(page[:0], "page %d of generation %d\n", i, gen)
		for j := len(text); j < pageSize; j++ {
			page[j] = "............................................................... \n"[j%65]
		}
		if n, err := unix.Pwrite(fd, page[:], int64(i)*pageSize); err != nil || n != pageSize {
			return tried("pwrite64", path, err)
		}
	}
	return tried("fsync", path, unix.Fsync(fd))
}

// mapCache maps the cache of a generation, read-only. The caller unmaps it.
func mapCache(dir string) ([]byte, error) {
	path := filepath.Join(dir, cacheFile)
	fd, err := unix.Openat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, tried("openat", path, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, tried("fstat", path, err)
	}
	cache, err := unix.Mmap(fd, 0, int(st.Size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, tried("mmap", path, err)
	}
	if err := unix.Madvise(cache, unix.MADV_WILLNEED); err != nil {
		unix.Munmap(cache)
		return nil, tried("madvise", path, err)
	}
	return cache, nil
}

// publish makes a generation the current one.
func (c Config) publish(gen int) error {
	link := filepath.Join(c.State, currentLink)
	next := link + ".new"
	err := unix.Symlinkat(filepath.Base(c.dir(gen)), unix.AT_FDCWD, next)
	if err == unix.EEXIST { // left by a reload that was refused its renameat
		if err := unix.Unlinkat(unix.AT_FDCWD, next, 0); err != nil {
			return tried("unlinkat", next, err)
		}
		err = unix.Symlinkat(filepath.Base(c.dir(gen)), unix.AT_FDCWD, next)
	}
	if err != nil {
		return tried("symlinkat", next, err)
	}
	return tried("renameat", link, unix.Renameat(unix.AT_FDCWD, next, unix.AT_FDCWD, link))
}

// remove takes a generation away. A directory that is not there is no error.
func (c Config) remove(gen int) error {
	dir := c.dir(gen)
	for _, name := range []string{cacheFile, manifestFile, manifestFile + ".new"} {
		path := filepath.Join(dir, name)
		if err := unix.Unlinkat(unix.AT_FDCWD, path, 0); err != nil && err != unix.ENOENT {
			return tried("unlinkat", path, err)
		}
	}
	if err := unix.Unlinkat(unix.AT_FDCWD, dir, unix.AT_REMOVEDIR); err != nil && err != unix.ENOENT {
		return tried("unlinkat", dir, err)
	}
	return nil
}
