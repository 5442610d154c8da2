// Makes a function at run time, names it in /tmp/perf-PID.map as compilers do for perf, and has it call a function 5 times.
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

__attribute__((noinline)) void called(void)
{
    __asm__ volatile("");
}

int main(void)
{
    // push rbp; mov rbp, rsp; sub rsp, 0; call rdi; leave; ret
    static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x00, 0x90, 0x90, 0xff, 0xd7, 0xc9, 0xc3};
    void *made = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(made, code, sizeof code);
    char path[64];
    snprintf(path, sizeof path, "/tmp/perf-%d.map", getpid());
    FILE *map = fopen(path, "w");
    fprintf(map, "%lx %zx made at run time\n", (unsigned long)made, sizeof code);
    fclose(map);
    for (int i = 0; i < 5; i++)
        ((void (*)(void (*)(void)))made)(called);
    usleep(300000);
    unlink(path);
    return 0;
}
