package server

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// HelpMain is the helper program: `_demo-help WWW DIR` writes the checksums of
// all documents, and of the cache in DIR, to a manifest in DIR.
func HelpMain(args []string) int {
	if len(args) != 2 {
		logf("use: %s WWW DIR", HelpWord)
		return 2
	}
	if err := writeManifest(args[0], args[1]); err != nil {
		unix.Write(reasonFD, []byte(err.Error())) // whoever runs it without one gets the status alone
		return 1
	}
	return 0
}

// reasonFD is where the helper says why it failed.
const reasonFD = 3

func writeManifest(www, dir string) error {
	docs, err := os.ReadDir(www)
	if err != nil {
		return err
	}
	paths := []string{filepath.Join(dir, cacheFile)}
	for _, d := range docs {
		if d.Type().IsRegular() {
			paths = append(paths, filepath.Join(www, d.Name()))
		}
	}
	var manifest []byte
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		manifest = fmt.Appendf(manifest, "%x  %s\n", sha256.Sum256(data), filepath.Base(p))
	}
	path := filepath.Join(dir, manifestFile)
	if err := os.WriteFile(path+".new", manifest, 0o644); err != nil {
		return err
	}
	return tried("renameat", path, unix.Renameat(unix.AT_FDCWD, path+".new", unix.AT_FDCWD, path))
}
