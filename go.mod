module speaker

go 1.26.0

require (
	charm.land/bubbletea/v2 v2.1.1 // the screen; github.com/charmbracelet/bubbletea under its v2 module name: its renderer sends a third of the bytes of v1
	charm.land/lipgloss/v2 v2.0.6 // the looks; github.com/charmbracelet/lipgloss under its v2 module name
	github.com/charmbracelet/colorprofile v0.4.3 // tells bubbletea which colours to use: we decide, it would ask tmux
	github.com/charmbracelet/x/ansi v0.11.9 // widths and cutting of styled text
	github.com/cilium/ebpf v0.22.0 // loads the tracer
	github.com/containerd/containerd/api v1.12.0 // containerd's services, without the client that pulls images
	github.com/containerd/errdefs v1.0.0 // kinds of errors that the Docker client gives
	github.com/creack/pty v1.1.24 // tests: a real terminal
	github.com/fxamacker/cbor/v2 v2.10.0 // session files, with limits for hostile input
	github.com/klauspost/compress v1.20.3 // zstd for session files
	github.com/moby/moby/client v0.6.2 // Docker
	github.com/moby/profiles/seccomp v0.3.0 // generator: Docker's default profile
	github.com/opencontainers/runtime-spec v1.3.0 // the form of seccomp profiles
	github.com/rogpeppe/go-internal v1.16.0 // tests: testscript drives the real binary
	github.com/seccomp/libseccomp-golang v0.11.1 // compiles filters
	github.com/spf13/cobra v1.10.2 // commands and flags
	github.com/spf13/pflag v1.0.10 // the errors of its flags
	go.yaml.in/yaml/v3 v3.0.5 // profiles of Kubernetes and the security-profiles-operator
	golang.org/x/net v0.62.0 // tests: a second BPF machine to hold ours against
	golang.org/x/sys v0.50.0 // system calls; its tables of call numbers
	golang.org/x/term v0.47.0 // is this a terminal?
	google.golang.org/grpc v1.85.0 // what containerd and CRI speak
	google.golang.org/protobuf v1.36.12 // containerd is asked for its version with an empty message
	k8s.io/cri-api v0.37.2 // the runtimes of Kubernetes
)

require (
	github.com/BurntSushi/toml v1.6.0 // indirect
	github.com/Microsoft/go-winio v0.6.2 // indirect
	github.com/bitfield/gotestdox v0.2.2 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/charmbracelet/ultraviolet v0.0.0-20261008173134-6b8d4baf91b4 // indirect
	github.com/charmbracelet/x/term v0.2.2 // indirect
	github.com/charmbracelet/x/termios v0.1.1 // indirect
	github.com/charmbracelet/x/windows v0.2.2 // indirect
	github.com/clipperhouse/displaywidth v0.11.0 // indirect
	github.com/clipperhouse/uax29/v2 v2.7.0 // indirect
	github.com/containerd/errdefs/pkg v0.3.0 // indirect
	github.com/containerd/log v0.1.0 // indirect
	github.com/containerd/ttrpc v1.2.9 // indirect
	github.com/containerd/typeurl/v2 v2.3.0 // indirect
	github.com/distribution/reference v0.6.0 // indirect
	github.com/dnephin/pflag v1.0.7 // indirect
	github.com/docker/go-connections v0.8.2 // indirect
	github.com/docker/go-units v0.5.0 // indirect
	github.com/fatih/color v1.18.0 // indirect
	github.com/felixge/httpsnoop v1.0.4 // indirect
	github.com/fsnotify/fsnotify v1.9.0 // indirect
	github.com/go-logr/logr v1.4.4 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/google/shlex v0.0.0-20191202100458-e7afc7fbc510 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/lucasb-eyer/go-colorful v1.4.1 // indirect
	github.com/mattn/go-colorable v0.1.13 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	github.com/mattn/go-runewidth v0.0.30 // indirect
	github.com/moby/docker-image-spec v1.3.1 // indirect
	github.com/moby/moby/api v1.56.1 // indirect
	github.com/muesli/cancelreader v0.2.2 // indirect
	github.com/opencontainers/go-digest v1.0.0 // indirect
	github.com/opencontainers/image-spec v1.1.1 // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	github.com/sirupsen/logrus v1.10.2 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	github.com/xo/terminfo v1.0.0 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp v0.60.0 // indirect
	go.opentelemetry.io/otel v1.45.0 // indirect
	go.opentelemetry.io/otel/metric v1.45.0 // indirect
	go.opentelemetry.io/otel/trace v1.45.0 // indirect
	golang.org/x/exp/typeparams v0.0.0-20260209203927-2842357ff358 // indirect
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // indirect
	gotest.tools/gotestsum v1.13.0 // indirect
	honnef.co/go/tools v0.8.2 // indirect
)

tool (
	github.com/cilium/ebpf/cmd/bpf2go
	gotest.tools/gotestsum
	honnef.co/go/tools/cmd/staticcheck
)
