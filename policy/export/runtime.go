package export

import "speaker/policy"

// RuntimeCalls returns what Options.Runtime adds.
func RuntimeCalls() policy.Set { return policy.RuntimeCalls() }
