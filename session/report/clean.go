package report

import (
	"strings"
	"unicode"
)

// maxText is the most that one foreign string takes of a page, in bytes.
const maxText = 1000

// clean makes a foreign string one line of characters that are what they look
// like: no controls, nothing that turns the direction of writing, no unusual line
// breaks. It escapes nothing.
func clean(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, string(unicode.ReplacementChar))))
}

func cleanAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = clean(s)
	}
	return out
}
