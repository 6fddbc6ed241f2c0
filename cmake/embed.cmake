# gm_embed(INPUT OUTPUT SYMBOL): generates a C file that holds INPUT as `const char SYMBOL[]`; of an .sql file without its
# comments and indentation, which SQLite would keep in every database made from it.
# Also runs as a script: cmake -DINPUT= -DOUTPUT= -DSYMBOL= -P embed.cmake
if(CMAKE_SCRIPT_MODE_FILE AND NOT CMAKE_PARENT_LIST_FILE)
  if(INPUT MATCHES "\\.sql$")
    file(READ "${INPUT}" text)
    string(REGEX REPLACE "[ ]*--[^\n]*" "" text "${text}")
    string(REGEX REPLACE "\n[ \n]*" "\n" text "${text}")
    file(WRITE "${OUTPUT}.stripped" "${text}")
    file(READ "${OUTPUT}.stripped" hex HEX)
    file(REMOVE "${OUTPUT}.stripped")
  else()
    file(READ "${INPUT}" hex HEX)
  endif()
  get_filename_component(name "${INPUT}" NAME)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "((0x..,){16})" "\\1\n" bytes "${bytes}")
  file(WRITE "${OUTPUT}" "/* Generated from ${name} by cmake/embed.cmake. Do not edit. */\n"
    "extern const char ${SYMBOL}[];\nconst char ${SYMBOL}[] = {\n${bytes}0x00};\n")
  return()
endif()
set(GM_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
function(gm_embed INPUT OUTPUT SYMBOL)
  add_custom_command(OUTPUT ${OUTPUT}
    COMMAND ${CMAKE_COMMAND} -DINPUT=${INPUT} -DOUTPUT=${OUTPUT} -DSYMBOL=${SYMBOL} -P ${GM_EMBED_SCRIPT}
    DEPENDS ${INPUT} ${GM_EMBED_SCRIPT} VERBATIM)
endfunction()
