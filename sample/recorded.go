package sample

import _ "embed"

// Recorded is the file of a session of the demo, for a first look without root:
// thirty seconds of `speaker record demo`, from its first call to its stop.
//
//go:embed demo.speaker
var Recorded []byte
