# Files put into the library: coppice_embed(target name file) compiles FILE's bytes, with a zero past their end, into
# TARGET as `copi_embed_<name>` and `copi_embed_<name>_size`, again whenever FILE changes.
#
# Run as a script (cmake -DNAME= -DIN= -DOUT= -P Embed.cmake) it does the conversion itself.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ ${IN} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}00")
  string(REPEAT "0x..," 20 line)
  string(REGEX REPLACE "(${line})" "\\1\n" bytes "${bytes}")
  file(WRITE ${OUT} "#include <stddef.h>\n"
    "extern const unsigned char copi_embed_${NAME}[];\nextern const size_t copi_embed_${NAME}_size;\n"
    "const unsigned char copi_embed_${NAME}[] = {\n${bytes}};\n"
    "const size_t copi_embed_${NAME}_size = sizeof copi_embed_${NAME} - 1;\n")
  return()
endif()

set(COPPICE_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})
function(coppice_embed target name file)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/embed/${name}.c)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DIN=${file} -DOUT=${out} -P ${COPPICE_EMBED_SCRIPT}
    DEPENDS ${file} ${COPPICE_EMBED_SCRIPT} VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
