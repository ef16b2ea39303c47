package apply

import (
	"fmt"
	"strings"
)

// count is a number with its noun: "1 process", "2 threads".
func count(n int, noun string) string {
	switch {
	case n == 1:
	case strings.HasSuffix(noun, "s"):
		noun += "es"
	default:
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// verb is a verb as it stands after n of something.
func verb(n int, word string) string {
	forms := map[string][2]string{"have": {"has", "have"}, "be": {"is", "are"}}
	form, ok := forms[word]
	if !ok {
		form = [2]string{word + "s", word}
	}
	if n == 1 {
		return form[0]
	}
	return form[1]
}
