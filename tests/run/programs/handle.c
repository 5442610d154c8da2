// Calls a function with arguments of many types 3 times; it has a section of its own, so that a linker can be told its address.
// With an argument, it lives on for a moment.
#include <stdio.h>
#include <unistd.h>

struct request {
    int length;
    char *name;
};
enum kind { FIRST, SECOND };
typedef unsigned long word;

__attribute__((noinline, section("fixed"))) int handle(struct request *r, const char *text, int n, double weight, enum kind k,
                                                          word w, char c)
{
    int sum = 0;
    for (int i = 0; i < n; i++)
        sum += text[i];
    if (sum > 3)
        sum += r->length;
    return sum + k + w + weight + c;
}

int main(int argc, char **argv)
{
    struct request r = {4, "x"};
    int sum = 0;
    for (int i = 0; i < 3; i++)
        sum += handle(&r, "abc", i - 1, 1.5, SECOND, 77, 'z');
    if (argc > 1)
        usleep(300000);
    return sum == 1;
}
