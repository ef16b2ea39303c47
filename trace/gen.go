package trace

//go:generate go tool bpf2go -target amd64 -type block -type chunk -type cpu -type control -type cell -type slot -type row -type row_key -type sample -type event -type exec_event bpf bpf/trace.bpf.c -- -O2 -g -Wall -Werror -mcpu=v3
