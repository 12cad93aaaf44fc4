# The libraries that Coppice is built on, each as one interface target dep_<name>.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)

function(coppice_dep name)
  add_library(dep_${name} INTERFACE)
  target_link_libraries(dep_${name} INTERFACE ${ARGN})
endfunction()

coppice_dep(threads Threads::Threads)
coppice_dep(zlib ZLIB::ZLIB)
coppice_dep(openmp OpenMP::OpenMP_C)
foreach(pair zip:libzip turbojpeg:libturbojpeg spng:spng jansson:jansson yaml:yaml-0.1 sqlite:sqlite3)
  string(REPLACE ":" ";" pair ${pair})
  list(GET pair 0 name)
  list(GET pair 1 module)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${module})
  coppice_dep(${name} PkgConfig::${name})
endforeach()

# oneDNN 2.6 or newer: Debian's, or the one under COPPICE_DNNL_ROOT.
set(COPPICE_DNNL_ROOT "" CACHE PATH "Prefix of a oneDNN to use instead of the system's")
if(COPPICE_DNNL_ROOT)
  find_path(DNNL_INCLUDE oneapi/dnnl/dnnl.h PATHS ${COPPICE_DNNL_ROOT}/include NO_DEFAULT_PATH REQUIRED)
  find_library(DNNL_LIBRARY NAMES dnnl PATHS ${COPPICE_DNNL_ROOT}/lib NO_DEFAULT_PATH REQUIRED)
  coppice_dep(dnnl ${DNNL_LIBRARY})
  target_include_directories(dep_dnnl INTERFACE ${DNNL_INCLUDE})
  set(dnnl_link ${DNNL_LIBRARY})
else()
  find_library(DNNL_LIBRARY dnnl REQUIRED)
  find_path(DNNL_INCLUDE oneapi/dnnl/dnnl.h REQUIRED)
  coppice_dep(dnnl ${DNNL_LIBRARY})
  set(dnnl_link -ldnnl)
endif()

# ONNX: the reader and writer that protobuf-c makes of Debian's onnx.proto.
pkg_check_modules(protobuf_c REQUIRED IMPORTED_TARGET libprotobuf-c)
find_program(PROTOC_C protoc-c REQUIRED)
find_path(ONNX_PROTO_DIR onnx/onnx.proto REQUIRED)
set(onnx_dir ${CMAKE_BINARY_DIR}/generated/onnx)
add_custom_command(
  OUTPUT ${onnx_dir}/onnx.pb-c.c ${onnx_dir}/onnx.pb-c.h
  COMMAND ${CMAKE_COMMAND} -E make_directory ${onnx_dir}
  COMMAND ${PROTOC_C} --proto_path=${ONNX_PROTO_DIR}/onnx --c_out=${onnx_dir} ${ONNX_PROTO_DIR}/onnx/onnx.proto
  DEPENDS ${ONNX_PROTO_DIR}/onnx/onnx.proto)
add_library(onnx_proto STATIC ${onnx_dir}/onnx.pb-c.c)
target_compile_options(onnx_proto PRIVATE -w)  # not our code
target_include_directories(onnx_proto SYSTEM PUBLIC ${onnx_dir})
target_link_libraries(onnx_proto PUBLIC PkgConfig::protobuf_c)
coppice_dep(onnx onnx_proto)

# Keras: .h5, and .keras, which is a ZIP with one inside.
pkg_search_module(hdf5 REQUIRED IMPORTED_TARGET hdf5-serial hdf5)
coppice_dep(hdf5 PkgConfig::hdf5)

# What a program that uses the static library links besides, for pkg-config's Libs.private and the CMake package.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  set(openmp_link -lgomp)
else()
  set(openmp_link ${OpenMP_omp_LIBRARY})  # in a directory that no linker looks in by itself
endif()
set(static_libs ${zip_LDFLAGS} ${turbojpeg_LDFLAGS} ${spng_LDFLAGS} ${jansson_LDFLAGS} ${yaml_LDFLAGS}
                ${sqlite_LDFLAGS} ${protobuf_c_LDFLAGS} ${hdf5_LDFLAGS} -lz ${dnnl_link} ${openmp_link} -lm -pthread)
list(REMOVE_DUPLICATES static_libs)
