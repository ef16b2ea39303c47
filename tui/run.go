// Package tui is the workbench on the screen: what the user sees and presses.
//
// It is one model; panes, dialogs and the picker are plain structs that draw
// rows and take actions. It touches neither the kernel nor the disk itself:
// everything goes through tui/bench, outside of the event loop, and comes back
// as snapshots that drawing reads. Keys, the help and the palette are made from
// one key map, looks from one set of styles, and every foreign string passes
// one function on its way to the screen.
package tui

import (
	"context"
	"errors"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"

	"speaker/tui/bench"
)

// Options are what the command line decides.
type Options struct {
	// Start is the target to open at once, as Backend.Watch takes it; ""
	// shows the list of targets.
	Start string
	// Boot boots Start again, to see it from its first call.
	Boot bool
	// Work is already open (a file, say): the list is never shown. Run closes
	// it.
	Work bench.Work
	// ReadOnly leaves out all that applies, restarts or asks something of the
	// target.
	ReadOnly bool
	// ASCII draws with ASCII characters only.
	ASCII bool
	// Color is "auto" (or ""), "always" or "never".
	Color string
	// In and Out are the terminal; nil means the standard input and output.
	In, Out *os.File
}

// patience is how long Run waits, after the screen is gone, for jobs that were
// cancelled.
const patience = 15 * time.Second

// Run shows the workbench until the user quits or ctx ends. Before it returns,
// every Work that was opened is closed. It needs a terminal, and no privilege
// of its own.
func Run(ctx context.Context, b bench.Backend, opts Options) error {
	if opts.In == nil {
		opts.In = os.Stdin
	}
	if opts.Out == nil {
		opts.Out = os.Stdout
	}
	jobs, stop := context.WithCancel(ctx)
	defer stop()
	m := newModel(jobs, b, opts, time.Now, next10th)
	p := tea.NewProgram(m,
		tea.WithContext(ctx),
		tea.WithInput(opts.In),
		tea.WithOutput(quietTerminal{opts.Out}),
		tea.WithFPS(20), // pictures come ten times a second; keys are answered sooner
		tea.WithColorProfile(profile(opts.Color, os.Getenv)),
		tea.WithEnvironment(environment(os.Environ())),
		tea.WithoutSignalHandler(), // ctx ends on signals
	)
	_, err := p.Run()
	stop()
	closeErr := m.works.close(patience)
	if err != nil && ctx.Err() != nil {
		err = nil // being told to end is no error
	}
	return errors.Join(err, m.closeErr, closeErr)
}
