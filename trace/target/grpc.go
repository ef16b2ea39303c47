package target

import (
	"context"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// connect returns a connection to the gRPC server on a unix socket. The caller
// closes it. The socket is tried first by hand: gRPC's own errors hide why one
// cannot be reached.
func connect(ctx context.Context, socket string) (*grpc.ClientConn, error) {
	dial := dialer("unix", socket)
	c, err := dial(ctx, "", "")
	if err != nil {
		return nil, err
	}
	c.Close()
	return grpc.NewClient("passthrough:///"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()), // a socket's permissions are its security
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}),
		grpc.WithAuthority("localhost"),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithDisableServiceConfig())
}

// notServed reports that a server has no such service: a containerd without its
// CRI plugin.
func notServed(err error) bool { return status.Code(err) == codes.Unimplemented }

// socketPath takes "unix:///PATH" or "/PATH".
func socketPath(address string) string { return strings.TrimPrefix(address, "unix://") }
