package trace

//go:generate go tool bpf2go -target amd64,arm64 -type chunk -type cpu -type cell -type slot -type row -type row_key -type sample -type event -type exec_event -type arg_key -type arg_row bpf bpf/trace.bpf.c -- -O2 -g -Wall -Werror -mcpu=v3
