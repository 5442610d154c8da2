// Writes 7 times and reads 2 times at 0x10000000, then has 3 threads write 5 times each.
// With an argument, all of it waits until that fifo is written to, one thread having been started before.
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile long *watched;
static pthread_barrier_t start;

static void *five(void *early) {
    if (early)
        pthread_barrier_wait(&start);
    for (int i = 0; i < 5; i++)
        *watched = i;
    return 0;
}

int main(int argc, char **argv) {
    char byte;
    pthread_t threads[3];
    watched = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_barrier_init(&start, 0, 2);
    pthread_create(&threads[0], 0, five, &start);
    if (argc > 1)
        read(open(argv[1], O_RDONLY), &byte, 1);
    for (int i = 0; i < 7; i++)
        *watched = i;
    long sum = *watched + *watched;
    pthread_barrier_wait(&start);
    for (int i = 1; i < 3; i++)
        pthread_create(&threads[i], 0, five, 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], 0);
    return sum < 0;
}
