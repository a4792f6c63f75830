// The oracle of the fuzz targets: a law that does not hold ends the process, so that libFuzzer
// keeps the input.
#ifndef VALLM_TESTS_FUZZ_REQUIRE_H_
#define VALLM_TESTS_FUZZ_REQUIRE_H_

#include <cstdio>
#include <cstdlib>

namespace vallm {

inline void Require(bool holds, const char* law) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", law);
  std::abort();
}

}  // namespace vallm

#endif  // VALLM_TESTS_FUZZ_REQUIRE_H_
