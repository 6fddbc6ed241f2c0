/* known.cc - see known.c: the same for C++. */
#define MARK(name) __asm__ volatile(".globl mark_" #name "\nmark_" #name ":\n\tnop" ::: "memory")

namespace geo {

volatile int sink;

template <class T> struct Box {
    T value;
    __attribute__((noinline)) explicit Box(T first) : value(first)
    {
        MARK(constructor);
    }
    __attribute__((noinline)) T put(const T &next, int times)
    {
        MARK(method);
        value = next;
        return static_cast<T>(value * times);
    }
};

namespace {
__attribute__((noinline)) int hidden(int n)
{
    MARK(hidden);
    return n + sink;
}
} // namespace

__attribute__((noinline)) int run(int n)
{
    auto add = [n](int k) __attribute__((noinline)) {
        MARK(lambda);
        return n + k + sink;
    };
    struct Local {
        __attribute__((noinline)) static int twice(int k)
        {
            MARK(local);
            return k * 2 + sink;
        }
    };
    return add(n) + Local::twice(n);
}

template <class T> __attribute__((noinline)) T largest(T a, T b)
{
    MARK(template);
    return a > b ? a : b;
}

} // namespace geo

extern "C" __attribute__((noinline)) int known_c_name(int n)
{
    MARK(c_name);
    return n + geo::sink;
}

int main(int argc, char **)
{
    geo::Box<long> box(argc);
    return static_cast<int>(box.put(argc, 3)) + geo::hidden(argc) + geo::run(argc) +
               geo::largest(argc, 3) + known_c_name(argc) ==
           12345;
}
