// Touches 200 fresh pages from 0x10000000 on, once the fifo that may be its argument is written to.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char byte;
    volatile char *pages = mmap((void *)0x10000000, 200 << 12, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise((void *)pages, 200 << 12, MADV_NOHUGEPAGE);
    if (argc > 1)
        read(open(argv[1], O_RDONLY), &byte, 1);
    for (int i = 0; i < 200; i++)
        pages[i << 12] = 1;
    return 0;
}
