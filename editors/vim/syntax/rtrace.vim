" Syntax of rtrace and bpftrace scripts. Made by tests/editors.rs from rtrace's own tables.
if exists('b:current_syntax')
  finish
endif

syntax keyword rtraceKeyword break comptime config continue else for if import let macro offsetof return sizeof while
syntax keyword rtraceType bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 void string buffer inet struct union enum typeof typeinfo
syntax keyword rtraceBuiltin pid tid ppid pcomm leader_tid leader_comm uid gid comm curtask cgroup cpid has_cpid nsecs elapsed strftime time probe probetype func retval args ctx usermode reg arg0 arg1 arg2 arg3 arg4 arg5 arg6 arg7 arg8 arg9 cpu ncpus numaid rand jiffies str buf kptr uptr container_of is_err bswap strncmp strcontains strlen strstr str_concat strcap memcmp username syscall_name signal_name strerror cgroup_path cgroupid ntop pton macaddr ksym usym kaddr percpu_kaddr uaddr path socket_cookie dw_ustack kstack ustack clear zero delete has_key find len count sum min max avg stats hist quantiles lhist p50 p75 p90 p95 p99 p999 quantile tseries heatmap printf errorf warnf debugf print skboutput unwatch join cat system exit assert static_assert fail signal signal_thread override write_user is_integer is_unsigned_integer is_str is_ptr is_array is_literal default_str_length kfunc_exist kfunc_allowed has_field probe_exists getopt config
syntax match rtraceProbe /\v^\s*(begin|end|fentry|f|kfunc|fexit|fr|kretfunc|hardware|h|interval|i|iter|it|kprobe|k|kretprobe|kr|profile|p|rawtracepoint|rt|self|software|s|tracepoint|t|test|bench|uprobe|u|uretprobe|ur|usdt|U|watchpoint|w)>[^{\/]*/
syntax match rtraceVariable /\v\$\w+/
syntax match rtraceMap /\v\@\w*/
syntax match rtraceNumber /\v<(0x\x+|\d[0-9_]*(e\d)?(ns|us|ms|s|m|h|d|u?l{0,2})?)>/
syntax region rtraceString start=/"/ skip=/\\./ end=/"/ contains=rtraceFormat
syntax match rtraceFormat /\v\%[-+#0-9]*(hh|ll|[hljzt])?[a-z]/ contained
syntax match rtraceComment +//.*$+
syntax region rtraceComment start=+/\*+ end=+\*/+
syntax match rtracePreprocessor /^\s*#.*$/

highlight default link rtraceKeyword Keyword
highlight default link rtraceType Type
highlight default link rtraceBuiltin Function
highlight default link rtraceProbe Label
highlight default link rtraceVariable Identifier
highlight default link rtraceMap Special
highlight default link rtraceNumber Number
highlight default link rtraceString String
highlight default link rtraceFormat SpecialChar
highlight default link rtraceComment Comment
highlight default link rtracePreprocessor PreProc

syntax sync fromstart

let b:current_syntax = 'rtrace'
