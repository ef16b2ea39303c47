package proc

import (
	"encoding/binary"
	"reflect"
	"slices"
	"strings"
	"testing"

	"speaker/trace"
)

const tail = " 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 100"

func TestParseStat(t *testing.T) {
	tests := []struct {
		name, in string
		want     stat
		bad      bool
	}{
		{"plain", "12 (nginx) S" + tail, stat{"nginx", 'S', 1, 4194560, 3, 100}, false},
		{"brackets in the name", "12 (a) R (b) D" + tail, stat{"a) R (b", 'D', 1, 4194560, 3, 100}, false},
		{"line break in the name", "12 (a\nb) T" + tail, stat{"a\nb", 'T', 1, 4194560, 3, 100}, false},
		{"empty", "", stat{}, true},
		{"cut after the name", "12 (a)", stat{}, true},
		{"cut later", "12 (a) S 1 12", stat{}, true},
		{"brackets the wrong way", ")(", stat{}, true},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			got, err := parseStat([]byte(x.in))
			if got != x.want || (err != nil) != x.bad {
				t.Errorf("got %+v %v", got, err)
			}
		})
	}
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("12 (a) R (b) D" + tail))
	f.Add([]byte(")("))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := parseStat(b); err == nil && !strings.Contains(string(b), "("+s.comm+")") {
			t.Errorf("%q: %+v", b, s)
		}
	})
}

func TestParseSyscall(t *testing.T) {
	tests := []struct {
		in   string
		nr   int32
		args [6]uint64
	}{
		{"running\n", -1, [6]uint64{}},
		{"-1 0x7ffc 0x7f12\n", -1, [6]uint64{}},
		{"232 0x5 0x7f 0x200 0xffffffffffffffff 0x0 0x1 0x7ffd 0x7f\n", 232, [6]uint64{5, 0x7f, 0x200, 1<<64 - 1, 0, 1}},
		{"232 0x5 0x7f zz 0x0 0x0 0x1 0x7ffd 0x7f\n", -1, [6]uint64{}},
		{"99999999999 0x5 0x7f 0x1 0x0 0x0 0x1 0x7ffd 0x7f\n", -1, [6]uint64{}},
		{"", -1, [6]uint64{}},
	}
	for _, x := range tests {
		if nr, args := parseSyscall(x.in); nr != x.nr || args != x.args {
			t.Errorf("%q: got %d %v", x.in, nr, args)
		}
	}
}

func FuzzSyscall(f *testing.F) {
	f.Add("232 0x5 0x7f 0x200 0xffffffffffffffff 0x0 0x1 0x7ffd 0x7f\n")
	f.Add("running")
	f.Fuzz(func(t *testing.T, s string) {
		if nr, args := parseSyscall(s); nr < -1 || nr == -1 && args != [6]uint64{} {
			t.Errorf("%q: %d %v", s, nr, args)
		}
	})
}

func TestParseStatus(t *testing.T) {
	in := "Name:\tsleep\\nPid: 1\nState:\tS (sleeping)\nTgid:\t42\nPid:\t42\nPPid:\t7\nTracerPid:\t9\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n" +
		"Groups:\t" + strings.Repeat("4294967294 ", 65536) + "\n" + // what a hostile process can put before the rest
		"NSpid:\t42\t3\nThreads:\t4\nCapEff:\t00000000a80425fb\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n"
	want := Info{Pid: 42, PPid: 7, NSPid: 3, Uid: 2, Gid: 6, Tracer: 9, Threads: 4, Seccomp: 2, Filters: 3,
		State: 'S', Comm: `sleep\nPid: 1`, NoNewPrivs: true, CapEff: 0xa80425fb}
	if len(in) > maxStatus {
		t.Errorf("a status file may have %d bytes, %d are read", len(in), maxStatus)
	}
	if got, leader := parseStatus(in); !reflect.DeepEqual(got, want) || leader != 42 {
		t.Errorf("got  %+v %d\nwant %+v", got, leader, want)
	}
}

func FuzzStatus(f *testing.F) {
	f.Add("Name:\ta\nState:\tS\nUid:\t1\nNSpid:\t\nCapEff:\tzz\n")
	f.Add("Uid:\t1 2 3 4\nPid: 99999999999999999999\nState:")
	f.Fuzz(func(t *testing.T, s string) { parseStatus(s) })
}

func TestParseSockets(t *testing.T) {
	got := sockets{}
	for _, line := range []string{
		"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1",
		"   2: garbage 0A",
		"   3: 0100007F:XX 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 776 1",
	} {
		if !got.addTCP("tcp", line) {
			t.Errorf("%q ended the table", line)
		}
	}
	if got.addTCP("tcp", "   1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 778 1") {
		t.Error("the first connection did not end the table")
	}
	got.addTCP("tcp6", "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 779 1")
	for _, line := range []string{
		"0: 00000002 00000000 00010000 0001 01 780 /run/a b.sock",
		"0: 00000003 00000000 00000000 0001 03 781 /run/a.sock",
		"0: 00000002 00000000 00010000 0001 01 782",
		"0: 00000002 00000000 00010000 0001 01 0 /zero",
	} {
		got.addUnix(line)
	}
	want := sockets{777: "tcp 127.0.0.1:8080", 776: "tcp ?", 779: "tcp6 [::]:80", 780: "unix /run/a b.sock", 782: "unix (unnamed)"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if a := got.at("socket:[777]"); a != "tcp 127.0.0.1:8080" {
		t.Errorf("got %q", a)
	}
	for _, to := range []string{"", "socket:[777", "socket:[]", "pipe:[777]", "socket:[778]", "/socket:[777]"} {
		if a := got.at(to); a != "" {
			t.Errorf("%q leads to %q", to, a)
		}
	}
}

func FuzzSockets(f *testing.F) {
	f.Add("   0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 777 1")
	f.Add("0: 00000002 00000000 00010000 0001 01 780 /run/a b.sock")
	f.Add("socket:[1]")
	f.Fuzz(func(t *testing.T, line string) {
		s := sockets{}
		s.addTCP("tcp", line)
		s.addUnix(line)
		s.at(line)
		parseAddr(line)
		if _, zero := s[0]; zero || len(s) > 2 {
			t.Errorf("got %v", s)
		}
	})
}

func TestParseEpollEntry(t *testing.T) {
	tests := []struct {
		in   string
		want epollEntry
		ok   bool
	}{
		{"tfd:        6 events: 80000019 data: 1122334455667788  pos:0 ino:61af sdev:7\n", epollEntry{6, 0x80000019, 0x61af, 7}, true},
		{"tfd: 6 events: 19 data: 6\n", epollEntry{}, false},
		{"tfd: -6 events: 19 data: 6 pos:0 ino:1 sdev:7\n", epollEntry{}, false},
		{"tfd: 6 events: 19 data: 6 pos:0 ino:zz sdev:7\n", epollEntry{}, false},
		{"pos:\t0\n", epollEntry{}, false},
		{"", epollEntry{}, false},
	}
	for _, x := range tests {
		if got, ok := parseEpollEntry(x.in); ok != x.ok || ok && got != x.want {
			t.Errorf("%q: got %+v %v", x.in, got, ok)
		}
	}
}

func FuzzEpollEntry(f *testing.F) {
	f.Add("tfd:        6 events: 80000019 data: 6  pos:0 ino:61af sdev:7\n")
	f.Fuzz(func(t *testing.T, s string) {
		if e, ok := parseEpollEntry(s); ok && (e.fd < 0 || e.inode == 0) {
			t.Errorf("%q: %+v", s, e)
		}
	})
}

func TestParseMemory(t *testing.T) {
	poll := []byte{3, 0, 0, 0, 1, 0, 0, 0 /**/, 255, 255, 255, 255, 1, 0, 0, 0 /**/, 4, 0, 0, 0, 4, 0, 0, 0 /**/, 5, 0, 0, 0, 0x40, 0, 0, 0 /**/, 9, 9}
	if got := parsePollSet(poll); !slices.Equal(got, []int{3, 5}) {
		t.Errorf("poll set: got %v", got)
	}
	if got := parseFDSet([]byte{0b10000001, 0b11}, 9); !slices.Equal(got, []int{0, 7, 8}) {
		t.Errorf("select set: got %v", got)
	}
	if got := parseFDSet([]byte{0xff}, 100); len(got) != 8 {
		t.Errorf("select set that is not all there: got %v", got)
	}
}

func FuzzMemory(f *testing.F) {
	f.Add([]byte{3, 0, 0, 0, 1, 0, 0, 0, 1}, 9)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		for _, fd := range append(parsePollSet(b), parseFDSet(b, n)...) {
			if fd < 0 {
				t.Errorf("descriptor %d", fd)
			}
		}
		isClass32(b)
		words(b)
	})
}

func TestIsClass32(t *testing.T) {
	vector := func(width int, pairs ...uint64) []byte {
		var b []byte
		for _, v := range pairs {
			if width == 4 {
				b = binary.NativeEndian.AppendUint32(b, uint32(v))
			} else {
				b = binary.NativeEndian.AppendUint64(b, v)
			}
		}
		return b
	}
	tests := []struct {
		name string
		in   []byte
		want bool
	}{
		{"64", vector(8, 33, 0x7ffc12345000, 16, 0x178bfbff, 6, 4096, 3, 0x400040, 4, 56, 0, 0), false},
		{"64, a value of 4", vector(8, 51, 4, 4, 56, 0, 0), false},
		{"32", vector(4, 32, 0xf7f0, 33, 0xf7f0, 16, 0x178bfbff, 3, 0x8048034, 4, 32, 0, 0), true},
		{"none", nil, false},
	}
	for _, x := range tests {
		if got := isClass32(x.in); got != x.want {
			t.Errorf("%s: got %v", x.name, got)
		}
	}
}

// The numbers of calls in which a server sleeps must be those of its ABI, and
// every ABI that a thread may be told to have has some.
func TestWaitKinds(t *testing.T) {
	if waitKinds[trace.X86_64][232] != epollWait || waitKinds[trace.I386][256] != epollWait || waitKinds[trace.ARM64][22] != epollWait {
		t.Error("epoll_wait is 232 on x86_64 and 256 on i386, epoll_pwait is 22 on arm64")
	}
	for abi := trace.X86_64; abi <= trace.ARM64; abi++ {
		if len(waitKinds[abi]) == 0 {
			t.Errorf("abi %d has none", abi)
		}
	}
}

func TestFirst(t *testing.T) {
	got := ""
	for _, a := range []string{"", "unix /a", "tcp6 [::]:80", "", "tcp 0.0.0.0:80"} {
		got = first(got, a)
	}
	if got != "tcp 0.0.0.0:80" {
		t.Errorf("got %q", got)
	}
}
