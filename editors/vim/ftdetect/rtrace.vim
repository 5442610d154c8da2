" Scripts by their ending, and those without one by their first line.
autocmd BufNewFile,BufRead *.bt setfiletype rtrace
autocmd BufNewFile,BufRead * if getline(1) =~# '^#!.*\<\(rtrace\|bpftrace\)\>' | setfiletype rtrace | endif
