// Visits a structure with members of every kind, which leads to another.
#include <stddef.h>

enum kind { FLAT, ROUND = 5 };
enum mode { STRICT = -1, LAX };
struct point {
    int x, y;
};
typedef struct shape {
    int id;
    struct {
        unsigned low : 3;
        signed high : 4;
    } flags;
    union {
        unsigned long as_word;
        unsigned char as_bytes[8];
    };
    char name[8];
    struct point points[3];
    enum kind kind;
    const char *text;
    struct shape *next;
    void (*draw)(struct shape *);
} shape_t;

__attribute__((noinline)) int visit(shape_t *s, enum mode mode)
{
    return s->id == 7 ? mode : 0;
}

__attribute__((noinline)) struct shape *next_of(struct shape *s)
{
    return s->next;
}

int main(void)
{
    shape_t second = {.id = 8, .name = "second"};
    shape_t first = {7, {5, -3}, {1ul << 32}, "first", {{0, 1}, {2, 22}}, ROUND, "text", &second, NULL};
    // Programs of the kernel read no memory that was never touched.
    if (*first.text == 't')
        visit(&first, STRICT);
    next_of(&first);
    return 0;
}
