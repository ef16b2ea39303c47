package target

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// Docker asks a Docker daemon (19.03 or newer; the API version is negotiated),
// or Podman's service, which speaks the same. The caller closes it. A daemon
// that hangs holds no call up longer than its context; one without a deadline is
// given five seconds (Start and Restart, which take as long as the container
// does, are not). Errors are one line.
type Docker struct {
	api   *client.Client
	place place
}

const (
	callTime      = 5 * time.Second
	maxContainers = 10_000
)

// NewDocker returns a client for the daemon at host ("unix:///run/docker.sock");
// "" means DOCKER_HOST, else the usual socket. Nothing is connected yet.
func NewDocker(host string) (*Docker, error) {
	if host == "" {
		host = os.Getenv(client.EnvOverrideHost)
	}
	if host == "" {
		host = client.DefaultDockerHost
	}
	return newDocker(place{engine: "docker", what: "docker daemon", at: host,
		elsewhere: "another address: --docker-host or DOCKER_HOST", group: "docker"},
		client.WithTLSClientConfigFromEnv(), client.WithAPIVersionFromEnv())
}

// NewPodman is NewDocker for Podman's service at host; "" means CONTAINER_HOST,
// else the socket of the system.
func NewPodman(host string) (*Docker, error) {
	if host == "" {
		host = os.Getenv(podmanEnv)
	}
	if host == "" {
		host = "unix://" + podmanSocket
	}
	return newDocker(place{engine: "podman", what: "podman service", at: host,
		elsewhere: "it is started by systemctl start podman.socket; another address: " + podmanEnv})
}

func newDocker(p place, opts ...client.Opt) (*Docker, error) {
	url, err := client.ParseHostURL(p.at)
	if err != nil || url.Scheme != "unix" && url.Scheme != "tcp" {
		return nil, fmt.Errorf("%s address %q: give unix:///PATH or tcp://HOST:PORT", p.engine, p.at)
	}
	opts = append(opts, client.WithHost(p.at), client.WithDialContext(dialer(url.Scheme, url.Host)))
	api, err := client.New(opts...)
	if err != nil {
		return nil, fmt.Errorf("%s at %s: %w", p.engine, p.at, err)
	}
	return &Docker{api: api, place: p}, nil
}

// Close ends the connections.
func (d *Docker) Close() error { return d.api.Close() }

// List lists all containers, the stopped ones too, without where their processes
// and cgroups are: Inspect tells that.
func (d *Docker) List(ctx context.Context) ([]Target, error) {
	ctx, cancel := bounded(ctx, callTime)
	defer cancel()
	res, err := d.api.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, d.place.explain(ctx, err)
	}
	var out []Target
	for _, c := range res.Items[:min(len(res.Items), maxContainers)] {
		t := Target{Engine: d.place.engine, host: d.place.at, ID: cut(c.ID), Image: cut(c.Image), Command: cut(c.Command),
			State: cut(string(c.State)), Created: time.Unix(c.Created, 0)}
		t.Name = t.ID[:min(12, len(t.ID))]
		if len(c.Names) > 0 {
			t.Name = cut(strings.TrimPrefix(c.Names[0], "/"))
		}
		out = append(out, t)
	}
	return out, nil
}

// Inspect finds one container by name or id, with its process and cgroup when it
// runs.
func (d *Docker) Inspect(ctx context.Context, nameOrID string) (Target, error) {
	ctx, cancel := bounded(ctx, callTime)
	defer cancel()
	if !isName(nameOrID) {
		return Target{}, d.unknown(ctx, nameOrID)
	}
	res, err := d.api.ContainerInspect(ctx, nameOrID, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) || errdefs.IsInvalidArgument(err) {
		return Target{}, d.unknown(ctx, nameOrID)
	}
	if err != nil {
		return Target{}, d.place.explain(ctx, err)
	}
	c := res.Container
	t := Target{Engine: d.place.engine, host: d.place.at, ID: cut(c.ID), Name: cut(strings.TrimPrefix(c.Name, "/")), Image: cut(c.Image),
		Command: cut(strings.Join(append([]string{c.Path}, c.Args...), " "))}
	if c.Config != nil && c.Config.Image != "" {
		t.Image = cut(c.Config.Image)
	}
	t.Created, _ = time.Parse(time.RFC3339Nano, c.Created)
	if c.State != nil {
		began, err := time.Parse(time.RFC3339Nano, c.State.StartedAt)
		t.RanBefore = err == nil && began.Year() > 1 // never: 0001-01-01
	}
	if c.State == nil || c.State.Pid <= 0 {
		if c.State != nil {
			t.State = cut(string(c.State.Status))
		}
		return t, nil
	}
	t.State, t.Pid = cut(string(c.State.Status)), c.State.Pid
	if t.CgroupPath, err = containerCgroup(t.Pid, t.ID); err != nil {
		return Target{}, fmt.Errorf("container %s: %w", t.Name, err)
	}
	return t, nil
}

// containerCgroup is the cgroup of a container's process. That it bears the
// container's id is what tells that the pid is one of this host and still that
// container's.
func containerCgroup(pid int, id string) (string, error) {
	in, mounts, err := whereIs(pid)
	if vanished(err) {
		return "", fmt.Errorf("its process %d is not here: it has just ended, or its daemon is on another host", pid)
	}
	if err != nil {
		return "", err
	}
	in = within(in, id)
	if in.V2 == "" && len(in.V1) == 0 {
		return "", fmt.Errorf("its process %d is not in a cgroup of that id here: it has just ended, or its daemon is on another host", pid)
	}
	if dir := pick(in, mounts); isCgroup(dir) {
		return dir, nil
	}
	return "", fmt.Errorf("no cgroup mount shows the cgroup of its process %d", pid)
}

// isName reports whether Docker or Podman could have given a container this name or id.
func isName(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-', r == '.':
		default:
			return false
		}
	}
	return s[0] != '.'
}

// Start starts a container that is stopped, as it was configured.
func (d *Docker) Start(ctx context.Context, id string) error {
	_, err := d.api.ContainerStart(ctx, id, client.ContainerStartOptions{})
	return d.place.explain(ctx, err)
}

// Restart stops a container and starts it again, in one request: the daemon
// finishes it even when the asker does not live to hear the answer. A container
// that is to be removed when it stops is kept.
func (d *Docker) Restart(ctx context.Context, id string) error {
	_, err := d.api.ContainerRestart(ctx, id, client.ContainerRestartOptions{})
	return d.place.explain(ctx, err)
}

func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, d)
}
