// Functions that call each other and use the frame pointer's register for numbers; the deepest is called 4 times, or forever, with a
// rest between.
#include <time.h>

static volatile int sink;

__attribute__((noinline)) void deepest(int rest)
{
    struct timespec time = {0, 20000000};
    if (rest)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &time, 0);
    sink++;
}

#define STEP(name, next, size)                                                                                                  \
    __attribute__((noinline)) void name(int rest, long a, long b, long c, long d)                                               \
    {                                                                                                                           \
        volatile char room[size];                                                                                               \
        room[a & 7] = b;                                                                                                        \
        next;                                                                                                                   \
        sink += room[c & 7] + a + b + c + d;                                                                                    \
    }

STEP(third, deepest(rest), 24)
STEP(second, third(rest, d, c, b, a), 4000)
STEP(first, second(rest, b, c, d, a), 64)

int main(int argc, char **argv)
{
    for (int i = 0; i < 4 || argc > 1; i++)
        first(argc > 1, i, i + 1, i + 2, i + 3);
    struct timespec time = {0, 300000000};
    nanosleep(&time, 0);
    return 0;
}
