// Package enginetest runs real container engines for tests: each of its own, in
// folders of the test, so that nothing of the host's is touched. What is not
// installed, or cannot run here, skips the test with the reason.
package enginetest
