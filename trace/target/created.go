package target

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	made "github.com/containerd/containerd/api/events"
	containers "github.com/containerd/containerd/api/services/containers/v1"
	events "github.com/containerd/containerd/api/services/events/v1"
	"github.com/moby/moby/client"
)

// hearTime is how long an engine may take until it is heard. Podman's service needs
// seconds for its first answer on a busy machine, and nobody waits at a screen.
const hearTime = 8 * time.Second

// Created tells of every container that is made from now on, with its engine, id
// and name, before its first process is started: some tens of milliseconds before
// where one command makes and starts it. It returns when the engines are being
// heard, or have had eight seconds; what it began goes on until ctx ends, and wait
// returns then. tell and problem are called from several goroutines, and a
// container may be told of twice.
func (e *Engines) Created(ctx context.Context, tell func(Target), problem func(string)) (wait func()) {
	var all, heard sync.WaitGroup
	hear := func(name string, listen func(ready func()) error) {
		heard.Add(1)
		all.Go(func() {
			once := sync.OnceFunc(heard.Done)
			defer once()
			was := false
			err := listen(func() { was = true; once() })
			switch {
			case err == nil, ctx.Err() != nil:
			case was:
				problem("new containers of " + name + " are no longer heard of: " + err.Error())
			default:
				problem(err.Error())
			}
		})
	}
	for _, x := range e.all {
		switch x.name {
		case "docker":
			hear(x.name, func(ready func()) error { return hearDocker(ctx, x.at, ready, tell) })
		case "containerd":
			hear(x.name, func(ready func()) error { return newContainerd(x.at).hear(ctx, ready, tell) })
		case "podman":
			hear(x.name, func(ready func()) error {
				stores, err := storesOf(ctx, x.at)
				if err != nil {
					return err
				}
				return hearStores(ctx, func() []store { return stores }, ready, tell)
			})
		}
	}
	// Podman without a service, and CRI-O. The users' lists apart: a home may be slow.
	hear("Podman", func(ready func()) error { return hearStores(ctx, defaultStores, ready, tell) })
	hear("rootless Podman", func(ready func()) error { return hearStores(ctx, userStores, ready, tell) })
	done := make(chan struct{})
	go func() { heard.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(hearTime):
		problem("not every engine answers in time: a container may be missed")
	}
	return all.Wait
}

// hearDocker listens to a Docker daemon.
func hearDocker(ctx context.Context, at string, ready func(), tell func(Target)) error {
	d, err := NewDocker(at)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.answers(ctx); err != nil {
		return err
	}
	res := d.api.Events(ctx, client.EventsListOptions{Filters: client.Filters{}.Add("type", "container").Add("event", "create")})
	ready()
	for {
		select {
		case m := <-res.Messages:
			tell(Target{Engine: "docker", host: at, ID: cut(m.Actor.ID), Name: cut(m.Actor.Attributes["name"]),
				Image: cut(m.Actor.Attributes["image"]), State: "created", Created: time.Unix(0, m.TimeNano)})
		case err := <-res.Err:
			return d.place.explain(ctx, err)
		}
	}
}

// answers says why the daemon does not, if so.
func (d *Docker) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, hearTime)
	defer cancel()
	_, err := d.api.Ping(ctx, client.PingOptions{})
	return d.place.explain(ctx, err)
}

// hear listens to containerd. What Docker keeps there has no name in it, and is
// Docker's to tell.
func (d containerd) hear(ctx context.Context, ready func(), tell func(Target)) error {
	conn, err := connect(ctx, d.place.at)
	if err != nil {
		return d.place.explain(ctx, err)
	}
	defer conn.Close()
	stream, err := events.NewEventsClient(conn).Subscribe(ctx, &events.SubscribeRequest{Filters: []string{`topic=="/containers/create"`}})
	if err != nil {
		return d.place.explain(ctx, err)
	}
	ready()
	for {
		m, err := stream.Recv()
		if err != nil {
			return d.place.explain(ctx, err)
		}
		var c made.ContainerCreate
		if m.GetNamespace() == dockerNamespace || m.GetEvent().UnmarshalTo(&c) != nil {
			continue
		}
		// What it is called is in its labels.
		res, err := containers.NewContainersClient(conn).Get(in(ctx, m.GetNamespace()), &containers.GetContainerRequest{ID: c.GetID()})
		if err != nil {
			continue // it is gone
		}
		t := containerdTarget(res.GetContainer(), m.GetNamespace())
		if t.Namespace == criNamespace && strings.Contains(t.Name, "/") {
			t.Engine = "cri"
		}
		if !t.sandbox {
			tell(t)
		}
	}
}

// storesOf asks a Podman service where it keeps its containers: its own events
// come a quarter of a second late.
func storesOf(ctx context.Context, at string) ([]store, error) {
	d, err := NewPodman(at)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	ctx, cancel := context.WithTimeout(ctx, hearTime)
	defer cancel()
	res, err := d.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, d.place.explain(ctx, err)
	}
	if res.Info.DockerRootDir == "" || res.Info.Driver == "" {
		return nil, errors.New("podman does not tell where it keeps its containers: new ones are not heard of")
	}
	return storesIn(res.Info.DockerRootDir, res.Info.Driver, at), nil
}
