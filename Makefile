# speaker: `make run` opens the workbench on the demo, `make test` checks everything.

GO      ?= go
BIN     := speaker
# One static binary: it runs on any host, and inside the demo's bare root.
export CGO_ENABLED := 1
BUILD   := $(GO) build -trimpath -tags netgo,osusergo -ldflags '-linkmode external -extldflags -static'

SUDO    := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

BUILD_DEPS := gcc libc6-dev pkg-config libseccomp-dev
# Not containerd and runc: they come with Docker, and Debian's packages of them
# conflict with Docker's own.
TEST_DEPS  := $(BUILD_DEPS) git clang llvm libbpf-dev strace tmux debootstrap podman crun manpages-dev default-jdk-headless
# The tools that ours is compared with.
BENCH_DEPS := bpftrace linux-perf strace

# What boots other kernels: machines, initramfs, programs for the other processor.
KERNEL_DEPS := $(BUILD_DEPS) strace qemu-system-x86 qemu-system-arm cpio zstd gcc-aarch64-linux-gnu libc6-dev-arm64-cross

.PHONY: run build test test-all test-kernels lint generate bench clean deps test-deps

run: build
	$(if $(SUDO),$(SUDO) )./$(BIN) demo

build: deps
	$(BUILD) -o $(BIN) .

deps:
	@.ci/install $(BUILD_DEPS)

test-deps:
	@.ci/install $(TEST_DEPS)
	@.ci/images

generate: test-deps
	$(GO) generate ./...

lint: test-deps
	@.ci/lint

# The tests need root, a kernel with BTF and Docker for their privileged part;
# without these that part is skipped, each test saying why.
test: build test-deps lint
	$(GO) tool gotestsum --format pkgname --format-hide-empty-pkg -- -count=1 -p 1 -timeout 30m ./...

# The tests of all that touches the kernel, on Debian's 6.1 and 6.12 and on arm64.
# Not a part of test: the machines are emulated, which takes a quarter of an hour,
# and the kernels are fetched the first time.
test-kernels: deps
	@.ci/install $(KERNEL_DEPS)
	@.ci/test-kernels

# Longer than a change should wait for: other kernels, a minute of calls at full
# speed, a kill at every step of a seal and of a boot under a hold, containers held
# with each runtime, rounds of switching and injecting under load by the hundred, and
# the fuzzers, two minutes each.
test-all: test test-kernels
	SPEAKER_TEST_LONG=1 $(GO) test -count=1 -run LongRun ./trace
	SPEAKER_TEST_LONG=1 $(GO) test -count=1 -run 'EveryStep|BootHold' ./apply
	SPEAKER_TEST_LONG=1 $(GO) test -count=1 -run Rounds .
	@.ci/fuzz 120s

bench: build test-deps
	@.ci/install $(BENCH_DEPS)
	$(GO) test -run '^$$' -bench . -benchtime 1s -timeout 30m ./...

clean:
	rm -f $(BIN)
