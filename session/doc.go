// Package session owns what was seen of one target: the exact recording, the
// marks on its timeline, the splits and the evidence for them, the edits of the
// policy, what was tried, and the one file that keeps all of it.
//
// A Session is only ever added to. Nothing in it depends on the sampled stream,
// which is for eyes; the sets of calls for any split are computed from the exact
// tables. Reading, editing and saving a session needs no privilege; recording
// one needs a Source, which the tracer is.
//
// # Epochs grow with age
//
// An epoch is recorded as a table of a tenth of a second. When it is long past it
// is joined with its neighbours, up to a 64th of its age, so that neither memory
// nor file grow with time. A row of a joined epoch has the first and the last of
// the uses and their sum, and so the sets for a split are exact at every instant,
// before and after. What becomes coarse: counts around a split that is moved into
// a joined epoch are shared out by time, as is the timeline; and an interval whose
// two ends lie in one joined epoch counts a call as used in it that was used
// before and after. Session.Precision tells the length of the epoch at an instant,
// Session.Blurred whether that touches a split. Nothing is joined in the first 30
// seconds, in the last minute, around splits, stops and the user's own marks, and
// around first uses of calls and what speaks for a split.
//
// # The file
//
// A session file is the 16 bytes "speaker session\n" and then frames, appended
// as things happen. There is no index: reading all of a busy hour takes less time
// than a blink. A frame is, in little-endian order:
//
//	0   4  marker f5 53 70 6b
//	4   1  version of the frame, 1
//	5   1  kind
//	6   2  zero
//	8   4  length of the body, at most 1 MiB
//	12  4  CRC-32C of bytes 0 to 11 and of the body
//	16     body: one zstd frame that unpacks to one CBOR value, at most 8 MiB
//
// The kinds are 1 meta (the last one counts), 2 a run of epochs by column,
// 3 mark, 4 a step in the history of splits (add, undo, redo, amend; the split in
// the last one is current), 5 a step in the history of edits (add, undo, redo; of
// an edit that conditions a call its alternatives, each a list of tests),
// 6 trial, 7 a list of samples, 8 the end: the file was closed, 9 what was taken
// over from another recording (the last one counts), 10 a list of argument values,
// 11 of uses by process (the last word on each counts), 13 a step in the history of
// intervals of administration: it is one history with that of edits, in the order
// of the frames, 14 in which intervals each call of the program came up (the last
// one counts, for the epochs before it), 15 one of the recordings that a merged
// session was made of, 16 the statement of what keeps the recording from being
// complete (in words, and how much was not kept; the last one counts).
// Frames after an end were appended later. The CBOR values are maps with
// small numbers as keys; the wire types in wire.go and wire_epochs.go say which.
// Unknown kinds and versions are passed over, and so is everything that is no
// whole frame: a reader looks for the next marker with a right checksum. So a
// damaged byte costs the frame it lies in, and a cut the last frame.
//
// While a recording goes on, its epochs are appended as they come, within a
// second. When the file has grown by a quarter of a megabyte or more over what the
// session, with its epochs joined, would take, the session is written to a second
// file beside it, and the two trade places in one step.
package session
