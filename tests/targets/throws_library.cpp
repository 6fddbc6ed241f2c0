// throws_library.cpp - the C++ library of throws.c.
namespace {

[[gnu::noinline]] int descend(int depth)
{
    if (depth == 0)
        throw 1;
    return descend(depth - 1) + 1;
}

} // namespace

extern "C" int throw_and_catch(int depth)
{
    try {
        return descend(depth);
    } catch (int thrown) {
        return thrown;
    }
}
