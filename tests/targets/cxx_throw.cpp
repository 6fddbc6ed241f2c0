// cxx_throw.cpp ROUNDS - exceptions through frames whose destructors allocate, so that there are captures in the
// middle of the runtime's own unwinding; caught, rethrown and thrown from destructors' callees. Nothing is kept.
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

struct Cleaner {
    explicit Cleaner(int n) : text(static_cast<size_t>(40 + n), 'x') {}
    ~Cleaner() { std::string(text).append(text); } // allocates while an exception is on its way
    std::string text;
};

[[gnu::noinline]] int descend(int depth, int round)
{
    Cleaner cleaner(depth);
    if (depth == 0)
        throw std::runtime_error("a message that is too long for the small string, round " + std::to_string(round));
    return descend(depth - 1, round) + 1;
}

[[gnu::noinline]] int rethrow(int depth, int round)
{
    auto kept = std::make_unique<int[]>(static_cast<size_t>(depth + 1));
    try {
        return descend(depth, round) + kept[0];
    } catch (const std::exception &) {
        Cleaner cleaner(depth);
        throw;
    }
}

} // namespace

int main(int argc, char **argv)
{
    size_t length = 0;
    for (int round = 0; round < (argc > 1 ? std::atoi(argv[1]) : 100); round++) {
        try {
            rethrow(round % 7, round);
        } catch (const std::exception &e) {
            length += std::string(e.what()).size();
        }
    }
    return length == 0;
}
