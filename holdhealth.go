package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"speaker/apply"
	"speaker/trace/ready"
	"speaker/trace/target"
	"speaker/tui/bench"
)

// watchHold names the probes that a held target has to answer: NAME watch PROBE...,
// or none.
func (s *settings) watchHold(ctx context.Context, name string, probes []string) error {
	if slices.Equal(probes, []string{"none"}) {
		probes = nil
	}
	list, err := ready.ParseAll(probes)
	if err != nil {
		return usageError{err}
	}
	for _, p := range list {
		if !p.Askable() {
			return usageError{fmt.Errorf("%s tells of the start alone: name what can be asked at any time, tcp:PORT, http://:PORT/PATH, health or cmd:COMMAND", p.Name)}
		}
	}
	if s.readOnly {
		return bench.ErrReadOnly
	}
	hold, err := s.attach(name)
	if err != nil {
		return err
	}
	x := apply.Health{Probes: probes, Hosts: target.Hosts{Docker: s.docker}}
	if slices.Contains(probes, "health") {
		st, err := hold.Status()
		if err != nil {
			return err
		}
		if x.Container, err = containerOf(ctx, x.Hosts, st.Pid); err != nil {
			return err
		}
	}
	if err := hold.WatchHealth(x); err != nil {
		return err
	}
	return s.status(hold)
}

// containerOf is the reference of the container that a process is the first of.
func containerOf(ctx context.Context, hosts target.Hosts, pid int) (string, error) {
	list, _ := target.Find(hosts).List(ctx)
	i := slices.IndexFunc(list, func(t target.Target) bool { return t.Pid == pid && t.CanStart() })
	if i < 0 {
		return "", errors.New("health: no engine knows the target, so there is no health check: name a probe of your own, http://:PORT/PATH say")
	}
	return list[i].Ref(), nil
}
