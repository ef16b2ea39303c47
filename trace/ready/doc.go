// Package ready asks a target from outside whether it is ready, by the probes that
// the user named.
//
// What an asking does to the target differs. A log line, the health that the
// engine knows of, a notice (sd_notify) and a file are only listened to. A
// connection (tcp, http) is made from within the target's network namespace: the
// target accepts it, and what it calls for that is in the recording. A command runs
// on the host, as whoever runs speaker; one that enters the container, as docker
// exec does, is in the recording as a process that entered from outside.
//
// What a target says is hostile: it is bounded, and only tells yes or no.
package ready
