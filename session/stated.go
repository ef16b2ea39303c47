package session

// wireMissing is the statement of what keeps a recording from being complete, as
// of when it was written. Most of it follows from the rest of the file; what was
// never kept does not.
type wireMissing struct {
	Refused uint64   `cbor:"1,keyasint,omitempty"` // rows
	Unkept  uint64   `cbor:"2,keyasint,omitempty"` // marks
	Said    []string `cbor:"3,keyasint,omitempty"` // all of it in words, for who reads no more; not read back
}

// missingFrame makes the statement. Call it with the lock held.
func (s *Session) missingFrame() frame {
	w := wireMissing{Refused: s.table.refused, Unkept: s.unkept}
	for _, text := range s.missing().Sentences() {
		w.Said = append(w.Said, clip(text, maxText))
	}
	w.Said = w.Said[:min(len(w.Said), maxEvidence)]
	return newFrame(kindMissing, w)
}

// takeMissing takes a statement over.
func (s *Session) takeMissing(w wireMissing) {
	s.table.refused, s.unkept = max(s.table.refused, w.Refused), max(s.unkept, w.Unkept)
	s.stated = s.table.refused + s.unkept
}

// state puts the statement into the file when what was not kept has become twice
// as much.
func (s *Session) state() {
	if n := s.table.refused + s.unkept; s.log != nil && !s.loading && n > 0 && n >= 2*s.stated {
		s.stated = n
		s.put(s.missingFrame())
	}
}

// statement is the statement as it is now.
func (s *Session) statement() frame {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.missingFrame()
}

// SetEngine notes the name and the version of the engine of the target.
func (s *Session) SetEngine(version string) {
	s.updateMeta(func(m *Meta) { m.EngineVersion = version })
}

// updateMeta changes what is known of the recording as a whole.
func (s *Session) updateMeta(f func(*Meta)) {
	s.change(func() {
		f(&s.meta)
		s.meta = s.meta.clipped()
		s.put(metaFrame(s.meta))
	})
}
