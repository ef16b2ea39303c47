package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed report.html.tmpl
var source string

var html = template.Must(template.New("report").Funcs(template.FuncMap{
	"isLink": isLink,
	"middle": func(z zone) float64 { return z.X + z.Width/2 },
	"anchor": func(i, n int) string {
		switch i {
		case 0:
			return "start"
		case n - 1:
			return "end"
		}
		return "middle"
	},
}).Parse(source))

// isLink reports whether a source is a page on the web: those are written without
// their scheme.
func isLink(s string) bool {
	host, _, _ := strings.Cut(s, "/")
	return strings.Contains(host, ".") && !strings.ContainsAny(s, " ()")
}

func writeHTML(w io.Writer, p page) error {
	var b bytes.Buffer
	if err := html.Execute(&b, p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}
