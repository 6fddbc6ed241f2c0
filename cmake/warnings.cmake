# gm_target(NAME): the warnings and sanitizers every target of this project is built with.
add_library(gm_flags INTERFACE)
target_compile_options(gm_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef
  -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wvla -Wformat=2
  -Wswitch-enum -Wimplicit-fallthrough -Wno-format-nonliteral)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  target_compile_options(gm_flags INTERFACE -Wlogical-op -Wduplicated-cond)
endif()
if(GEOMEM_WERROR)
  target_compile_options(gm_flags INTERFACE -Werror)
endif()
target_include_directories(gm_flags INTERFACE ${PROJECT_SOURCE_DIR})

# Sanitizers are for the project's own processes; code that runs inside a target is built without
# them unless a test links it into a program of its own.
add_library(gm_sanitize INTERFACE)
if(GEOMEM_SANITIZE)
  target_compile_options(gm_sanitize INTERFACE -fsanitize=${GEOMEM_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  target_link_options(gm_sanitize INTERFACE -fsanitize=${GEOMEM_SANITIZE})
endif()
