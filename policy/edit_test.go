package policy

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Edits live in session files.
func TestEditIsWritten(t *testing.T) {
	want := Edit{
		At: time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC), Op: OpDeny,
		Call: Call{I386, 5}, Phase: Run, Note: "why",
	}
	for name, codec := range map[string]struct {
		marshal   func(any) ([]byte, error)
		unmarshal func([]byte, any) error
	}{
		"json": {json.Marshal, json.Unmarshal},
		"cbor": {cbor.Marshal, cbor.Unmarshal},
	} {
		raw, err := codec.marshal(want)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got Edit
		if err := codec.unmarshal(raw, &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got.At = got.At.UTC()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

func TestSpecIsWrittenAsCBOR(t *testing.T) {
	want := Spec{Allow: set("read", "i386:open"), Notify: set("bind"), Answers: Answers{Denied: RefuseWith(13), Newer: ActLog, Single: []Answer{{Call{Native(), 5}, ActKillProcess}}}}
	raw, err := cbor.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Spec
	if err := cbor.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if !got.Allow.Equal(want.Allow) || !got.Notify.Equal(want.Notify) || !reflect.DeepEqual(got.Answers, want.Answers) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEditCheck(t *testing.T) {
	for _, tt := range []struct {
		edit Edit
		err  string
	}{
		{edit(OpAllow, "read", Boot), ""},
		{edit(OpDeny, "read", Exec), ""},
		{edit(OpDenyFamily, "read", Run), ""},
		{edit(OpAllowFamily, "read", Init), "cannot allow-family a call in phase init"},
		{edit(OpInclude, "", Stop), ""},
		{edit(OpLeaveOut, "", Exec), ""},
		{edit(OpLeaveOut, "", Admin), ""},
		{edit(OpAllow, "read", Admin), ""},
		{edit(OpAllow, "read", Init), "cannot allow a call in phase init"},
		{edit(OpInclude, "", Run), "cannot include phase run"},
		{edit(OpDeny, "read", Phase(200)), "cannot deny a call in phase ?"},
		{Edit{Op: OpDeny, Call: Call{ABI: 9}, Phase: Run}, "no such call"},
		{Edit{Op: OpDeny, Call: Call{Nr: 4096}, Phase: Run}, "no such call"},
		{Edit{}, "unknown operation"},
		{Edit{Op: EditOp(strings.Repeat("x", 1000))}, "unknown operation"},
	} {
		err := tt.edit.Check()
		if (err == nil) != (tt.err == "") || err != nil && (!strings.Contains(err.Error(), tt.err) || len(err.Error()) > 200) {
			t.Errorf("%+.80v: got %v, want %q", tt.edit, err, tt.err)
		}
	}
}
