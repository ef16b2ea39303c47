package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// ParseConditions reads alternatives of conditions as ConditionsText writes them, or
// as C does:
//
//	arg0 == 0x1, or arg0 == 0x2 and arg1 & 0xf == 0x1
//	arg0 == AF_UNIX || arg0 == AF_INET && arg1 & 0xf == SOCK_STREAM
//	arg0 & CLONE_NEWUSER|CLONE_NEWNS == 0
//
// Numbers are decimal, hexadecimal (0x), octal (0) or ValueNames, several of them
// joined by "|". Any input is safe; an error is one line, with the column counted
// from 1.
func ParseConditions(s string) ([][]Condition, error) {
	p := conditionParser{words: conditionWords(s), end: len([]rune(s)) + 1}
	out := [][]Condition{{}}
	for {
		c, err := p.test()
		if err != nil {
			return nil, err
		}
		last := &out[len(out)-1]
		if *last = append(*last, c); len(*last) > MaxTests {
			return nil, &conditionError{p.at(), fmt.Sprintf("more than %d tests in one alternative", MaxTests)}
		}
		switch {
		case p.done():
			return out, nil
		case p.take("and"), p.take("&&"):
		case p.takeOr():
			if out = append(out, nil); len(out) > MaxAlternatives {
				return nil, &conditionError{p.at(), fmt.Sprintf("more than %d alternatives", MaxAlternatives)}
			}
		default:
			return nil, p.wrong("and, or, or the end")
		}
	}
}

// conditionError is what is wrong with conditions, and where.
type conditionError struct {
	column int
	text   string
}

func (e *conditionError) Error() string { return fmt.Sprintf("column %d: %s", e.column, e.text) }

// shifted is an error of ParseConditions for who reads more before.
func shifted(err error, by int) error {
	if e, ok := err.(*conditionError); ok {
		return &conditionError{e.column + by, e.text}
	}
	return err
}

// conditionWord is a word or a sign, and its column.
type conditionWord struct {
	text   string
	column int
}

// conditionWords parts a text. What is neither a word nor a sign is a sign of its own.
func conditionWords(s string) []conditionWord {
	var out []conditionWord
	r := []rune(s)
	isWord := func(r rune) bool { return r == '_' || r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r)) }
	for i := 0; i < len(r); {
		from := i
		switch {
		case unicode.IsSpace(r[i]):
			i++
			continue
		case isWord(r[i]):
			for i < len(r) && isWord(r[i]) {
				i++
			}
		case i+1 < len(r) && slices.Contains([]string{"==", "!=", "<=", ">=", "&&", "||"}, string(r[i:i+2])):
			i += 2
		default:
			i++
		}
		out = append(out, conditionWord{string(r[from:i]), from + 1})
	}
	return out
}

type conditionParser struct {
	words []conditionWord
	end   int // the column behind the text
}

func (p *conditionParser) done() bool { return len(p.words) == 0 }

func (p *conditionParser) at() int {
	if p.done() {
		return p.end
	}
	return p.words[0].column
}

// wrong says what is there in place of what should be.
func (p *conditionParser) wrong(want string) error {
	got := "it ends"
	if !p.done() {
		got = fmt.Sprintf("%q", shorten(p.words[0].text))
	}
	return &conditionError{p.at(), fmt.Sprintf("%s, want %s", got, want)}
}

// take takes a word if it is next.
func (p *conditionParser) take(text string) bool {
	if p.done() || p.words[0].text != text {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *conditionParser) takeOr() bool {
	p.take(",")
	return p.take("or") || p.take("||")
}

// test reads one condition.
func (p *conditionParser) test() (c Condition, err error) {
	at := p.at()
	if p.done() {
		return c, p.wrong("arg0 to arg5")
	}
	name, ok := strings.CutPrefix(p.words[0].text, "arg")
	if !ok || len(name) != 1 || name[0] < '0' || name[0] > '5' {
		return c, p.wrong("arg0 to arg5")
	}
	c.Arg, p.words = name[0]-'0', p.words[1:]
	if p.done() || !slices.Contains(compareSigns[:], p.words[0].text) {
		return c, p.wrong("a comparison (" + strings.Join(compareSigns[:], " ") + ")")
	}
	c.Op = Compare(slices.Index(compareSigns[:], p.words[0].text))
	p.words = p.words[1:]
	if c.Op == MaskedEqual {
		if c.Mask, err = p.value(); err != nil {
			return c, err
		}
		if !p.take("==") {
			return c, p.wrong("== and what the masked bits are")
		}
	}
	if c.Value, err = p.value(); err != nil {
		return c, err
	}
	if err := c.Check(); err != nil {
		return c, &conditionError{at, err.Error()}
	}
	return c, nil
}

// value reads a number, or some joined by "|".
func (p *conditionParser) value() (v uint64, err error) {
	for {
		if p.done() {
			return 0, p.wrong("a number")
		}
		text := p.words[0].text
		n, known := valueNames[text]
		if !known {
			if n, err = strconv.ParseUint(text, 0, 64); err != nil {
				return 0, p.wrong("a number, or a name like AF_UNIX")
			}
		}
		v, p.words = v|n, p.words[1:]
		if !p.take("|") {
			return v, nil
		}
	}
}
