package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"speaker/session"
)

// rehearseProfile runs a recording against a profile.
func (s *settings) rehearseProfile(cmd *cobra.Command, sess *session.Session, path, profile string, f profileFlags, late, asJSON bool) error {
	_, rules, notes, err := f.read(profile)
	if err != nil {
		return err
	}
	for _, text := range notes {
		note(cmd, text)
	}
	sp, proposed, err := sess.SplitOrProposal()
	if err != nil {
		return hinted{fmt.Errorf("rehearse %s: %w", path, err), "speaker open " + path + " and set one"}
	}
	if proposed {
		note(cmd, path+" has no split: it is cut where one is proposed, "+sp.How)
	}
	r := session.RehearseRules(sess, sp, rules, late)
	if asJSON {
		err = s.profileRehearsalJSON(r)
	} else {
		s.showProfileRehearsal(r)
	}
	if err == nil && len(r.Denied) > 0 {
		err = fmt.Errorf("the profile would have denied %d calls", len(r.Denied))
	}
	return err
}

// showProfileRehearsal prints it for people. What a profile allows for nothing is
// long, and no fault of it.
func (s *settings) showProfileRehearsal(r session.ProfileRehearsal) {
	showDenied(s.out, "denied", r.Denied)
	for _, u := range r.Unsure {
		fmt.Fprintf(s.out, "unsure    %s in %s, %d times: %s\n", u.Call, u.Phase, u.Count, u.Why)
	}
	if len(r.Denied) == 0 && len(r.Unsure) > 0 {
		fmt.Fprintln(s.out, "nothing is known that would have been denied")
	} else if len(r.Denied) == 0 {
		fmt.Fprintln(s.out, "nothing would have been denied")
	}
	if n := len(r.Unused); n > 0 {
		fmt.Fprintf(s.out, "unused    %s that the profile allows, and nothing used\n", counted(n, "call"))
	}
}

// profileRehearsalJSON prints it for programs. Lists are never null.
func (s *settings) profileRehearsalJSON(r session.ProfileRehearsal) error {
	type unsure struct {
		Call  string `json:"call"`
		Phase string `json:"phase"`
		Count uint64 `json:"count"`
		Why   string `json:"why"`
	}
	out := struct {
		Denied []deniedJSON `json:"denied"`
		Unsure []unsure     `json:"unsure"`
		Unused []string     `json:"unused"`
	}{deniedOf(r.Denied), []unsure{}, callNames(r.Unused)}
	for _, u := range r.Unsure {
		out.Unsure = append(out.Unsure, unsure{u.Call.String(), u.Phase.String(), u.Count, u.Why})
	}
	return writeJSON(s.out, out)
}
