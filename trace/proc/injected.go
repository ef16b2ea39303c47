package proc

// InjectedMark is what register r15 holds in the calls that speaker's injector
// has a process make. No call takes an argument there. The tracer leaves such
// calls out, and counts all else that a stopped process called of its own.
const InjectedMark = 0x7370656b_496e6a63
