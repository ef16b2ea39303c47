package target

import (
	"fmt"
	"path"
	"strings"
)

// CheckPattern says what is wrong with a pattern for Matches.
func CheckPattern(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		return fmt.Errorf("%q is no pattern for names: * stands for any text, ? for one character, [ab] for one of some", cut(pattern))
	}
	return nil
}

// Matches reports whether a container is called as a pattern says: by its name,
// its name without or with its pod and namespace, or its id.
func (t Target) Matches(pattern string) bool {
	for _, name := range []string{t.Name, t.Name[strings.LastIndexByte(t.Name, '/')+1:], t.ID, t.Namespace + "/" + t.Name} {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}
