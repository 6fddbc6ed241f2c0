// cxx_new.cpp - operator new in all its forms, containers, exceptions and a thread_local destructor.
// Live at the end, by "LEAK" line: 24 + 240 + 40 + 128 bytes.
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#define NOINLINE __attribute__((noinline))

struct Point {
    long x, y, z;
};
struct alignas(64) Wide {
    char bytes[128];
};

static void *kept[8];
static volatile int zero;

template <typename T> NOINLINE T *pool_take()
{
    return new T(); // LEAK template
}

NOINLINE static void new_forms()
{
    kept[0] = pool_take<Point>();
    kept[1] = new Point[10];                    // LEAK array
    kept[2] = ::operator new(40, std::nothrow); // LEAK nothrow
    kept[3] = new Wide();                       // LEAK aligned
    delete new Point();
    delete[] new int[100];
    ::operator delete(::operator new(77));
}

NOINLINE static int thrower(int depth)
{
    std::vector<std::string> rows(20, std::string(100, 'x'));
    if (depth == zero)
        throw std::runtime_error("a message that is longer than the small-string buffer");
    return thrower(depth - 1) + (int)rows.size();
}

NOINLINE static int exceptions()
{
    int caught = 0;
    for (int i = 0; i < 100; i++) {
        try {
            thrower(10);
        } catch (const std::exception &) {
            caught++;
        }
    }
    return caught;
}

NOINLINE static size_t containers()
{
    std::map<std::string, std::vector<int>> map;
    for (int i = 0; i < 1000; i++)
        map["a key too long for the small-string buffer " + std::to_string(i)].resize(50);
    auto shared = std::make_shared<Point>();
    return map.size() + (size_t)shared.use_count();
}

struct AtThreadEnd {
    std::string text = std::string(200, 't');
    ~AtThreadEnd()
    {
        std::string last(300, 'u'); // after most of the thread is gone
        text.swap(last);
    }
};
static thread_local AtThreadEnd at_thread_end;

int main()
{
    new_forms();
    if (exceptions() != 100 || containers() != 1001)
        return 99;
    for (int i = 0; i < 4; i++)
        std::thread([] { at_thread_end.text += "used"; }).join();
    return 0;
}
