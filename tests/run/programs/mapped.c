// mapped FILE OFFSET ADDRESS: calls a function 8 times that a file holds at an offset (decimal) and an address (hexadecimal).
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv) {
    long offset = atol(argv[2]), address = strtol(argv[3], 0, 16);
    char *code = mmap(0, 1 << 14, PROT_READ | PROT_EXEC, MAP_PRIVATE, open(argv[1], O_RDONLY), offset);
    int (*counted)(int) = (int (*)(int))(code + address);
    int n = 0;
    for (int i = 0; i < 8; i++)
        n = counted(n);
    return n != 8;
}
