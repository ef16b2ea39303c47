package target

import (
	"context"
	"strings"
	"time"

	versions "github.com/containerd/containerd/api/services/version/v1"
	"github.com/moby/moby/client"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// versionTime is how long an engine may take to tell its version.
const versionTime = 2 * time.Second

// Version asks the engine of a container for its name and version: "docker
// 27.1.1", "containerd 1.7.24". It is "" for what has no engine, and where none
// answers within two seconds. The string is the engine's own and may hold any
// bytes.
func (e *Engines) Version(ctx context.Context, t Target) string {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	for _, x := range e.all {
		if x.name != t.Engine || t.host != "" && t.host != x.at {
			continue
		}
		if v, err := x.version(ctx); err == nil && v != "" {
			return cut(v)
		}
	}
	return ""
}

func (x engine) version(ctx context.Context) (string, error) {
	switch x.name {
	case "docker":
		return daemonVersion(ctx, x.name, NewDocker, x.at)
	case "podman":
		return daemonVersion(ctx, x.name, NewPodman, x.at)
	}
	conn, err := connect(ctx, socketPath(x.at))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if x.name == "cri" {
		return criVersion(ctx, conn)
	}
	v, err := versions.NewVersionClient(conn).Version(ctx, &emptypb.Empty{})
	if err != nil {
		return "", err
	}
	return named(x.name, v.GetVersion()), nil
}

func daemonVersion(ctx context.Context, name string, open func(string) (*Docker, error), at string) (string, error) {
	d, err := open(at)
	if err != nil {
		return "", err
	}
	defer d.Close()
	v, err := d.api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return "", err
	}
	return named(name, v.Version), nil
}

// criVersion names the runtime that is behind the CRI as well.
func criVersion(ctx context.Context, conn *grpc.ClientConn) (string, error) {
	v, err := cri.NewRuntimeServiceClient(conn).Version(ctx, &cri.VersionRequest{})
	if err != nil {
		return "", err
	}
	return named(v.GetRuntimeName(), v.GetRuntimeVersion()), nil
}

func named(engine, version string) string { return strings.TrimSpace(engine + " " + version) }
