package tui

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// cleanMax bounds what one foreign string may take on the screen.
const cleanMax = 4096

// clean makes a foreign string harmless: everything that comes from a
// container, an engine, a file or an error passes here on its way to the
// screen, and nowhere else. What a terminal would act on, what has no width of
// its own and what cannot be told from a blank is shown as an escape (\x1b,
// \u202e), so that nothing is hidden and nothing is acted on. With ascii every
// other character beyond ASCII is shown so too.
func clean(s string, ascii bool) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if b.Len() > cleanMax {
			b.WriteString("...")
			break
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			writeEscape(&b, 'x', uint32(s[i]))
		case r == '\n' || r == '\t':
			b.WriteByte(' ')
		case harmless(r) && (r < 0x80 || !ascii):
			b.WriteRune(r)
		case r < 0x100:
			writeEscape(&b, 'x', uint32(r))
		case r < 0x10000:
			writeEscape(&b, 'u', uint32(r))
		default:
			writeEscape(&b, 'U', uint32(r))
		}
		i += n
	}
	return b.String()
}

// plain reports whether s is short and printable ASCII, as most strings are.
func plain(s string) bool {
	if len(s) > cleanMax {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// odd are letters and symbols that look like nothing at all, or that join the
// character before or after them, so that they have no width of their own.
var odd = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x0d4e, Hi: 0x0d4e, Stride: 1},             // Malayalam dot reph
	{Lo: 0x0e33, Hi: 0x0eb3, Stride: 0xeb3 - 0xe33}, // Thai and Lao am
	{Lo: 0x1100, Hi: 0x11ff, Stride: 1},             // parts of Hangul syllables, with fillers
	{Lo: 0x2800, Hi: 0x2800, Stride: 1},             // Braille blank
	{Lo: 0x3164, Hi: 0x3164, Stride: 1},             // Hangul filler
	{Lo: 0xa960, Hi: 0xa97c, Stride: 1},             // parts of Hangul syllables
	{Lo: 0xd7b0, Hi: 0xd7fb, Stride: 1},
	{Lo: 0xff9e, Hi: 0xffa0, Stride: 1}, // half-width voice marks, Hangul filler
}, R32: []unicode.Range32{
	{Lo: 0x111c2, Hi: 0x111c3, Stride: 1}, // signs that are put before a letter
	{Lo: 0x1193f, Hi: 0x11941, Stride: 2},
	{Lo: 0x11a84, Hi: 0x11a89, Stride: 1},
	{Lo: 0x11d46, Hi: 0x11d46, Stride: 1},
	{Lo: 0x11f02, Hi: 0x11f02, Stride: 1},
	{Lo: 0x1d159, Hi: 0x1d159, Stride: 1}, // musical null notehead
	{Lo: 0x1f1e6, Hi: 0x1f1ff, Stride: 1}, // flags: two make one
	{Lo: 0x1f3fb, Hi: 0x1f3ff, Stride: 1}, // skin tones
}}

// harmless reports whether a terminal draws r, by itself, in one or two cells,
// and does nothing else with it. Combining marks are not: terminals disagree
// about their width.
func harmless(r rune) bool {
	switch {
	case r < 0x7f:
		return r >= 0x20
	case r < 0xa1 || r == 0xad:
		return false
	}
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) && !unicode.Is(odd, r)
}

// writeEscape writes r as \x1b, \u202e or \U000e0001.
func writeEscape(b *strings.Builder, kind byte, r uint32) {
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[kind]
	h := strconv.FormatUint(uint64(r), 16)
	b.WriteByte('\\')
	b.WriteByte(kind)
	b.WriteString(strings.Repeat("0", max(0, digits-len(h))))
	b.WriteString(h)
}
