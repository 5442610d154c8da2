// Markers as sys/sdt.h of SystemTap makes them, in every form of argument. Passes app:start 4 times at one place and 3 times at
// another, app:step 5 times without arguments, app:listening 6 times, but only while somebody listens, and app:global 3 times
// with what lies in variables.
// With an argument, all of it waits until that fifo is written to.
#include <fcntl.h>
#include <unistd.h>

#define MARK(provider, name, semaphore, arguments, ...)                                                                         \
    __asm__ volatile("990: nop\n"                                                                                               \
                     ".pushsection .note.stapsdt,\"\",\"note\"\n"                                                               \
                     ".balign 4\n"                                                                                              \
                     ".4byte 992f-991f,994f-993f,3\n"                                                                           \
                     "991: .asciz \"stapsdt\"\n"                                                                                \
                     "992: .balign 4\n"                                                                                         \
                     "993: .8byte 990b\n"                                                                                       \
                     ".8byte _.stapsdt.base\n"                                                                                  \
                     ".8byte " semaphore "\n"                                                                                   \
                     ".asciz \"" provider "\"\n"                                                                                \
                     ".asciz \"" name "\"\n"                                                                                    \
                     ".asciz \"" arguments "\"\n"                                                                               \
                     "994: .balign 4\n"                                                                                         \
                     ".popsection\n"                                                                                            \
                     ".ifndef _.stapsdt.base\n"                                                                                 \
                     ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"                                    \
                     ".weak _.stapsdt.base\n"                                                                                   \
                     ".hidden _.stapsdt.base\n"                                                                                 \
                     "_.stapsdt.base: .space 1\n"                                                                               \
                     ".size _.stapsdt.base,1\n"                                                                                 \
                     ".popsection\n"                                                                                            \
                     ".endif\n" ::__VA_ARGS__)

__attribute__((section(".probes"), used)) volatile unsigned short app_listening_semaphore;

static void __attribute__((noinline)) twice(int value) {
    long table[4] = {10, 20, 30, 40};
    long index = value & 3;
    __asm__ volatile("" : : "r"(table) : "memory");
    MARK("app", "start", "0", "-4@%0 8@%1 1@%2 8@(%3,%4,8)", "r"(value), "m"(table[2]), "n"(7), "r"(table), "r"(index));
}

long counters[4] = {100, 200, 300, 400};
static short hidden[2] = {-7, 8};

static void __attribute__((noinline)) global(long index) {
    counters[1]++;
    MARK("app", "global", "0", "8@%0 -2@%1 8@%2 1@%h3 8f@%4", "m"(counters[1]), "m"(hidden[0]), "m"(counters[index]),
         "Q"(0x1200 + (int)index), "x"(1.5));
}

int main(int argc, char **argv) {
    char byte, text[] = "hello";
    if (argc > 1)
        read(open(argv[1], O_RDONLY), &byte, 1);
    for (int i = -4; i < 0; i++)
        twice(i);
    for (unsigned char i = 250; i < 253; i++)
        MARK("app", "start", "0", "1@%0 8@%1 -2@%2 8@%3", "q"(i), "r"(text), "n"(-3), "r"(0L));
    for (int i = 0; i < 5; i++)
        MARK("app", "step", "0", "");
    for (int i = 0; i < 6; i++)
        if (app_listening_semaphore)
            MARK("app", "listening", "app_listening_semaphore", "2@%w0", "r"(app_listening_semaphore));
    for (int i = 1; i < 4; i++)
        global(i);
    return app_listening_semaphore;
}
