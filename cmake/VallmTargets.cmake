# The kinds of target this project has. Sources are listed, never globbed; dependencies are
# linked by their vallm:: alias.

include(GoogleTest)

# vallm_library(NAME foo SRCS a.cc HDRS a.h DEPS vallm::bar): static library vallm_foo, alias vallm::foo.
function(vallm_library)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;HDRS;DEPS" ${ARGN})
  if(ARG_SRCS)
    add_library(vallm_${ARG_NAME} STATIC ${ARG_SRCS} ${ARG_HDRS})
    target_link_libraries(vallm_${ARG_NAME} PUBLIC vallm_options ${ARG_DEPS})
  else()
    add_library(vallm_${ARG_NAME} INTERFACE ${ARG_HDRS})
    target_link_libraries(vallm_${ARG_NAME} INTERFACE vallm_options ${ARG_DEPS})
  endif()
  add_library(vallm::${ARG_NAME} ALIAS vallm_${ARG_NAME})
endfunction()

# vallm_binary(NAME vallm-engine SRCS main.cc DEPS ...): executable build/<preset>/bin/vallm-engine.
function(vallm_binary)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS" ${ARGN})
  add_executable(${ARG_NAME} ${ARG_SRCS})
  target_link_libraries(${ARG_NAME} PRIVATE vallm_options ${ARG_DEPS})
endfunction()

# vallm_plugin(NAME vallm_vacc_cpu SRCS entry_point.cc DEPS ...): a VACC plug-in,
# build/<preset>/lib/lib<NAME>.so, that exports its entry point and nothing else.
function(vallm_plugin)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS" ${ARGN})
  set(exports "${PROJECT_SOURCE_DIR}/engine_service/device/vacc/exports.map")
  add_library(${ARG_NAME} MODULE ${ARG_SRCS})
  target_link_libraries(${ARG_NAME} PRIVATE vallm_options ${ARG_DEPS})
  target_link_options(${ARG_NAME} PRIVATE "-Wl,--version-script=${exports}")
  set_target_properties(${ARG_NAME} PROPERTIES
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib" LINK_DEPENDS "${exports}")
endfunction()

# vallm_test(NAME bpe_test SRCS bpe_test.cc DEPS ... LABEL unit|conformance|integration [TIMEOUT s]):
# a GoogleTest binary, one ctest entry. The source tree's test data is at the macro VALLM_TEST_DATA;
# built binaries are at VALLM_BIN_DIR, plug-ins at VALLM_LIB_DIR.
function(vallm_test)
  cmake_parse_arguments(ARG "" "NAME;LABEL;TIMEOUT" "SRCS;DEPS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(VALLM_SANITIZE)
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 5")
  endif()
  add_executable(${ARG_NAME} ${ARG_SRCS})
  set_target_properties(${ARG_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  target_link_libraries(${ARG_NAME} PRIVATE vallm_options ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(${ARG_NAME} PRIVATE
    VALLM_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    VALLM_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data"
    VALLM_BIN_DIR="${CMAKE_BINARY_DIR}/bin"
    VALLM_LIB_DIR="${CMAKE_BINARY_DIR}/lib")
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME})
  set_tests_properties(${ARG_NAME} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT}
    SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\] [0-9]+ test")
endfunction()
