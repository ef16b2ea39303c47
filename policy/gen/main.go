// Command gen writes the tables of package policy: the names and numbers of all
// calls, and what is known of each. Run it by "go generate" in the folder of
// package policy.
//
// Its sources are the versions that go.mod pins of golang.org/x/sys (numbers)
// and github.com/moby/profiles/seccomp (Docker's default profile), and three
// files beside it: calls.tsv and risks.tsv, which are written by hand and say
// where each figure comes from, and systemd.txt.
package main

import (
	"fmt"
	"go/format"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	if len(os.Args) != 2 {
		log.Fatal("usage: gen FOLDER")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

// run writes both tables into a folder.
func run(dir string) error {
	nrs, err := readNumbers()
	if err != nil {
		return err
	}
	if err := write(filepath.Join(dir, "table.go"), nrs.source()); err != nil {
		return err
	}
	f, err := readFacts(nrs)
	if err != nil {
		return err
	}
	return write(filepath.Join(dir, "facts.go"), f.source())
}

// write formats a source file and writes it.
func write(path, source string) error {
	src, err := format.Source([]byte(source))
	if err != nil {
		return fmt.Errorf("format %s: %w", path, err)
	}
	return os.WriteFile(path, src, 0o644)
}

// module says which version of a module this one pins, and where it is.
func module(path string) (version, dir string, err error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", path).Output()
	if err != nil {
		return "", "", fmt.Errorf("find module %s: %w", path, err)
	}
	version, dir, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if !ok {
		return "", "", fmt.Errorf("find module %s: not downloaded", path)
	}
	return version, dir, nil
}
