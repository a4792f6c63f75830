# vallm_embed(OUTPUT admin/page_data NAMESPACE vallm::x::page_data FOLDER admin/page
#             ENTRIES kIndex=index.html kScript=a.js,b.js)
# Makes page_data.h and page_data.cc in the current build folder when the files change: arrays kIndex
# and kScript with the bytes of the files (joined, in order) and their sizes kIndexSize, kScriptSize.
set(VALLM_EMBED_SCRIPT "${CMAKE_CURRENT_LIST_DIR}/write_embedded.cmake")

function(vallm_embed)
  cmake_parse_arguments(ARG "" "OUTPUT;NAMESPACE;FOLDER" "ENTRIES" ${ARGN})
  set(output "${CMAKE_CURRENT_BINARY_DIR}/${ARG_OUTPUT}")
  set(folder "${CMAKE_CURRENT_SOURCE_DIR}/${ARG_FOLDER}")
  set(files)
  foreach(entry IN LISTS ARG_ENTRIES)
    string(REGEX REPLACE "^[^=]+=" "" names "${entry}")
    string(REPLACE "," ";" names "${names}")
    list(TRANSFORM names PREPEND "${folder}/")
    list(APPEND files ${names})
  endforeach()
  list(JOIN ARG_ENTRIES "|" entries)
  add_custom_command(OUTPUT "${output}.h" "${output}.cc"
    COMMAND "${CMAKE_COMMAND}" "-DOUTPUT=${output}" "-DNAMESPACE=${ARG_NAMESPACE}" "-DFOLDER=${folder}"
            "-DENTRIES=${entries}" -P "${VALLM_EMBED_SCRIPT}"
    DEPENDS ${files} "${VALLM_EMBED_SCRIPT}"
    VERBATIM)
endfunction()
