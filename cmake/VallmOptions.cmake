# Language, warnings, sanitizers and the compiler cache: everything that applies to all of our own
# code and to none of the distribution's.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(VALLM_CCACHE ccache)
if(VALLM_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER "${VALLM_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${VALLM_CCACHE}")
endif()

# mold links a gRPC binary in a quarter of the time of bfd; the default linker is the fallback, also
# for a cross compiler that does not find mold.
include(CheckLinkerFlag)
check_linker_flag(CXX -fuse-ld=mold VALLM_MOLD)
if(VALLM_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(vallm_options INTERFACE)
target_include_directories(vallm_options INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(vallm_options INTERFACE
  -Wall -Wextra -Wno-unused-parameter -Wimplicit-fallthrough
  $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local>
  # g++ 12 warns about "literal" + std::string of its own library (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
  $<$<BOOL:${VALLM_WERROR}>:-Werror>)
# Results must not depend on where the compiler finds a multiply next to an add: see "Numerics" in
# docs/architecture.md. Kernels ask for fused multiply-add by name.
target_compile_options(vallm_options INTERFACE -ffp-contract=off)

if(VALLM_SANITIZE)
  target_compile_options(vallm_options INTERFACE
    -fsanitize=${VALLM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
    # Instrumented std::function and std::optional look uninitialized to g++ 12.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(vallm_options INTERFACE -fsanitize=${VALLM_SANITIZE})
endif()
if(VALLM_FUZZ)
  # Libraries get coverage hooks; each fuzz target links the driver itself (-fsanitize=fuzzer).
  target_compile_options(vallm_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
