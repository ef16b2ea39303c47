package session

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"speaker/policy"
	"speaker/trace"
)

// Rule says by what happens where a split is to be: it holds for the next life of
// the program as well, where an instant does not. It is written as
//
//	2.5s                         that long after the start
//	listen-wait                  the first mark of a kind
//	ready 80                     the first whose text or process has the words
//	2s after exec nginx          and then so much later
//	2nd listen-wait 5432         the second one
//	call accept4                 the program's first use of a call
//
// The kinds are those of RuleEvents.
type Rule struct {
	Delay time.Duration // after the event, or, without one, after the start
	Nth   int           // which of them, 1 is the first; 0 without an event
	Event string        // one of RuleEvents; "" for a time alone
	Text  string        // words that the mark's text or process must have; or the name of the call
}

// eventCall waits for the first use of a call.
const eventCall = "call"

// ruleEvents are the words for what a rule can wait for, and the kinds of marks
// that they stand for.
var ruleEvents = []struct {
	word  string
	kinds []string
}{
	{"ready", []string{MarkReady}},
	{"listen", []string{MarkListen}},
	{"listen-wait", []string{MarkListenWait}},
	{"bind", []string{MarkBind}},
	{"accept", []string{MarkAccept}},
	{"wait", []string{MarkWait}},
	{"start", []string{MarkStart}},
	{"exec", []string{MarkExec, MarkStart}},
	{"fork", []string{MarkFork}},
	{"exit", []string{MarkExit}},
	{"signal", []string{MarkSignal}},
	{"drop", []string{MarkUID, MarkCaps, MarkNoNewPrivs}},
	{"seccomp", []string{MarkSeccomp}},
	{"mark", []string{MarkUser}},
	{eventCall, nil},
}

// RuleEvents are the words for what a rule can wait for: marks by their kind,
// "drop" for a privilege given up, "mark" for the user's own, "call" for the
// first use of a call.
func RuleEvents() []string {
	var out []string
	for _, e := range ruleEvents {
		out = append(out, e.word)
	}
	return out
}

const (
	maxRule = 200   // bytes of a rule as it is written
	maxNth  = 1_000 // which of many marks a rule may ask for
)

// ParseRule reads a rule as it is written. The error says what is wrong and what
// a rule looks like.
func ParseRule(text string) (Rule, error) {
	r, err := parseRule(text)
	if err != nil {
		return Rule{}, fmt.Errorf("no rule for a split: %w", err)
	}
	return r, nil
}

func parseRule(text string) (Rule, error) {
	var r Rule
	words := strings.Fields(text)
	switch {
	case len(text) > maxRule:
		return r, fmt.Errorf("it is longer than %d bytes", maxRule)
	case len(words) == 0:
		return r, errors.New(`it is empty: say a time (2.5s) or what to wait for ("ready 80", "2s after listen-wait", "call accept4")`)
	}
	if d, err := time.ParseDuration(words[0]); err == nil {
		if d < 0 || d >= maxOffset {
			return r, fmt.Errorf("%s is no time that a recording can have", words[0])
		}
		r.Delay = d
		if words = words[1:]; len(words) == 0 {
			return r, nil
		}
		if words[0] != "after" || len(words) == 1 {
			return r, fmt.Errorf("behind %v comes \"after\" and what to wait for, or nothing", d)
		}
		words = words[1:]
	}
	r.Nth = 1
	if n, ok := ordinalOf(words[0]); ok {
		if n < 1 || n > maxNth || len(words) == 1 {
			return r, fmt.Errorf("%s of what? It takes 1st to %s, and what to wait for", words[0], ordinal(maxNth))
		}
		r.Nth, words = n, words[1:]
	}
	r.Event, r.Text = words[0], strings.Join(words[1:], " ")
	return r, r.check()
}

// ordinalOf reads "2nd".
func ordinalOf(word string) (int, bool) {
	digits := strings.TrimRightFunc(word, unicode.IsLetter)
	n, err := strconv.Atoi(digits)
	return n, err == nil && slices.Contains([]string{"st", "nd", "rd", "th"}, word[len(digits):])
}

func (r Rule) check() error {
	if !slices.Contains(RuleEvents(), r.Event) {
		return fmt.Errorf("%q is neither a time nor one of %s", r.Event, strings.Join(RuleEvents(), ", "))
	}
	if r.Event != eventCall {
		return nil
	}
	if _, err := policy.ParseCall(r.Text); err != nil {
		return fmt.Errorf("call wants the name of a call: %w", err)
	}
	if r.Nth > 1 {
		return errors.New("of a call only the first use is known one by one")
	}
	return nil
}

// String writes the rule as ParseRule reads it.
func (r Rule) String() string {
	if r.Event == "" {
		return r.Delay.String()
	}
	var words []string
	if r.Delay > 0 {
		words = append(words, r.Delay.String(), "after")
	}
	if r.Nth > 1 {
		words = append(words, ordinal(r.Nth))
	}
	words = append(words, r.Event)
	if r.Text != "" {
		words = append(words, r.Text)
	}
	return strings.Join(words, " ")
}

// happened finds when what r waits for happened, without its delay, and says
// what it was. Call it with the lock held.
func (s *Session) happened(r Rule) (at time.Duration, what string, ok bool) {
	switch r.Event {
	case "":
		return 0, "", true
	case eventCall:
		c, err := policy.ParseCall(r.Text)
		if col := s.table.columns[key{trace.Main, c}]; err == nil && col != nil {
			return col.first, fmt.Sprintf("%v was first called at %s", c, seconds(col.first)), true
		}
		return 0, "", false
	}
	var hits []Mark
	for _, m := range s.marks {
		if r.means(m) {
			hits = append(hits, m)
		}
	}
	if len(hits) < r.Nth {
		return 0, "", false
	}
	slices.SortStableFunc(hits, byTime)
	m := hits[r.Nth-1]
	what = m.Kind
	if m.Pid != 0 {
		what = named(m) + " " + what
	}
	if m.Text != "" {
		what += " " + m.Text
	}
	return m.At, fmt.Sprintf("%s at %s", what, seconds(m.At)), true
}

// means reports whether m is what r waits for.
func (r Rule) means(m Mark) bool {
	for _, e := range ruleEvents {
		if e.word == r.Event {
			return slices.Contains(e.kinds, m.Kind) && (hasWords(m.Text, r.Text) || hasWords(m.Comm, r.Text))
		}
	}
	return false
}

// hasWords reports whether words are in text and are whole there: 80 is not in
// ":8080", and nginx is in "/usr/sbin/nginx".
func hasWords(text, words string) bool {
	if words == "" {
		return true
	}
	for from := 0; ; {
		i := strings.Index(text[from:], words)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		first, size := utf8.DecodeRuneInString(words)
		last, _ := utf8.DecodeLastRuneInString(words)
		after, _ := utf8.DecodeRuneInString(text[i+len(words):])
		if !(alnum(before) && alnum(first)) && !(alnum(last) && alnum(after)) {
			return true
		}
		from = i + size
	}
}

func alnum(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }
