package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxYAML bounds YAML, which takes more time and memory than its size says.
const maxYAML = 1 << 20

const (
	spoVersion = "security-profiles-operator.x-k8s.io/v1beta1"
	spoKind    = "SeccompProfile"
)

// manifest is a Kubernetes object: one of the operator's, or a ConfigMap.
type manifest struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metadata          `json:"metadata"`
	Spec       json.RawMessage   `json:"spec,omitempty"`
	Data       map[string]string `json:"data,omitempty"`
}

type metadata struct {
	Name string `json:"name"`
}

// writeSPO writes an object of the security-profiles-operator.
func writeSPO(p Profile) ([]byte, []string, error) {
	j, warnings, err := p.plainForm()
	if err != nil {
		return nil, nil, err
	}
	if ret := j.DefaultErrnoRet; ret != nil && *ret != 1 {
		warnings = append(warnings, fmt.Sprintf("the operator has no default error but EPERM: %s is left out", p.Default))
	}
	j.DefaultErrnoRet = nil
	large := false
	for _, s := range j.Syscalls {
		if s.ErrnoRet != nil && *s.ErrnoRet != 1 {
			large = true
		}
		for _, a := range s.Args {
			if a.Value>>63|a.ValueTwo>>63 != 0 {
				return nil, nil, fmt.Errorf("%s: the operator takes no value above %d", s.Names[0], uint64(1)<<63-1)
			}
		}
	}
	if large {
		warnings = append(warnings, "versions of the operator whose errnoRet is text refuse other errors than EPERM")
	}
	spec, err := json.Marshal(j)
	if err != nil {
		return nil, nil, err
	}
	text, err := toYAML(manifest{APIVersion: spoVersion, Kind: spoKind, Metadata: metadata{p.objectName()}, Spec: spec})
	return text, warnings, err
}

// notName is what Kubernetes takes in no name.
var notName = regexp.MustCompile(`[^a-z0-9-]+`)

// objectName is the profile's name as Kubernetes takes it.
func (p Profile) objectName() string {
	name := strings.Trim(notName.ReplaceAllString(strings.ToLower(p.Name), "-"), "-")
	if name == "" || len(name) > 63 {
		return "speaker"
	}
	return name
}

// writeKubernetes writes a ConfigMap that holds the file for the node, and the part
// of a pod that asks for it.
func writeKubernetes(p Profile) ([]byte, []string, error) {
	profile, warnings, err := writeCRI(p)
	if err != nil {
		return nil, nil, err
	}
	file := p.objectName() + ".json"
	object, err := toYAML(manifest{APIVersion: "v1", Kind: "ConfigMap", Metadata: metadata{p.objectName() + "-seccomp"},
		Data: map[string]string{file: string(profile)}})
	if err != nil {
		return nil, nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Put the file below on each node as /var/lib/kubelet/seccomp/profiles/%s,\n# and into the pod, or into one of its containers:\n#\n", file)
	fmt.Fprintf(&b, "#   securityContext:\n#     seccompProfile:\n#       type: Localhost\n#       localhostProfile: profiles/%s\n", file)
	b.Write(object)
	return b.Bytes(), warnings, nil
}

// toYAML writes v, by its JSON names, as YAML.
func toYAML(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil { // JSON is YAML
		return nil, err
	}
	unquote(&node)
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&node); err != nil {
		return nil, err
	}
	return b.Bytes(), enc.Close()
}

// unquote gives every node the style that people write.
func unquote(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "\n") {
		n.Style = yaml.LiteralStyle
	}
	for _, c := range n.Content {
		unquote(c)
	}
}

// fromYAML reads the first object of a stream of YAML or JSON.
func fromYAML(data []byte) (m manifest, err error) {
	if len(data) > maxYAML {
		return m, fmt.Errorf("%d bytes of YAML, at most %d are taken", len(data), maxYAML)
	}
	defer func() { // the decoder's way to give up on what it has no error for
		if recover() != nil {
			err = errors.New("no YAML that can be read")
		}
	}()
	var tree map[string]any
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return m, errors.New(firstLine(strings.TrimPrefix(err.Error(), "yaml: ")))
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return m, errors.New("no YAML that could be JSON")
	}
	if len(text) > MaxSize {
		return m, fmt.Errorf("%d bytes when its aliases are followed, at most %d are taken", len(text), MaxSize)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, jsonError(err)
	}
	return m, nil
}

// firstLine makes one clean line of what a library says.
func firstLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 120 {
		s = s[:120] + "..."
	}
	return clean(s)
}

func looksSPO(data []byte) bool { return looksKind(data, spoKind) }

func looksKubernetes(data []byte) bool { return looksKind(data, "ConfigMap") }

var kindLine = regexp.MustCompile(`(?m)^\s*"?kind"?\s*:\s*"?(\w+)`)

func looksKind(data []byte, kind string) bool {
	m := kindLine.FindSubmatch(data)
	return m != nil && string(m[1]) == kind
}

// readSPO reads an object of the operator, as spoc, Inspektor Gadget and the
// operator's recorder write them too.
func readSPO(data []byte) (Profile, []string, error) {
	m, err := fromYAML(data)
	if err != nil {
		return Profile{}, nil, err
	}
	if m.Kind != spoKind || len(m.Spec) == 0 {
		return Profile{}, nil, fmt.Errorf("kind %q: want %s with a spec", shorten(m.Kind), spoKind)
	}
	var spec struct {
		jsonProfile
		Base     string `json:"baseProfileName"`
		Disabled bool   `json:"disabled"`
	}
	warnings, err := decode(m.Spec, &spec)
	if err != nil {
		return Profile{}, nil, err
	}
	if spec.Base != "" {
		warnings = append(warnings, fmt.Sprintf("what the base profile %q allows is not in it", shorten(spec.Base)))
	}
	if spec.Disabled {
		warnings = append(warnings, "the operator passes over it: it is disabled")
	}
	p, more, err := spec.profile()
	p.Name = m.Metadata.Name
	return p, append(warnings, more...), err
}

// readKubernetes reads the profile in a ConfigMap.
func readKubernetes(data []byte) (Profile, []string, error) {
	m, err := fromYAML(data)
	if err != nil {
		return Profile{}, nil, err
	}
	if m.Kind != "ConfigMap" || len(m.Data) != 1 {
		return Profile{}, nil, fmt.Errorf("kind %q with %d files: want a ConfigMap with one profile", shorten(m.Kind), len(m.Data))
	}
	for name, text := range m.Data {
		p, warnings, err := readDocker([]byte(text))
		p.Name = strings.TrimSuffix(name, ".json")
		return p, warnings, err
	}
	return Profile{}, nil, nil
}
