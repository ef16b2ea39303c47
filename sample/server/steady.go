package server

import (
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"
)

// Under a filter of what serving was seen to call, a call that Go's runtime
// makes once an hour is as fatal as a forbidden one: a thread or memory that it
// cannot get ends the process. So everything that the runtime could want later
// is made in boot, what it does by chance is switched off, and its poller, once
// in use, is kept in use by timers that never rest.

// Env is the environment that the server runs in. Preemption by signal would
// show as a tgkill now and then, and a GOMAXPROCS that follows the machine as
// a look at its cgroup.
func Env() []string {
	return []string{"PATH=/bin", "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=2"}
}

// spareHeap is what a process may allocate after its boot, in bytes. A worker
// allocates nothing while it serves; the master some 100 KiB for each reload.
const spareHeap = 32 << 20

// steady makes the threads and the memory that serving may need, and switches
// the garbage collector off, whose next step is always a rare one.
func steady(threads int) {
	runtime.MemProfileRate = 0 // a profile's buckets are memory that never comes back
	spareThreads(threads)
	spareMemory()
	debug.SetGCPercent(-1)
}

func spareThreads(n int) {
	started, release := sync.WaitGroup{}, make(chan struct{})
	started.Add(n)
	for range n {
		go func() {
			runtime.LockOSThread() // all at once, so each has a thread of its own
			started.Done()
			<-release
			runtime.UnlockOSThread()
		}()
	}
	started.Wait()
	close(release)
}

// spareMemory takes memory and gives it back to the runtime, which keeps it. It
// is taken in small objects: each page of them has a record and bitmaps of its
// own outside the heap, and those must be there later too. The bitmaps are free
// for another use only after a third collection.
func spareMemory() {
	type object struct {
		next *object
		_    [56]byte
	}
	var all *object
	for range spareHeap / int(unsafe.Sizeof(object{})) {
		all = &object{next: all}
	}
	runtime.KeepAlive(all)
	for range 3 {
		runtime.GC()
	}
}
